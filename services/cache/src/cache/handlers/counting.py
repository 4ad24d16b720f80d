"""How often stored answers are asked for: counted here, written now and then, told to operators."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from contracts.answers import (
    AnswerPriority,
    AnswerTouched,
    CacheQuery,
    CacheReply,
    EntryQuery,
    EntryReply,
    EntryState,
    Forget,
    ForgetReply,
)
from servicekit.cascade import Cascade
from servicekit.clock import Clock
from servicekit.errors import DependencyAway
from servicekit.logs import log
from servicekit.shared.answers import RedisState

SAVED_FOR: Final = timedelta(hours=24)
MOST_KEYS: Final = 10_000
_NOTHING: Final[dict[str, Any]] = {
    "hits_24h": 0, "stale_24h": 0, "misses_24h": 0, "total_entries": 0,
    "priority_distribution": {}, "age_distribution": {},
}  # fmt: skip


class Table(Protocol):
    """Where accesses are kept; each raises DependencyAway."""

    async def touched(
        self, counts: Mapping[str, int], saved: Mapping[str, datetime], *, at: datetime
    ) -> dict[str, AnswerPriority]:
        """Count accesses; gives the priorities that have changed."""

    async def cool(self, *, now: datetime) -> dict[str, AnswerPriority]:
        """Lower what was not asked for in a day; gives the priorities that have changed."""


class Figures(Protocol):
    """Counts over all entries; each raises DependencyAway."""

    async def count_hour(self, *, hits: int, stale: int, misses: int, at: datetime) -> None:
        """Add to the figures of the hour."""

    async def figures(self, *, now: datetime) -> dict[str, Any]:
        """What operators are told."""

    async def entries(self, *, key: str | None, limit: int, now: datetime) -> list[EntryState]:
        """One entry, or those asked for most."""


class Shared(Protocol):
    """L2 and the budget."""

    async def touch(self, key: str, priority: AnswerPriority) -> None:
        """Keep it by another rule from now on."""

    async def running(self) -> int:
        """Refreshes that run now."""

    async def redis(self) -> RedisState:
        """How Redis does."""


class Priorities:
    """What is known of how much each key is asked for."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, AnswerPriority] = OrderedDict()

    def of(self, key: str) -> AnswerPriority:
        """One that was never asked for again is cold."""
        return self._known.get(key, AnswerPriority.COLD)

    def note(self, key: str, priority: AnswerPriority) -> None:
        """Remember it, and let go of those that nobody has asked for in longest."""
        self._known[key] = priority
        self._known.move_to_end(key)
        while len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)


class Desk:
    """Accesses on their way into the table, and what operators ask."""

    def __init__(
        self,
        *,
        table: Table,
        figures: Figures,
        shared: Shared,
        cascade: Cascade,
        priorities: Priorities,
        tell: Callable[[AnswerTouched], None],
        now: Clock,
    ) -> None:
        self._table = table
        self._figures = figures
        self._shared = shared
        self._cascade = cascade
        self._tell = tell
        self._now = now
        self._counts: Counter[str] = Counter()
        self._saved: dict[str, datetime] = {}
        self._outcomes: Counter[str] = Counter()
        self._priorities = priorities

    async def heard(self, touched: AnswerTouched) -> None:
        """Count one access; what does not fit is let go, since an access more or less decides nothing."""
        self._outcomes[touched.outcome] += 1
        self._tell(touched)
        if len(self._counts) < MOST_KEYS and touched.outcome != "miss":
            self._counts[touched.key] += 1
        if touched.saved and len(self._saved) < MOST_KEYS:
            self._saved[touched.key] = touched.at + SAVED_FOR

    async def write_down(self) -> None:
        """Bring what was counted into the table, and what has become hotter or colder to L2."""
        counts, self._counts = self._counts, Counter()
        saved, self._saved = self._saved, {}
        outcomes, self._outcomes = self._outcomes, Counter()
        now = self._now()
        try:
            changed = await self._table.touched(counts, saved, at=now) if counts or saved else {}
            changed |= await self._table.cool(now=now)
            if outcomes:
                await self._figures.count_hour(
                    hits=outcomes["hit"], stale=outcomes["stale"], misses=outcomes["miss"], at=now
                )
        except DependencyAway:
            self._counts.update(counts)
            self._saved |= saved
            self._outcomes.update(outcomes)
            raise
        for key, priority in changed.items():
            self._priorities.note(key, priority)
            await self._shared.touch(key, priority)

    async def state(self, _query: CacheQuery) -> CacheReply:
        """How the memory of answers does; with SQL away what is known without it."""
        now = self._now()
        try:
            figures = await self._figures.figures(now=now)
        except DependencyAway:
            figures = _NOTHING
        redis = await self._shared.redis()
        return CacheReply(
            **figures,
            refreshing=await self._shared.running(),
            levels=await self._cascade.states(),
            redis=redis.state,
            redis_latency_ms=redis.latency_ms,
            redis_memory_used_mb=redis.memory_mb,
            at=now,
        )

    async def entries(self, query: EntryQuery) -> EntryReply:
        """One entry, or those asked for most."""
        found = await self._figures.entries(key=query.key, limit=query.limit, now=self._now())
        return EntryReply(entries=tuple(found))

    async def forget(self, wish: Forget) -> ForgetReply:
        """Drop one entry of every level, or all of them."""
        if wish.key is None:
            dropped = await self._cascade.clear()
        else:
            dropped = int(await self._cascade.drop(wish.key))
        log.info("answers_forgotten", key=wish.key, count=dropped)
        return ForgetReply(dropped=dropped)
