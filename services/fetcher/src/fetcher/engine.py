"""Fetches a claim: every range of it at once, pages through the source's lane, facts as they come."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from opentelemetry.trace import INVALID_SPAN, Span

from contracts.fetch import FetchClaim, FetchRange, PageFetched, RangeEnded, SliceStatus
from contracts.places import NATIONAL
from contracts.values import Licitacao, Priority, Source
from fetcher.asking import Asker, Tally, Wish
from fetcher.clocks import ClaimClock, ClockScope, Limits
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.drift import Drift, DriftWatch
from fetcher.domain.fair import Flow
from fetcher.domain.listing import Listing, PageAsk
from fetcher.domain.parts import split
from fetcher.domain.walk import Step, Walk
from fetcher.guard import refusal
from fetcher.lane import Ticket
from servicekit.clock import Clock
from servicekit.logs import log
from servicekit.telemetry.measures import PAGES_FETCHED, RECORDS_FETCHED

PAGES_AT_ONCE = 64
"""Pages of one range that wait or travel at once."""
UNSENT_PAGES = 32
"""Facts of one claim that wait for the bus; above it no further page is asked for."""

Fact = PageFetched | RangeEnded


class PageReader(Protocol):
    """One source."""

    source: Source

    async def read(self, ask: PageAsk, *, within: timedelta) -> Listing:
        """One page, in one request that lasts no longer than `within`; AttemptFailed when it brought none."""
        ...


class Outbox:
    """Facts on their way to the bus. Putting never waits, so that no page that came is lost; asking for more does."""

    def __init__(self) -> None:
        self._facts: asyncio.Queue[Fact | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()

    def put(self, fact: Fact | None) -> None:
        """Add a fact, or None after the last."""
        self._facts.put_nowait(fact)
        if self._facts.qsize() >= UNSENT_PAGES:
            self._room.clear()

    async def get(self) -> Fact | None:
        """The next fact; None once there are no more."""
        fact = await self._facts.get()
        if self._facts.qsize() < UNSENT_PAGES:
            self._room.set()
        return fact

    async def room(self) -> None:
        """Wait until the bus has caught up."""
        await self._room.wait()


@dataclass(eq=False)
class Run:
    """One claim while it is fetched."""

    claim: FetchClaim
    fetch_id: int
    ranges: Sequence[FetchRange]
    claim_ranges: int
    clock: ClaimClock
    flow: Flow[Ticket]
    outbox: Outbox = field(default_factory=Outbox)
    span: Span = INVALID_SPAN
    """Of its claim; whoever else is served by it is linked to it."""
    tally: Tally = field(default_factory=Tally)

    def raise_to(self, priority: Priority) -> None:
        """Someone with more right wants it."""
        if priority.rank < self.flow.priority.rank:
            self.flow.priority = priority


class Engine:
    """Fetches the claims of one source, all through one lane."""

    def __init__(
        self,
        *,
        reader: PageReader,
        asker: Asker,
        limits: Limits,
        now: Clock,
        alarm: Callable[[Drift], None] = lambda _: None,
    ) -> None:
        self._reader = reader
        self._asker = asker
        self._limits = limits
        self._now = now
        self.alarm = alarm
        self._drift = DriftWatch()
        self._runs: set[Run] = set()
        asker.limited = self._degrade

    @property
    def counted(self) -> Counter[str]:
        """How often each named rule for a source's misbehaviour had something to do, since this process began."""
        return self._asker.counted

    def notice(self, noticed: Mapping[str, int]) -> None:
        """What reading one range had to put up with."""
        for rule, times in noticed.items():
            self._asker.note(rule, times)

    @property
    def probes(self) -> int:
        """Requests that only learned how a sick source was; no rule counts them as retries."""
        return self._asker.guard.probes

    def begin(self, claim: FetchClaim, *, fetch_id: int, ranges: Sequence[FetchRange], claim_ranges: int) -> Run:
        """What `fetch` works on; raising its priority or lengthening its clock takes effect while it runs."""
        run = Run(
            claim=claim,
            fetch_id=fetch_id,
            ranges=ranges,
            claim_ranges=claim_ranges,
            clock=ClaimClock(limits=self._limits, not_after=claim.not_after, now=self._now),
            flow=Flow(
                tenant=claim.tenant,
                search=claim.search_id or "",
                place=claim.uf or NATIONAL,
                priority=claim.priority,
            ),
        )
        if self.degraded:
            run.clock.degrade()
        return run

    @property
    def degraded(self) -> bool:
        """Whether the source was sick lately or has slowed us down: its UFs are given more time."""
        return self._asker.guard.sick or self._asker.lane.rate.reduced

    def circuit_opened(self, uf: str | None) -> None:
        """Whoever waits for a turn there is sent away at once; what runs elsewhere is given more time."""
        self._asker.lane.dismiss(uf, refusal)
        if uf is None:
            self._degrade()

    def _degrade(self) -> None:
        for run in self._runs:
            run.clock.degrade()

    async def fetch(self, run: Run) -> AsyncGenerator[Fact, None]:
        """Every page when it arrives, and each range's end after its last page. Leaving early stops the requests."""
        self._runs.add(run)
        work = asyncio.create_task(self._all_ranges(run))
        work.add_done_callback(lambda _: run.outbox.put(None))
        try:
            while (fact := await run.outbox.get()) is not None:
                yield fact
            await work
        finally:
            self._runs.discard(run)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        self._tell(run)

    async def _all_ranges(self, run: Run) -> None:
        async with asyncio.TaskGroup() as group:
            for wanted in run.ranges:
                group.create_task(_RangeFetch(self, run, wanted).fetch())

    def _tell(self, run: Run) -> None:
        where = {"source": run.claim.source, "uf": run.flow.place}
        if exhausted := run.tally.exhausted:
            log.warning("fetch_retry_exhausted", **where, pages=exhausted.total(), codes=dict(exhausted))
        elif run.tally.helped:
            log.info("fetch_success", **where, retries=run.tally.helped)

    async def read(self, run: Run, ask: PageAsk) -> Listing:
        """One page with its retries, each in its turn, none begun after the deadline; AttemptFailed at the last."""
        listing = await self._asker.ask(
            Wish(
                make=lambda within: self._reader.read(ask, within=within),
                flow=run.flow,
                clock=run.clock,
                modalidade=ask.range.modalidade,
                part=ask.uf,
                tally=run.tally,
                first=ask.page == 1,
                again=run.claim.again,
            )
        )
        self._raise(self._drift.page(ask, listing))
        return listing

    def read_whole(self, run: Run, whole: FetchRange, *, records: int) -> None:
        """A list of what was published was read to its end: its volume is compared with that of before."""
        if not (whole.open_today or whole.updated or whole.count_only):
            place = f"{run.flow.place} {whole.modalidade or ''}".strip()
            days = (whole.day_to - whole.day_from).days + 1
            self._raise(self._drift.whole(place, records=records, days=days))

    def _raise(self, drifts: Sequence[Drift]) -> None:
        for drift in drifts:
            self._asker.note(f"drift.{drift.kind}")
            self.alarm(drift)


