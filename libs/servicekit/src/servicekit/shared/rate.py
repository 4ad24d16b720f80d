"""The rate of one source: one bucket in Redis for all processes, a share of it in each while Redis is away."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from servicekit.logs import log
from servicekit.shared.bucket import LOWEST_SHARE, MADE_GOOD, QUIET, SPACING, STEP_EVERY, STEP_SHARE, Bucket, Turn
from servicekit.shared.link import RedisAway, RedisLink, Script

LONGEST_PAUSE: Final = timedelta(minutes=5)
"""A source that asks for more silence is asked again anyway."""

_NOW: Final = """
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = tonumber(t[1]) + tonumber(t[2]) / 1000000
end
local function text(number) return string.format('%.6f', number) end
"""
_STATE: Final = f"""
local configured, known = tonumber(ARGV[2]), tonumber(ARGV[3])
local s = redis.call('HMGET', KEYS[1], 'due', 'held', 'rate', 'at')
local due, held, rate, at = tonumber(s[1]), tonumber(s[2]) or 0, tonumber(s[3]), tonumber(s[4]) or now
if not due then
  -- New, flushed or restarted empty: what was granted in the last second is not known.
  due, rate, at = now + {QUIET}, known, now
  redis.call('DEL', KEYS[2])
end
rate = math.min(rate, configured)
if rate < configured then
  local steps = math.floor((now - at) / {STEP_EVERY})
  if steps > 0 then
    rate = math.min(configured, rate + steps * {STEP_SHARE} * configured)
    at = at + steps * {STEP_EVERY}
  end
end
local interval = {SPACING} / rate
-- A server whose clock went back must not be silent for as long.
due = math.min(due, now + math.max({QUIET}, interval))
held = math.min(held, now + {LONGEST_PAUSE.total_seconds()})
"""
_KEEP: Final = """
redis.call('HSET', KEYS[1], 'due', text(due), 'held', text(held), 'rate', text(rate), 'at', text(at))
"""
TAKE: Final = Script(f"""{_NOW}{_STATE}
if ARGV[4] == '1' then due = math.max(due, now + {QUIET}) end
local depth = math.max(1, math.floor(rate + 1e-9))
local function first_due()
  local last, oldest = redis.call('LINDEX', KEYS[2], 0), redis.call('LINDEX', KEYS[2], depth - 1)
  last, oldest = tonumber(last), tonumber(oldest)
  if last and last > now then
    -- Grants of the future: the server's clock went back.
    redis.call('DEL', KEYS[2])
    last, oldest = nil, nil
  end
  return math.max(due, held, oldest and oldest + depth * interval or 0, last and last + interval / 2 or 0)
end
local granted = 0
if now >= first_due() then
  granted = 1
  redis.call('LPUSH', KEYS[2], text(now))
  redis.call('LTRIM', KEYS[2], 0, math.floor(configured))
  if now - due <= {MADE_GOOD} then due = due + interval else due = now + interval end
