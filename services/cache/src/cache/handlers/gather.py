"""The long handler: one search x source, from the first look into the memory to the last `gathered` fact."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from cache.domain.batches import StoredBid
from cache.domain.gathering import Gathering
from cache.domain.ledger import SliceRecord
from contracts.fetch import Bell, BellKind, FetchClaim, PageFetched, RangeEnded, SliceStatus
from contracts.memory import Gather, Gathered
from contracts.places import NATIONAL, UF
from contracts.subjects import BELL, CANCELLED, CLAIM, COMPLETED, GATHERED, JUDGE, Outgoing
from contracts.values import Modalidade, Source
from servicekit.bus import Delivery, Stored
from servicekit.clock import Clock
from servicekit.errors import AlreadyInFlight, DependencyAway
from servicekit.logs import log
from servicekit.telemetry.measures import CACHE_HITS, CACHE_MISSES

TICK = timedelta(seconds=2)
"""Bells are lossy: so often a gather looks of itself."""
LINGER = timedelta(seconds=1)
"""So long an unfilled batch waits for more, so that ten bids a page do not become a message each."""
SQL_PATIENCE = timedelta(seconds=5)
"""So long a UF with nothing left to fetch waits for SQL to come back before it is reported without."""


class Rung(Protocol):
    """What was heard while waiting."""

    @property
    def done(self) -> frozenset[UF | None]:
        """The places of which a claim is over, so that another may be made."""

    @property
    def carried(self) -> Sequence[PageFetched | RangeEnded]:
        """With SQL away: what the bells brought themselves."""


class Ear(Protocol):
    """Waits for bells of its places."""

    async def rung(self, *, within: timedelta) -> Rung:
        """Return at a bell, or when the time is over; bells in a row are one."""


class BellTower(Protocol):
    """Where to listen."""

    def waiting(self, source: Source, ufs: Collection[UF]) -> AbstractContextManager[Ear]:
        """An ear for what happens to these UFs of a source."""


class Memory(Protocol):
    """What is stored; each raises DependencyAway."""

    async def seq(self) -> int:
        """The `store_seq` of the last commit."""

    async def ledger(
        self,
        source: Source,
        *,
        ufs: Collection[UF],
        modalidades: Collection[Modalidade],
        first: date,
        last: date,
        after: int = 0,
    ) -> list[SliceRecord]:
        """What the ledger holds of these slices, told later than `after`."""

    def stored(self, source: Source, uf: UF, *, first: date, last: date) -> AsyncIterator[list[StoredBid]]:
        """Every bid of one UF published on these days."""

    def still_open(self, source: Source, uf: UF, *, at: datetime) -> AsyncIterator[list[StoredBid]]:
        """Every bid of one UF that takes proposals at a moment, as far as is known."""

    def news(self, source: Source, *, ufs: Collection[UF], after: int) -> AsyncIterator[list[StoredBid]]:
        """Every bid of these UFs stored later than `after`."""

    async def pages(self, source: Source, uf: UF, *, first: date, last: date, since: datetime) -> int:
        """How many pages fetches brought since a moment."""


class SearchBus(Protocol):
    """The log of the search, and the queue of claims."""

    async def publish(self, outgoing: Outgoing) -> Any:
        """Store a claim; raises AlreadyInFlight."""

    async def last(self, subject: str) -> Stored | None:
        """The newest fact on a subject."""

    async def history(self, search_id: str) -> Sequence[Stored]:
        """Every fact of a search, in order."""


async def gather(
    command: Gather,
    _delivery: Delivery,
    *,
    memory: Memory,
    bells: BellTower,
    bus: SearchBus,
    now: Clock,
    retry_delay: Callable[[], timedelta],
) -> AsyncIterator[Outgoing]:
    """Emit every bid of the asked slices to the classifier and report each UF once, whatever fails on the way."""
    said = {fact.subject for fact in await bus.history(command.search_id)}
    if said & _last_words(command):
        return
    place = {"search_id": command.search_id, "source": command.source}
    reported = [uf for uf in command.ufs if GATHERED.subject(**place, uf=uf) in said]
    run = _Run(command, reported, memory=memory, bus=bus, now=now, retry_delay=retry_delay)
    with bells.waiting(command.source, run.ufs) as ear:
        async for outgoing in run.from_start_to_end(ear):
            yield outgoing


def _last_words(command: Gather) -> set[str]:
    return {topic.subject(search_id=command.search_id) for topic in (CANCELLED, COMPLETED)}


class _Run:
    """One delivery of one gather."""

    def __init__(
        self,
        command: Gather,
        reported: Iterable[UF],
        *,
        memory: Memory,
        bus: SearchBus,
        now: Clock,
        retry_delay: Callable[[], timedelta],
    ) -> None:
        self._command = command
        self._memory = memory
        self._bus = bus
        self._now = now
        self._retry_delay = retry_delay
        self._state = Gathering(command, reported=reported, now=now())
        self._seen = 0
        """Everything stored up to this `store_seq` was taken."""
        self._away_since: datetime | None = None
        self._losses = 0
        """How often SQL did not answer."""
        self._next_tick = now() + TICK
        self._first, self._last = min(self._state.days), max(self._state.days)
        self.ufs: tuple[UF, ...] = (*self._state.ufs, *((UF.XX,) if self._state.without_uf else ()))

    async def from_start_to_end(self, ear: Ear) -> AsyncIterator[Outgoing]:
        """Look, claim, emit, report; then again at each bell and tick, until no UF is open."""
        upto = await self._learn()
        for look in (self._claim(), self._read(self._stored_bids(), upto), self._report()):
            async for outgoing in look:
                yield outgoing
        while self._state.open:
            rung = await ear.rung(within=self._nap())
            tick = self._ticks()
            if tick and await self._over():
                return
            for message in rung.carried:
                self._state.overhear(message, now=self._now(), retry_delay=self._retry_delay())
            for look in (self._catch_up(), self._claim(None if tick else rung.done), self._report()):
                async for outgoing in look:
                    yield outgoing

    @property
    def _days(self) -> dict[str, date]:
        return {"first": self._first, "last": self._last}

    def _nap(self) -> timedelta:
        until = min(self._next_tick, self._state.report_at) - self._now()
        return min(max(until, timedelta(0)), LINGER if self._state.holds_any else TICK)

    def _ticks(self) -> bool:
        if self._now() < self._next_tick:
            return False
        self._next_tick = self._now() + TICK
        return True

    async def _over(self) -> bool:
        return any([await self._bus.last(subject) is not None for subject in sorted(_last_words(self._command))])

    # -- the memory

    async def _learn(self) -> int:
        """Read what the ledger says anew; the `store_seq` up to which bids may be read next is looked up before it."""
        try:
            upto = await self._memory.seq()
            if upto != self._seen:
                records = await self._memory.ledger(
                    self._state.source,
                    ufs=self._state.ufs,
                    modalidades=self._command.modalidades,
                    **self._days,
                    after=self._seen,
                )
                self._state.learn(records, now=self._now(), retry_delay=self._retry_delay())
        except DependencyAway:
            self._lost()
            return self._seen
        self._found()
        return upto

    async def _catch_up(self) -> AsyncIterator[Outgoing]:
        """Take what was stored since: the ledger first, so that the bids of every slice it calls complete are there."""
        upto = await self._learn()
        if upto != self._seen:
            async for outgoing in self._read(self._new_bids(), upto):
                yield outgoing
        for outgoing in self._ready():
            yield outgoing

    async def _read(self, bids: AsyncIterator[Outgoing], upto: int) -> AsyncIterator[Outgoing]:
        """Emit these bids; only what was read to its end counts as read."""
        async for outgoing in bids:
            yield outgoing
        if self._away_since is None:
            self._seen = upto
            self._state.caught_up()

    async def _new_bids(self) -> AsyncIterator[Outgoing]:
        if self._seen:
            async for outgoing in self._emit(self._memory.news(self._state.source, ufs=self.ufs, after=self._seen)):
                yield outgoing
        else:
            async for outgoing in self._stored_bids():
                yield outgoing

    async def _stored_bids(self) -> AsyncIterator[Outgoing]:
        for uf in self._state.ufs:
            async for outgoing in self._emit(self._rows(uf)):
                yield outgoing

    def _rows(self, uf: UF) -> AsyncIterator[list[StoredBid]]:
        if self._command.days:
            return self._memory.stored(self._state.source, uf, **self._days)
        return self._memory.still_open(self._state.source, uf, at=self._command.asked_at)

    async def _emit(self, rows: AsyncIterator[list[StoredBid]], *, last: bool = False) -> AsyncIterator[Outgoing]:
        try:
            async for page in rows:
                self._state.take(page, now=self._now(), last=last)
                for outgoing in self._ready():
                    yield outgoing
        except DependencyAway:
            self._lost()

    def _ready(self, flush: Collection[UF] = ()) -> list[Outgoing]:
        return [
            JUDGE.message(command, dedup=f"{command.search_id}:{command.batch}:1")
            for command in self._state.ready(now=self._now(), linger=LINGER, flush=flush)
        ]

    def _lost(self) -> None:
        self._losses += 1
        if self._away_since is None:
            self._away_since = self._now()
            log.warning("gather.sql_away", source=self._command.source)

    def _found(self) -> None:
        self._away_since = None

    # -- claims

    async def _claim(self, places: Collection[UF | None] | None = None) -> AsyncIterator[Outgoing]:
        """Claim what is waited for, in these places or in all.

        What another's fetch is bringing already is asked to hurry and to go on long enough.
        """
        for claim in self._state.claims(now=self._now()):
            if places is not None and claim.uf not in places:
                continue
            try:
                await self._bus.publish(CLAIM.message(claim, source=claim.source, uf=claim.uf or NATIONAL))
            except AlreadyInFlight:
                yield _wanted(claim)
            else:
                self._state.claimed(claim, now=self._now())

    # -- the report

    async def _report(self) -> AsyncIterator[Outgoing]:
        late = self._now() >= self._state.report_at
        for uf in self._state.finished(now=self._now()):
            without = {UF.XX} if self._state.without_uf and self._state.is_last(uf) else set()
            again = {uf} if self._state.passed_over(uf) or self._away_since is not None else set()
            for each in sorted(again | without):
                async for outgoing in self._read_again(each):
                    yield outgoing
            if not late and self._may_come_back():
                return
            for outgoing in self._ready({uf} | without):
                yield outgoing
            fact = self._state.report(uf, pages=await self._pages(uf), now=self._now())
            _count(fact)
            yield GATHERED.message(fact, search_id=fact.search_id, source=fact.source, uf=fact.uf)

    async def _read_again(self, uf: UF) -> AsyncIterator[Outgoing]:
        """The last look at one UF: what was passed over, and what could not be read before."""
        losses = self._losses
        async for outgoing in self._emit(self._rows(uf), last=True):
            yield outgoing
        if self._losses == losses:
            self._state.caught_up(uf)

    def _may_come_back(self) -> bool:
        return self._away_since is not None and self._now() - self._away_since < SQL_PATIENCE

    async def _pages(self, uf: UF) -> int:
        try:
            return await self._memory.pages(self._state.source, uf, **self._days, since=self._command.asked_at)
        except DependencyAway:
            self._lost()
            return 0


def _count(fact: Gathered) -> None:
    stored = sum(run.days for run in fact.runs if run.status is SliceStatus.COMPLETE and not run.live)
    CACHE_HITS.add(stored, level="ledger")
    CACHE_MISSES.add(sum(run.days for run in fact.runs) - stored, level="ledger")


def _wanted(claim: FetchClaim) -> Outgoing:
    bell = Bell(
        kind=BellKind.WANTED,
        source=claim.source,
        uf=claim.uf,
        priority=claim.priority,
        not_after=claim.not_after,
    )
    return BELL.message(bell, source=claim.source, uf=claim.uf or NATIONAL)
