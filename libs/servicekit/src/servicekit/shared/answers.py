"""L2: finished answers that every process reads, in Redis, or in this process alone while Redis is away or off.

It also keeps B01's budget of refreshes, since a look and the right to refresh must be one atomic step.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Literal, Self
from weakref import WeakKeyDictionary

from contracts.answers import AnswerPriority
from contracts.stored import EntryUnreadable, StoredAnswer, fits, pack_head, unpack_head
from servicekit.clock import Clock, utc_now
from servicekit.errors import DependencyAway
from servicekit.logs import log
from servicekit.shared.answer_scripts import BEGIN, CLEAR, DROP, END, INFO, LOOK, MARK, PUT, READ, TOUCH
from servicekit.shared.link import RedisAway, RedisLink, Script
from servicekit.shared.local_answers import TTL, LocalAnswers

MOST_ROWS: Final = 2 * 1024 * 1024
"""Packed bytes of rows that L2 carries; of a larger answer it has the head alone."""
_ANSWER: Final = "farol:answer:"
_RESTS: Final = "farol:refresh:"
_RUNNING: Final = "farol:refreshing"

Verdict = Literal["begin", "joined", "no"]
_VERDICTS: Final[tuple[Verdict, ...]] = ("no", "begin", "joined")


@dataclass(frozen=True, slots=True)
class Rules:
    """B01: how many refreshes run at once, for how long at most, and how long their key rests from the beginning."""

    most: int = 3
    lasts: timedelta = timedelta(seconds=180)
    rest: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look has found; without an answer nothing is begun."""

    stored: StoredAnswer | None = None
    verdict: Verdict = "no"


@dataclass(frozen=True, slots=True)
class RedisState:
    """B04's fields."""

    state: Literal["connected", "unavailable", "off"]
    latency_ms: float | None = None
    memory_mb: float | None = None


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, LocalAnswers] = WeakKeyDictionary()


def _here() -> LocalAnswers:
    """One stand-in for all services of a process: what the memory keeps there the gateway finds there."""
    return _of_loop.setdefault(asyncio.get_running_loop(), LocalAnswers())