end
{_KEEP}
return {{granted, text(math.max(0, first_due() - now)), text(rate), text(held - now), text(now)}}
""")
"""One token, if one is due. Keys: state, grants. Arguments: now ('' = the server's), the configured rate, the rate that
the caller knows of, 1 when it has granted by itself till now. Answers: granted, wait, rate, silence left, now."""
REFUSE: Final = Script(f"""{_NOW}{_STATE}
local pause = math.min(tonumber(ARGV[4]), {LONGEST_PAUSE.total_seconds()})
local first = 0
if now >= held then
  first = 1
  rate = math.max(rate / 2, configured * {LOWEST_SHARE})
end
held = math.max(held, now + pause)
at = held
{_KEEP}
return {{first, text(rate), text(held - now)}}
""")
"""A 429. Fourth argument: the pause. Answers: whether it halved the rate, the rate, the silence left."""


class SourceRate:
    """Tokens of one source. Without a link, or while Redis is away, this process's share of them.

    Changing between the modes costs one second without requests: when Redis goes, its last grants are over before the
    shares begin; when it comes back, whoever joins silences the shared bucket until its own last grants are over.
    """

    def __init__(
        self,
        name: str,
        rate: float,
        *,
        link: RedisLink | None = None,
        processes: int = 1,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._name = name
        self._configured = self._at_start = rate
        self._processes = processes
        self._keys = (f"farol:{{{name}}}:rate", f"farol:{{{name}}}:grants")
        self._link = link
        self._local = Bucket(rate, processes=processes)
        self._alone = link is None
        self._clock = clock
        """None: Redis's own, and the loop's while it is away; a test passes one for both."""

    @property
    def rate(self) -> float:
        """What all processes together ask a second at the moment, as far as this one knows."""
        return self._local.rate

    @property
    def configured(self) -> float:
        """What all processes together may ask a second when the source has not complained."""
        return self._configured

    @property
    def reduced(self) -> bool:
        """Whether the source's refusals keep the rate below the configured one."""
        return self._local.rate < self._configured

    @property
    def shared(self) -> bool:
        """Whether the last token was Redis's."""
        return not self._alone

    def configure(self, rate: float | None) -> None:
        """Take another rate from now on, in all processes that are told; None: the one of the start."""
        wanted = rate or self._at_start
        if wanted == self._configured:
            return
        before, now = self._local, self._now()
        self._configured, self._local = wanted, Bucket(wanted, processes=self._processes)
        # What was granted lately counts for the new rate, too: no sliding second may hold more than it.
        self._local.rest(now + QUIET)
        self._local.hold(before.held_until)
        log.info("rate.configured", source=self._name, rate=wanted)

    def silence(self) -> timedelta:
        """How long the source has asked to be left alone from now on."""
        return timedelta(seconds=max(0.0, self._local.held_until - self._now()))

    async def take(self) -> Turn:
        """A token if one is due now, else how long to wait; never waits itself."""
        if self._link is not None and self._link.connected:
            try:
                return await self._take_shared(self._link)
            except RedisAway:
                pass
        now = self._now()
        if not self._alone:
            self._alone = True
            self._local.rest(now + QUIET)
        return self._local.take(now)

    def used_late(self, granted_at: float, used_at: float) -> None:
        """A token was used so late that those after it have to keep away from that moment.

        Only this process's own are: the shared ones lie on Redis's clock, evenly spaced between all processes.
        """
        if self._alone:
            self._local.used_late(granted_at, used_at)

    async def refused(self, pause: timedelta) -> None:
        """The source answered 429: silence, and half the rate."""
        now, seconds = self._now(), min(pause, LONGEST_PAUSE).total_seconds()
        halved = self._local.refuse(now, pause=seconds)
        if self._link is not None and not self._alone:
            try:
                reply = await self._link.run(REFUSE, self._keys, (*self._arguments(), seconds))
            except RedisAway:
                pass
            else:
                halved = bool(reply[0])
                self._local.learn(float(reply[1]), now)
                self._local.hold(now + float(reply[2]))
        if halved:
            log.warning("rate.reduced", source=self._name, rate=round(self.rate, 3), pause_s=seconds)

    async def _take_shared(self, link: RedisLink) -> Turn:
        before = self._local.rate
        reply = await link.run(TAKE, self._keys, (*self._arguments(), "1" if self._alone else "0"))
        now = self._now()
        self._alone = False
        granted, wait, rate, silence = bool(reply[0]), float(reply[1]), float(reply[2]), float(reply[3])
        if rate != before:
            self._local.learn(rate, now)
        if silence > 0:
            self._local.hold(now + silence)
        return Turn(granted=granted, wait=wait, at=float(reply[4]))

    def _arguments(self) -> tuple[str | float, ...]:
        now: str | float = "" if self._clock is None else self._clock()
        return now, self._configured, self._local.rate

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()
