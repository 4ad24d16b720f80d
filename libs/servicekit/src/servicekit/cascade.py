"""The cascade L2 -> L1 -> L3 as one function: the best that a living level holds, with its level and its age."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from contracts.answers import LevelState
from contracts.stored import Age, Level, StoredAnswer
from servicekit.clock import Clock, utc_now
from servicekit.errors import DependencyAway, Transient
from servicekit.logs import log
from servicekit.shared.circuit import Circuit, Outcome, Policy

T = TypeVar("T")

MOST_MISSED: Final = 10_000

PATIENCE: Final = Policy(
    window=30.0, window_calls=20, least_calls=3, error_rate=0.5, probes=1, probe_time=5.0, first_pause=1.0,
    longest_pause=30.0,
)  # fmt: skip
"""A level that has failed three of its last calls is not asked for a second, then twice as long, at most 30 s."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored answer with its packed rows; None where a level holds the head alone."""

    stored: StoredAnswer
    rows: bytes | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What the cascade serves."""

    entry: Entry
    level: Level
    age: Age
    sure: bool = False
    """No level that could have a better one was away."""


class Shelf(Protocol):
    """One level's store. Each raises DependencyAway; what cannot be read is dropped and counted by the store itself."""

    @property
    def unreadable(self) -> int:
        """Entries dropped so far."""

    async def get(self, key: str) -> tuple[StoredAnswer, bytes | None] | None:
        """Head and rows."""

    async def keep(self, entry: Entry) -> None:
        """Keep it, unless what is held is better."""

    async def drop(self, key: str) -> bool:
        """Forget it."""

    async def clear(self) -> int:
        """Forget all."""

    async def count(self) -> int | None:
        """How many entries there are; None when that costs too much."""