class SharedAnswers:
    """Open it with `async with`; entering never fails."""

    def __init__(self, url: str | None, *, rules: Rules | None = None, clock: Clock = utc_now) -> None:
        self._link = RedisLink(url) if url else None
        self.rules = rules or Rules()
        self._clock = clock
        self._was_connected = False
        self.unreadable = 0
        """Entries dropped: torn, foreign or of another version."""

    async def __aenter__(self) -> Self:
        if self._link is not None:
            await self._link.__aenter__()
        self._local = _here()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._link is not None:
            await self._link.__aexit__(kind, error, trace)

    @property
    def shared(self) -> bool:
        """Whether what is kept here is there for every process."""
        return self._link is not None and self._link.connected

    async def look(self, key: str, *, force: bool = False, may_refresh: bool = True) -> Looked:
        """The stored answer, and, when it is due or `force` is wanted, the right to make it anew: one round trip."""
        now = self._clock()
        wish = 2 if force else 1
        try:
            head, verdict = await self._run(
                LOOK, [_ANSWER + key, _RESTS + key, _RUNNING],
                [key, *self._budget(now), wish if may_refresh else 0],
            )  # fmt: skip
        except RedisAway:
            return self._look_here(key, force=force, may_refresh=may_refresh)
        if not head:
            return Looked()
        stored = await self._readable(key, head)
        return Looked(stored, _VERDICTS[int(verdict)]) if stored else Looked()

    async def get(self, key: str) -> tuple[StoredAnswer, bytes | None] | None:
        """Head and rows; rows None when they were too large, or are not those that the head names."""
        try:
            head, rows = await self._run(READ, [_ANSWER + key], [])
        except RedisAway:
            kept = self._local.get(key, now=self._clock())
            return None if kept is None else (kept.stored, kept.rows)
        if not head:
            return None
        stored = await self._readable(key, head)
        if stored is None:
            return None
        if rows and not fits(stored, rows):
            await self._drop_unreadable(key, "the rows are torn")
            return None
        return stored, rows or None

    async def put(self, stored: StoredAnswer, rows: bytes | None, priority: AnswerPriority) -> None:
        """Keep it, unless what is held is better. DependencyAway when only this process has it: keep it again later."""
        rows = rows if rows is not None and len(rows) <= MOST_ROWS else None
        ttl = TTL[priority]
        try:
            await self._run(
                PUT, [_ANSWER + stored.key],
                [
                    pack_head(stored), rows or b"", _ms(stored.due_at), stored.worth, _ms(ttl),
                ],
            )  # fmt: skip
        except RedisAway:
            self._local.put(stored, rows, priority, now=self._clock())
            if self._link is not None:
                raise DependencyAway("redis") from None

    async def touch(self, key: str, priority: AnswerPriority) -> None:
        """What is asked for more, or less, is kept by another rule from now on."""
        try:
            await self._run(TOUCH, [_ANSWER + key], [_ms(TTL[priority])])
        except RedisAway:
            self._local.touch(key, priority, now=self._clock())

    async def begin(self, key: str) -> Verdict:
        """The right to make an answer anew that L2 does not hold."""
        now = self._clock()
        try:
            return _VERDICTS[int(await self._run(BEGIN, [_RESTS + key, _RUNNING], [key, *self._budget(now)]))]
        except RedisAway:
            return self._begin_here(key, now)

    async def end(self, key: str) -> None:
        """A refresh is over; its key rests on."""
        try:
            await self._run(END, [_RUNNING], [key])
        except RedisAway:
            self._local.budget.end(key)

    async def mark(self, key: str, *, due_at: datetime | None = None, rests_until: datetime | None = None) -> None:
        """Make an entry due earlier, or let no refresh of it begin before a moment (B03)."""
        try:
            await self._run(MARK, [_ANSWER + key], [_ms(due_at), _ms(rests_until)])
        except RedisAway:
            if (kept := self._local.get(key, now=self._clock())) is not None:
                kept.due_at = min(kept.due_at, due_at) if due_at else kept.due_at
                kept.rests_until = rests_until or kept.rests_until

    async def drop(self, key: str) -> bool:
        """Forget one; False when there was none."""
        try:
            gone = bool(await self._run(DROP, [_ANSWER + key], []))
        except RedisAway:
            gone = False
        return self._local.drop(key) or gone

    async def clear(self) -> int:
        """Forget all; how many they were."""
        gone = self._local.clear()
        cursor: Any = 0
        try:
            while True:
                cursor, some = await self._run(CLEAR, [], [cursor, _ANSWER + "*"])
                gone += int(some)
                if int(cursor) == 0:
                    return gone
        except RedisAway:
            return gone

    async def running(self) -> int:
        """Refreshes that run now."""
        try:
            return int((await self._run(INFO, [_RUNNING], [_ms(self._clock())]))[1])
        except RedisAway:
            return self._local.budget.running(now=self._clock())

    async def redis(self) -> RedisState:
        """How Redis does."""
        if self._link is None:
            return RedisState("off")
        began = perf_counter()
        try:
            info, _ = await self._run(INFO, [_RUNNING], [_ms(self._clock())])
        except RedisAway:
            return RedisState("unavailable")
        took = round((perf_counter() - began) * 1000, 2)
        used = next((line for line in info.decode().splitlines() if line.startswith("used_memory:")), "used_memory:0")
        return RedisState("connected", took, round(int(used.split(":")[1]) / 1024 / 1024, 2))

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        if self._link is None:
            raise RedisAway
        try:
            reply = await self._link.run(script, keys, args)
        except RedisAway:
            self._was_connected = False
            raise
        if not self._was_connected:
            # what this process kept alone is older than what the others have kept since
            self._local.clear()
            self._was_connected = True
        return reply

    def _look_here(self, key: str, *, force: bool, may_refresh: bool) -> Looked:
        now = self._clock()
        kept = self._local.get(key, now=now)
        if kept is None:
            return Looked()
        rests = kept.rests_until is not None and now < kept.rests_until
        if not may_refresh or rests or not (force or now >= kept.due_at):
            return Looked(kept.stored)
        return Looked(kept.stored, self._begin_here(key, now))

    def _begin_here(self, key: str, now: datetime) -> Verdict:
        rules = self.rules
        verdict = self._local.budget.begin(key, now=now, most=rules.most, lasts=rules.lasts, rest=rules.rest)
        return _VERDICTS[_VERDICTS.index(verdict)]

    def _budget(self, now: datetime) -> tuple[int, int, int, int]:
        return _ms(now), self.rules.most, _ms(self.rules.lasts), _ms(self.rules.rest)

    async def _readable(self, key: str, head: bytes) -> StoredAnswer | None:
        try:
            return unpack_head(head, key=key)
        except EntryUnreadable as exc:
            await self._drop_unreadable(key, str(exc))
            return None

    async def _drop_unreadable(self, key: str, why: str) -> None:
        self.unreadable += 1
        log.warning("entry_dropped", level="memory", key=key, reason=why)
        await self.drop(key)


def _ms(of: datetime | timedelta | None) -> int:
    """Whole milliseconds; 0 for None."""
    if of is None:
        return 0
    return int((of.timestamp() if isinstance(of, datetime) else of.total_seconds()) * 1000)