class _RangeFetch:
    """One range of a run, from its first page to its end."""

    def __init__(self, engine: Engine, run: Run, wanted: FetchRange) -> None:
        self._engine = engine
        self._run = run
        self._range = wanted
        self._walk = Walk(first_page_only=wanted.count_only)
        self._page_keys: list[str] = []
        self._now = run.clock.now
        self._created_at = self._now()

    async def fetch(self) -> None:
        """Read what can be read in time; then, and only then, tell that the range is over."""
        async with self._run.clock.scope(self._range.modalidade) as scope:
            await self._read_pages()
        self._run.outbox.put(self._ended(scope))

    async def _read_pages(self) -> None:
        reading: set[asyncio.Task[None]] = set()
        try:
            while True:
                await self._run.outbox.room()
                while len(reading) < PAGES_AT_ONCE and (step := self._walk.step()) is not None:
                    reading.add(asyncio.create_task(self._read_page(step)))
                if not reading:
                    return
                done, reading = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
                for page in done:
                    page.result()
        finally:
            for page in reading:
                page.cancel()
            if reading:
                await asyncio.wait(reading)

    async def _read_page(self, step: Step) -> None:
        ask = PageAsk(uf=self._run.claim.uf, range=self._range, page=step.page)
        try:
            listing = await self._engine.read(self._run, ask)
        except AttemptFailed as failure:
            self._walk.lose(failure.code, for_good=not failure.again)
        else:
            # Nothing is awaited between the page's arrival and its way out: a cut cannot fall between.
            self._send(step, self._walk.take(step, listing))

    def _send(self, step: Step, bids: tuple[Licitacao, ...]) -> None:
        PAGES_FETCHED.add(source=self._run.claim.source)
        RECORDS_FETCHED.add(len(bids), source=self._run.claim.source)
        parts = split(bids)
        for number, part in enumerate(parts, start=1):
            page = PageFetched(
                fetch_id=self._run.fetch_id,
                source=self._run.claim.source,
                uf=self._run.claim.uf,
                range=self._range,
                page=step.label,
                part=number,
                parts=len(parts),
                bids=part,
                fetched_at=self._now(),
            )
            self._page_keys.append(page.key)
            self._run.outbox.put(page)

    def _ended(self, scope: ClockScope) -> RangeEnded:
        outcome = self._walk.outcome(cut=scope.cut)
        self._engine.notice(self._walk.noticed)
        if outcome.status is SliceStatus.COMPLETE:
            self._engine.read_whole(self._run, self._range, records=self._walk.records + self._walk.skipped)
        national = self._run.claim.source.national
        return RangeEnded(
            fetch_id=self._run.fetch_id,
            source=self._run.claim.source,
            uf=self._run.claim.uf,
            range=self._range,
            status=outcome.status,
            why=outcome.why,
            page_keys=tuple(self._page_keys),
            pages_total=self._walk.pages_total,
            records=self._walk.records,
            published=self._walk.published,
            skipped=self._walk.skipped,
            started_at=self._run.clock.began(self._range.modalidade) or self._created_at,
            ended_at=self._now(),
            inner_from=self._range.day_from if national else None,
            inner_to=self._range.day_to if national else None,
            claim_ranges=self._run.claim_ranges,
        )