@dataclass(eq=False)
class Tier:
    """A level: its store behind a time limit and a breaker of its own."""

    level: Level
    shelf: Shelf
    limit: timedelta
    """Of one call."""
    away: bool = False
    missed: set[str] = field(default_factory=set)
    """Keys of which it has missed a write that is not known to be replayed: its own may not be the best."""
    missed_more: bool = False
    """It has missed more than are remembered: none of its own is surely the best."""
    circuit: Circuit = field(init=False)

    def __post_init__(self) -> None:
        self.circuit = Circuit(f"level:{self.level}", PATIENCE)

    def lacks(self, key: str) -> bool:
        """Whether another level may hold a better entry of this key."""
        return self.missed_more or key in self.missed

    def has_missed(self, key: str) -> None:
        """Remember that a write did not reach it."""
        self.missed.add(key)
        if len(self.missed) > MOST_MISSED:
            self.missed.clear()
            self.missed_more = True

    async def call(self, work: Callable[[], Awaitable[T]], *, limit: timedelta | None = None) -> T:
        """The store's reply; DependencyAway when it is away, too slow, or rests after having been so."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self.circuit.refuses_for(began) is not None:
            raise DependencyAway(self.level.value, f"{self.level} rests")
        token = f"{began}-{id(work)}"
        self.circuit.admit(began, token)
        try:
            async with asyncio.timeout((limit or self.limit).total_seconds()):
                reply = await work()
        except (Transient, TimeoutError) as exc:
            self._failed(exc, token)
            raise DependencyAway(self.level.value, str(exc) or "too slow") from exc
        except BaseException:
            self.circuit.record(loop.time(), token, PATIENCE.mark(Outcome.CLIENT, 0.0))
            raise
        self.circuit.record(loop.time(), token, PATIENCE.mark(Outcome.OK, 0.0))
        if self.away:
            self.away = False
            log.info("level_back", level=self.level.value)
        return reply

    def _failed(self, exc: Exception, token: str) -> None:
        self.circuit.record(asyncio.get_running_loop().time(), token, PATIENCE.mark(Outcome.NETWORK, 0.0))
        if not self.away:
            self.away = True
            # a store that says itself that it is away has told so; of one that hangs nobody has
            tell = log.info if isinstance(exc, DependencyAway) and exc.dependency != "files" else log.warning
            tell("level_away", level=self.level.value, reason=str(exc) or "too slow")


class Cascade:
    """Reads the first level that has it; writes to all of them, and says which have missed it."""

    def __init__(self, tiers: Sequence[Tier], *, clock: Clock = utc_now) -> None:
        self._tiers = tuple(tiers)
        self._clock = clock

    async def find(self, key: str, *, rows: bool = False) -> Found | None:
        """The best answer of this key that a living level holds, unless it is older than 24 h.

        A level that may lack a newer one is only the last word when no other level has a better. With `rows` an entry
        whose rows a level does not hold is looked for further down.
        """
        best: Found | None = None
        behind: list[tuple[Tier, Found]] = []
        silent = False
        for tier in self._tiers:
            try:
                found = await self._look(tier, key)
            except DependencyAway:
                silent = True
                continue
            if found is None or (rows and found.entry.rows is None):
                continue
            if best is None or found.entry.stored.better_than(best.entry.stored):
                best = found
            if not tier.lacks(key):
                break
            behind.append((tier, found))
        if best is None or silent:
            return best
        for tier, found in behind:
            if not best.entry.stored.better_than(found.entry.stored):
                tier.missed.discard(key)
        return replace(best, sure=True)

    async def _look(self, tier: Tier, key: str) -> Found | None:
        held = await tier.call(lambda: tier.shelf.get(key))
        if held is None or (age := held[0].age(self._now())) is Age.EXPIRED:
            return None
        return Found(Entry(*held), tier.level, age)

    async def keep(self, entry: Entry, *, limit: timedelta = timedelta(seconds=5)) -> tuple[Level, ...]:
        """Keep it, or a better one that a level holds, at every level; gives the levels that have missed it.

        A level that is away may hold a better one: until it has been read none of the others is the last word.
        """
        key = entry.stored.key
        held = await self.find(key)
        if held is not None and held.entry.rows is not None and held.entry.stored.better_than(entry.stored):
            entry = held.entry
        missed = []
        for tier in self._tiers:
            try:
                await self._keep(tier, entry, limit)
            except DependencyAway:
                missed.append(tier.level)
        if missed or (held is not None and not held.sure):
            for tier in self._tiers:
                tier.has_missed(key)
        return tuple(missed)

    async def keep_at(self, level: Level, entry: Entry, *, limit: timedelta = timedelta(seconds=5)) -> None:
        """Keep what a level had missed; raises DependencyAway while it is still away."""
        tier = next(tier for tier in self._tiers if tier.level is level)
        await self._keep(tier, entry, limit)

    async def refill(self, found: Found) -> None:
        """Keep what a lower level had at those above it, whose time was over; only the surely best one."""
        for tier in self._tiers if found.sure else ():
            if tier.level is found.level:
                return
            try:
                await self._keep(tier, found.entry, tier.limit)
            except DependencyAway:
                continue  # it holds none, or is read together with the others

    async def drop(self, key: str) -> bool:
        """Forget it at every level that is there; whether any had it."""
        return any([bool(await self._all(tier, lambda tier=tier: tier.shelf.drop(key))) for tier in self._tiers])  # type: ignore[misc]

    async def clear(self) -> int:
        """Forget everything; the most entries that one level had."""
        counts = [await self._all(tier, lambda tier=tier: tier.shelf.clear()) for tier in self._tiers]  # type: ignore[misc]
        return max((each or 0 for each in counts), default=0)

    async def states(self) -> tuple[LevelState, ...]:
        """How each level does."""
        return tuple([await self._state(tier) for tier in self._tiers])

    async def _state(self, tier: Tier) -> LevelState:
        try:
            entries = await tier.call(tier.shelf.count)
            available = True
        except DependencyAway:
            entries, available = None, False
        return LevelState(
            level=tier.level, available=available, entries=entries, behind=tier.missed_more or bool(tier.missed),
            unreadable=tier.shelf.unreadable,
        )  # fmt: skip

    async def _all(self, tier: Tier, work: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await tier.call(work, limit=timedelta(seconds=5))
        except DependencyAway:
            return None

    async def _keep(self, tier: Tier, entry: Entry, limit: timedelta) -> None:
        await tier.call(lambda: tier.shelf.keep(entry), limit=limit)

    def _now(self) -> datetime:
        return self._clock()
