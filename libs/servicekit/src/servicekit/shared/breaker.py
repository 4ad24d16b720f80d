"""The circuit of a source and one for each of its parts, one for all processes in Redis, own ones while it is away."""

import asyncio
import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from servicekit.shared.circuit import (
    ERRORS,
    PAUSE_OVER,
    PROBE_FAILED,
    PROBES_PASSED,
    SLOW_CALLS,
    Change,
    Circuit,
    Mark,
    Outcome,
    Policy,
    State,
)
from servicekit.shared.link import RedisAway, RedisLink, Script

_BEGIN: Final = """
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = tonumber(t[1]) + tonumber(t[2]) / 1000000
end
local token = ARGV[2]
local function text(number) return string.format('%.6f', number) end
local circuits, changes = {}, {}
local PER = 8
for i = 1, #KEYS / 3 do
  local at = 3 + (i - 1) * PER
  local c = {state_key = KEYS[3 * i - 2], probes_key = KEYS[3 * i - 1], calls_key = KEYS[3 * i], index = i,
    window = tonumber(ARGV[at]), window_calls = tonumber(ARGV[at + 1]), least = tonumber(ARGV[at + 2]),
    error_rate = tonumber(ARGV[at + 3]), slow_rate = tonumber(ARGV[at + 4]), probes = tonumber(ARGV[at + 5]),
    probe_time = tonumber(ARGV[at + 6]), pauses = cjson.decode(ARGV[at + 7])}
  local s = redis.call('HMGET', c.state_key, 'state', 'generation', 'until', 'failures', 'passed')
  c.state, c.generation, c.until_ = s[1] or 'closed', tonumber(s[2]) or 0, tonumber(s[3]) or 0
  c.failures, c.passed = tonumber(s[4]) or 0, tonumber(s[5]) or 0
  -- A server whose clock went back must not stay open for as long.
  c.until_ = math.min(c.until_, now + c.pauses[#c.pauses])
  circuits[i] = c
end
local function save(c)
  redis.call('HSET', c.state_key, 'state', c.state, 'generation', c.generation, 'until', text(c.until_),
    'failures', c.failures, 'passed', c.passed)
  redis.call('EXPIRE', c.state_key, 86400)
end
local function go(c, after, reason, pause)
  table.insert(changes, c.index .. '|' .. c.state .. '|' .. after .. '|' .. reason .. '|' .. c.failures .. '|' .. pause)
  c.state, c.generation, c.passed = after, c.generation + 1, 0
  redis.call('DEL', c.probes_key, c.calls_key)
  save(c)
end
local function open(c, reason)
  c.failures = c.failures + 1
  local pause = c.pauses[math.min(c.failures, #c.pauses)]
  c.until_ = now + pause
  go(c, 'open', reason, pause)
end
local function seen()
  local all = {}
  for i, c in ipairs(circuits) do all[i] = {c.state, c.generation, text(c.until_ - now), c.failures} end
  return all
end
"""
ADMIT: Final = Script(f"""{_BEGIN}
for i, c in ipairs(circuits) do
  local wait
  if c.state == 'open' and now < c.until_ then wait = c.until_ - now end
  if c.state == 'half_open' then
    local leases = redis.call('ZRANGEBYSCORE', c.probes_key, '(' .. text(now), '+inf', 'WITHSCORES')
    if #leases / 2 + c.passed >= c.probes then wait = #leases > 0 and tonumber(leases[2]) - now or 0 end
  end
  if wait then return {{0, i, text(wait), seen(), changes}} end
end
for i, c in ipairs(circuits) do
  if c.state == 'open' then go(c, 'half_open', '{PAUSE_OVER}', 0) end
  if c.state == 'half_open' then
    redis.call('ZREMRANGEBYSCORE', c.probes_key, '-inf', text(now))
    redis.call('ZADD', c.probes_key, text(now + c.probe_time), token)
    redis.call('EXPIRE', c.probes_key, 86400)
  end
end
return {{1, 0, '0', seen(), changes}}
""")
RECORD: Final = Script(f"""{_BEGIN}
local first = 3 + #circuits * PER
local counts_above = true
for i, c in ipairs(circuits) do
  local mark = ARGV[first + (i - 1) * 2 + 1]
  local current = c.generation == tonumber(ARGV[first + (i - 1) * 2])
  local closed = c.state == 'closed'
  if current and c.state == 'half_open' then
    if redis.call('ZREM', c.probes_key, token) == 1 then
      if mark == '{Mark.FAILED}' or mark == '{Mark.SLOW}' then open(c, '{PROBE_FAILED}')
      elseif mark == '{Mark.GOOD}' then
        c.passed = c.passed + 1
        if c.passed >= c.probes then c.failures = 0 go(c, 'closed', '{PROBES_PASSED}', 0) else save(c) end
      end
    end
  elseif current and closed and counts_above and mark ~= '{Mark.UNKNOWN}' then
    redis.call('LPUSH', c.calls_key, text(now) .. mark)
    redis.call('LTRIM', c.calls_key, 0, c.window_calls - 1)
    redis.call('EXPIRE', c.calls_key, math.ceil(c.window))
    local calls, failed, slow = 0, 0, 0
    for _, call in ipairs(redis.call('LRANGE', c.calls_key, 0, -1)) do
      if tonumber(string.sub(call, 1, -2)) > now - c.window then
        local kind = string.sub(call, -1)
        calls = calls + 1
        if kind == '{Mark.FAILED}' then failed = failed + 1 elseif kind == '{Mark.SLOW}' then slow = slow + 1 end
      end
    end
    if calls >= c.least then
      if failed >= c.error_rate * calls then open(c, '{ERRORS}')
      elseif slow >= c.slow_rate * calls then open(c, '{SLOW_CALLS}') end
    end
  end
  counts_above = counts_above and current and closed
end
return {{seen(), changes}}
""")


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a call may be made, and what its result is recorded with."""

    allowed: bool
    part: str | None
    token: str
    generations: tuple[int, ...]
    shared: bool
    retry_after: float = 0.0
    """Seconds; of a refused one."""
    refused_by: str | None = None
    probe: bool = False
    """Whether a circuit that is half open lets it through to learn how its source is."""


@dataclass(slots=True)
class _Seen:
    """What this process saw last of a circuit of all processes; moments are its own."""

    state: State = State.CLOSED
    until: float = 0.0
    failures: int = 0


class Breaker:
    """Asks before each call whether it may be made, and is told how it ended.

    The parts (UFs) are bulkheads: a call needs the consent of its part's circuit and of the whole source's, and calls
    of a part whose circuit is not closed do not count against the source.
    """

    def __init__(
        self,
        source: str,
        *,
        policy: Policy,
        part_policy: Policy,
        tell: Callable[[Change], None],
        link: RedisLink | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._source = source
        self._policy, self._part_policy = policy, part_policy
        self._tell = tell
        self._link = link
        self._clock = clock
        """None: Redis's own, and the loop's in this process; a test passes one for both."""
        self._own: dict[str, Circuit] = {}
        self._seen: dict[str, _Seen] = {}
        self._refused_until: dict[str, float] = {}
        self._alone = link is None
        self._sick_at: float | None = None
        self._tokens = (f"{uuid.uuid4().hex}:{number}" for number in itertools.count())

    @property
    def source(self) -> str:
        """Whose calls it lets through."""
        return self._source

    async def admit(self, part: str | None = None) -> Admission:
        """Consent or refusal, at once."""
        token = next(self._tokens)
        if self._link is not None and self._link.connected:
            try:
                reply = await self._link.run(ADMIT, self._keys(part), self._arguments(part, token))
            except RedisAway:
                pass
            else:
                return self._admission(part, token, reply)
        self._leave()
        return self._admit_alone(part, token)

    async def record(self, admission: Admission, outcome: Outcome, took: float) -> None:
        """Count how an admitted call ended, `took` seconds after it began."""
        await self._settle(admission, {each.name: each.policy.mark(outcome, took) for each in self._of(admission.part)})

    async def release(self, admission: Admission) -> None:
        """The caller gave the call up: its place is free, nothing is counted."""
        await self._settle(admission, {each.name: Mark.UNKNOWN for each in self._of(admission.part)})

    def refuses(self, part: str | None = None) -> bool:
        """Whether a call would be refused, as far as this process knows without asking."""
        return any(self._now() < self._refused_until.get(each.name, 0.0) for each in self._of(part))

    def sick_within(self, seconds: float) -> bool:
        """Whether the source's own circuit was seen other than closed in so many last seconds."""
        return self._sick_at is not None and self._now() - self._sick_at <= seconds

    @property
    def state(self) -> State:
        """Of the source's own circuit, as this process saw it last."""
        if self._alone:
            return self._circuit(self._source, self._policy).state
        return self._seen.get(self._source, _Seen()).state

    @property
    def parts_not_closed(self) -> dict[str, State]:
        """The parts of the source whose circuit this process last saw open or half open."""
        known = self._own if self._alone else self._seen
        return {
            name.removeprefix(f"{self._source}."): each.state
            for name, each in known.items()
            if name != self._source and each.state is not State.CLOSED
        }

    async def _settle(self, admission: Admission, marks: dict[str, Mark]) -> None:
        circuits = self._of(admission.part)
        if admission.shared and self._link is not None:
            ends: list[str | float] = []
            for each, generation in zip(circuits, admission.generations, strict=True):
                ends += [generation, marks[each.name]]
            arguments = (*self._arguments(admission.part, admission.token), *ends)
            try:
                reply = await self._link.run(RECORD, self._keys(admission.part), arguments)
            except RedisAway:
                return
            self._learn(admission.part, reply[0], reply[1])
            return
        counts_above = True
        for each, generation in zip(circuits, admission.generations, strict=True):
            current, closed = generation == each.generation, each.state is State.CLOSED
            if current and (counts_above or not closed):
                self._told(each.record(self._now(), admission.token, marks[each.name]))
            counts_above = counts_above and current and closed

    def _admit_alone(self, part: str | None, token: str) -> Admission:
        now, circuits = self._now(), self._of(part)
        for each in circuits:
            if (wait := each.refuses_for(now)) is not None:
                self._refused(each.name, wait, each.state)
                return Admission(
                    allowed=False,
                    part=part,
                    token=token,
                    generations=(),
                    shared=False,
                    retry_after=wait,
                    refused_by=each.name,
                )
        for each in circuits:
            self._told(each.admit(now, token))
        generations = tuple(each.generation for each in circuits)
        probe = any(each.state is State.HALF_OPEN for each in circuits)
        return Admission(allowed=True, part=part, token=token, generations=generations, shared=False, probe=probe)

    def _admission(self, part: str | None, token: str, reply: Any) -> Admission:
        allowed, index, wait, seen, changes = reply
        self._alone = False
        self._learn(part, seen, changes)
        refused_by = None
        if not allowed:
            refused_by = self._of(part)[index - 1].name
            self._refused(refused_by, float(wait), self._seen[refused_by].state)
        return Admission(
            allowed=bool(allowed),
            part=part,
            token=token,
            generations=tuple(int(each[1]) for each in seen),
            shared=True,
            retry_after=float(wait),
            refused_by=refused_by,
            probe=bool(allowed) and any(_text(each[0]) == State.HALF_OPEN for each in seen),
        )

    def _learn(self, part: str | None, seen: Any, changes: Any) -> None:
        now, circuits = self._now(), self._of(part)
        for each, (state, _, left, failures) in zip(circuits, seen, strict=True):
            known = _Seen(State(_text(state)), now + float(left), int(failures))
            self._seen[each.name] = known
            if known.state is State.CLOSED:
                self._refused_until.pop(each.name, None)
            elif each.name == self._source:
                self._sick_at = now
        for change in changes:
            index, before, after, reason, failures, pause = _text(change).split("|")
            self._told(
                Change(
                    circuit=circuits[int(index) - 1].name,
                    before=State(before),
                    after=State(after),
                    reason=reason,
                    failures=int(failures),
                    pause=float(pause),
                    shared=True,
                )
            )

    def _told(self, change: Change | None) -> None:
        if change is None:
            return
        if change.circuit == self._source:
            self._sick_at = self._now()
        if change.after is State.OPEN:
            self._refused_until[change.circuit] = self._now() + change.pause
        else:
            self._refused_until.pop(change.circuit, None)
        self._tell(change)

    def _refused(self, name: str, wait: float, state: State) -> None:
        # Probes may end at any moment: only an open circuit's time is known beforehand.
        self._refused_until[name] = self._now() + (wait if state is State.OPEN else min(wait, HALF_OPEN_REFUSAL))

    def _leave(self) -> None:
        """Redis is away from now on: what was open there stays so here."""
        if self._alone:
            return
        self._alone = True
        for name, known in self._seen.items():
            if known.state is not State.CLOSED:
                self._own[name].adopt(known.until, known.failures)
        self._seen.clear()

    def _of(self, part: str | None) -> tuple[Circuit, ...]:
        source = self._circuit(self._source, self._policy)
        return (source,) if part is None else (self._circuit(f"{self._source}.{part}", self._part_policy), source)

    def _circuit(self, name: str, policy: Policy) -> Circuit:
        if name not in self._own:
            self._own[name] = Circuit(name, policy)
        return self._own[name]

    def _keys(self, part: str | None) -> list[str]:
        return [
            f"farol:{{{self._source}}}:breaker:{each.name}:{what}"
            for each in self._of(part)
            for what in ("state", "probes", "calls")
        ]

    def _arguments(self, part: str | None, token: str) -> list[str | float]:
        arguments: list[str | float] = ["" if self._clock is None else self._clock(), token]
        for policy in (each.policy for each in self._of(part)):
            pauses = [policy.pause(failures) for failures in range(1, 12)]
            arguments += [
                policy.window,
                policy.window_calls,
                policy.least_calls,
                policy.error_rate,
                policy.slow_rate,
                policy.probes,
                policy.probe_time,
                str(pauses),
            ]
        return arguments

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()


HALF_OPEN_REFUSAL: Final = 1.0
"""Seconds for which a refusal by a half-open circuit is believed without asking again."""


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
