"""The state of a search is a pure fold over its log: same facts, same state, whoever folds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from contracts.answer import Result
from contracts.classification import AcceptedBid, Arbitrated, Judged, RejectedBid, RejectReason, UncertainBid
from contracts.coverage import coverage_of, operational_state, reliability
from contracts.fetch import ItemsFetched
from contracts.memory import Gathered
from contracts.places import UF
from contracts.query import Sort
from contracts.ranking import ranked
from contracts.report import SpreadsheetFailed, SpreadsheetReady, SummaryReady
from contracts.search import Cancelled, Closed, Completed, Lease, Planned, ProgressState, Requested, Usage
from contracts.showing import shown
from contracts.state import (
    Counts,
    Coverage,
    Degradation,
    JobStatus,
    ResponseState,
    SearchView,
    Status,
)
from contracts.stored import StoredAnswer
from contracts.values import BidId, Source

ABANDONED_AFTER = timedelta(seconds=480)
"""The chain's outermost level: a search that nobody closed counts as ended this long after it was asked."""

STORED_REVISION = 1
"""Of a stored answer under the id of the search that it answered at once."""

Standing = AcceptedBid | RejectedBid | UncertainBid
"""How one bid stands in one search."""


@dataclass(frozen=True, slots=True)
class _Sighting:
    """One verdict on one bid, with what decides which of two verdicts holds."""

    sequence: int
    standing: Standing

    @property
    def seen_at(self) -> datetime:
        return self.standing.seen_at if isinstance(self.standing, RejectedBid) else self.standing.sighted.seen_at

    @property
    def order(self) -> tuple[datetime, int]:
        return (self.seen_at, -self.sequence)


def _keep(known: dict[BidId, _Sighting], bid_id: BidId, sighting: _Sighting) -> None:
    held = known.get(bid_id)
    if held is None or sighting.order > held.order:
        known[bid_id] = sighting


@dataclass
class SearchState:
    """What a log says so far.

    `apply` takes facts in any order that keeps each fact's own sequence, and as often as they come: it ignores what it
    has seen and what it does not know. After `completed` nothing that is found counts; after `closed` nothing but who
    holds it.
    """

    search_id: str
    last_sequence: int = 0
    requested: Requested | None = None
    requested_sequence: int = 0
    cancelled: Cancelled | None = None
    lease: Lease | None = None
    lease_sequence: int = 0
    planned: Planned | None = None
    gathered: dict[tuple[Source, UF], Gathered] = field(default_factory=dict)
    completed: Completed | None = None
    summary: SummaryReady | None = None
    spreadsheet: SpreadsheetReady | None = None
    spreadsheet_failed: SpreadsheetFailed | None = None
    progress: ProgressState | None = None
    closed: Closed | None = None
    catalogue_version: str | None = None
    last_judged_at_sequence: int = 0
    llm_tokens: int = 0
    llm_usd: Decimal = Decimal(0)
    arbitrated_batches: set[str] = field(default_factory=set)
    """Orders to arbitrate that were answered, with verdicts or without."""
    items: dict[BidId, ItemsFetched] = field(default_factory=dict)
    """What was fetched for inspection, also where nothing came; at most the search's items budget."""
    _parts: dict[str, tuple[int, set[int]]] = field(default_factory=dict)
    _sightings: dict[BidId, _Sighting] = field(default_factory=dict)
    _arbitrated: dict[BidId, AcceptedBid | RejectedBid] = field(default_factory=dict)
    _left_open: dict[BidId, _Sighting] = field(default_factory=dict)

    def apply(self, sequence: int, fact: Any) -> None:
        """Take one fact in. `sequence` is its place in SEARCH."""
        self.last_sequence = max(self.last_sequence, sequence)
        if self.closed is not None and not isinstance(
            fact, Lease
        ):  # whoever comes to archive it must see its own lease
            return
        take = self._take.get(type(fact))
        if take is not None and (self.completed is None or type(fact) in _AFTER_COMPLETED):
            take(self, sequence, fact)

    def after(self, sequence: int, fact: Any) -> "SearchState":
        """The state that this fact would lead to; this one stays as it is."""
        copy = self.copy()
        copy.apply(sequence, fact)
        return copy

    def copy(self) -> "SearchState":
        """The state as it stands, which later facts do not touch."""
        return replace(
            self,
            gathered=dict(self.gathered),
            _parts={batch: (total, set(seen)) for batch, (total, seen) in self._parts.items()},
            _sightings=dict(self._sightings),
            _arbitrated=dict(self._arbitrated),
            _left_open=dict(self._left_open),
            arbitrated_batches=set(self.arbitrated_batches),
            items=dict(self.items),
        )

    def usage(self) -> Usage:
        """What the search has used so far. The pages of a national listing are counted once, not for each UF."""
        pages: dict[tuple[Source, UF | None], int] = {}
        for (source, uf), fact in self.gathered.items():
            place = (source, None if source.national else uf)
            pages[place] = max(pages.get(place, 0), fact.pages)
        return Usage(source_requests=sum(pages.values()), llm_tokens=self.llm_tokens, llm_usd=self.llm_usd)

    @property
    def asked_places(self) -> frozenset[tuple[Source, UF]]:
        """Every source x UF that the plan asks for; empty before `planned`."""
        if self.planned is None:
            return frozenset()
        return frozenset((each.source, uf) for each in self.planned.asked for uf in each.ufs)

    @property
    def everything_gathered(self) -> bool:
        """Whether every asked place has reported."""
        return bool(self.asked_places) and self.asked_places <= self.gathered.keys()

    @property
    def open_batches(self) -> frozenset[str]:
        """Batches that a `gathered` fact names and that are not judged yet."""
        return frozenset(b for fact in self.gathered.values() for b in fact.batches if not self.judged(b))

    @property
    def everything_judged(self) -> bool:
        """Whether every asked place has reported and every batch that it emitted is judged."""
        return self.everything_gathered and not self.open_batches

    def judged(self, batch: str) -> bool:
        """Whether every part of a batch's verdicts is here."""
        total, seen = self._parts.get(batch, (1, set()))
        return len(seen) >= total  # a judge of another version may cut the same batch into more parts

    def uf_done(self, uf: UF) -> bool:
        """Whether every asked source has reported this UF and those batches are judged."""
        places = [place for place in self.asked_places if place[1] is uf]
        return bool(places) and all(
            place in self.gathered and all(self.judged(batch) for batch in self.gathered[place].batches)
            for place in places
        )

    def standings(self) -> Mapping[BidId, Standing]:
        """How each distinct bid stands: of two verdicts the newer content wins, then the lower sequence."""
        return {
            bid_id: self._arbitrated.get(bid_id) or self._inspected(bid_id, sighting)
            if isinstance(sighting.standing, UncertainBid)
            else sighting.standing
            for bid_id, sighting in self._sightings.items()
        }

    def _inspected(self, bid_id: BidId, sighting: _Sighting) -> Standing:
        """The open bid as its items left it; as it was sighted where they were not, or another content's were."""
        left = self._left_open.get(bid_id)
        return left.standing if left is not None and left.seen_at == sighting.seen_at else sighting.standing

    def accepted(self) -> tuple[AcceptedBid, ...]:
        """The bids accepted so far, by id."""
        standings = self.standings()
        return tuple(s for _, s in sorted(standings.items()) if isinstance(s, AcceptedBid))

    def uncertain(self) -> tuple[UncertainBid, ...]:
        """The bids that rules cannot decide and nothing else has, by id."""
        standings = self.standings()
        return tuple(s for _, s in sorted(standings.items()) if isinstance(s, UncertainBid))

    def rejections(self) -> Mapping[RejectReason, int]:
        """How many bids were left out for which reason (E01's breakdown)."""
        breakdown: dict[RejectReason, int] = {}
        for standing in self.standings().values():
            if isinstance(standing, RejectedBid):
                breakdown[standing.reason] = breakdown.get(standing.reason, 0) + 1
        return breakdown

    def rejected(self) -> Mapping[BidId, RejectReason]:
        """Which bids were left out, and why."""
        return {
            bid_id: standing.reason
            for bid_id, standing in self.standings().items()
            if isinstance(standing, RejectedBid)
        }

    def results(self) -> tuple[Result, ...]:
        """The accepted bids as rows, best first; merged and settled only once the search is completed."""
        return ranked(map(Result.of, self.accepted()), Sort.RELEVANCE)

    def counts(self) -> Counts:
        """Over distinct bid ids; fetched = accepted + rejected + uncertain."""
        if self.completed is not None:
            return self.completed.counts
        standings = self.standings().values()
        accepted = sum(isinstance(s, AcceptedBid) for s in standings)
        rejected = sum(isinstance(s, RejectedBid) for s in standings)
        return Counts(
            fetched=len(standings), accepted=accepted, rejected=rejected, uncertain=len(standings) - accepted - rejected
        )

    def coverage(self, *, over: bool = False) -> Coverage:
        """What was looked at so far; with `over`, what was not reported counts as failed."""
        if self.completed is not None:
            return self.completed.coverage
        if self.requested is None or self.planned is None:
            return _nothing_yet(self.requested)
        return coverage_of(
            self.planned.asked,
            days=len(self.requested.query.days),
            gathered=self.gathered,
            over=over,
        )

    def progress_pct(self) -> int:
        """0-100 for people: 5 once planned, 80 once everything is judged, then the jobs (F01), 100 closed."""
        if self.closed is not None:
            return 100
        if self.completed is not None:
            return 98 if self.spreadsheet else 85 if self.summary else 80
        if self.planned is None:
            return 1
        places = self.asked_places
        done = sum(
            1 if all(self.judged(b) for b in self.gathered[place].batches) else 0.5
            for place in places
            if place in self.gathered
        )
        return 5 + int(74 * done / len(places))

    def view(self, now: datetime) -> SearchView:
        """The HTTP state. `now` only matters for a search that nobody closed: it then counts as ended.

        Raises ValueError before `requested` is known.
        """
        if self.requested is None:
            raise ValueError("a search without its request has no state")
        completed = self.completed
        overdue = self.closed is None and now - self.requested.created_at >= ABANDONED_AFTER
        abandoned = overdue and completed is None
        coverage = self.coverage(over=abandoned)
        counts = self.counts()
        if completed is None and self.requested.stored is not None:
            return self._stored_view(self.requested.stored, abandoned=abandoned)
        looked = completed is not None or bool(self.gathered) or abandoned
        return SearchView(
            search_id=self.search_id,
            status=self._status(abandoned=abandoned),
            response_state=completed.response_state
            if completed
            else (ResponseState.EMPTY_FAILURE if counts.fetched == 0 else ResponseState.DEGRADED)
            if abandoned
            else None,
            live_fetch_in_progress=completed is None and not abandoned,
            answered_from=completed.answered_from if completed else None,
            degraded=completed.degraded
            if completed
            else Degradation(reason="A busca foi interrompida antes do fim.")
            if abandoned
            else None,
            message=completed.message if completed else None,
            coverage=coverage,
            operational_state=(
                completed.operational_state
                if completed
                else operational_state(coverage, anything_shown=counts.fetched > 0)
                if looked
                else None
            ),
            reliability=completed.reliability if completed else reliability(coverage),
            counts=counts,
            llm_status=self._job(done=self.summary is not None, failed=False, overdue=overdue),
            excel_status=self._job(
                done=self.spreadsheet is not None, failed=self.spreadsheet_failed is not None, overdue=overdue
            ),
            llm_pending=completed.llm_pending if completed else 0,
            revision=completed.revision if completed else 0,
            progress=100 if overdue else self.progress_pct(),
            created_at=self.requested.created_at,
            deadline=self.requested.deadline,
            finished_at=completed.at if completed else None,
            query=self.requested.query,
        )

    def _stored_view(self, stored: StoredAnswer, *, abandoned: bool) -> SearchView:
        """While nothing better is known the stored answer stands, whatever becomes of its refresh."""
        requested = self.requested
        assert requested is not None  # noqa: S101 - view has seen it
        told = shown(stored, now=requested.created_at)
        live = requested.refresh and not abandoned
        return SearchView(
            search_id=self.search_id,
            status=self._status(abandoned=False) if live else told.status,
            response_state=told.response_state,
            live_fetch_in_progress=live,
            answered_from=requested.answered_from,
            degraded=told.degraded,
            coverage=told.coverage,
            operational_state=told.operational_state,
            reliability=told.reliability,
            counts=stored.counts,
            llm_status=JobStatus.FAILED if abandoned else JobStatus.NONE if live else JobStatus.PROCESSING,
            excel_status=JobStatus.FAILED if abandoned else JobStatus.NONE if live else JobStatus.PROCESSING,
            llm_pending=stored.llm_pending,
            revision=STORED_REVISION,
            progress=100 if abandoned else self.progress_pct() if live else 80,
            created_at=requested.created_at,
            deadline=requested.deadline,
            finished_at=None if live else requested.created_at,
            query=requested.query,
        )

    def _status(self, *, abandoned: bool) -> Status:
        if self.completed is not None:
            return self.completed.status
        if abandoned:
            return Status.DEGRADED if self._sightings else Status.EMPTY_FAILURE
        return Status.ACCEPTED if self.lease is None and self.planned is None else Status.RUNNING

    def _job(self, *, done: bool, failed: bool, overdue: bool) -> JobStatus:
        if done:
            return JobStatus.READY
        if failed:
            return JobStatus.FAILED
        if self.completed is None or self.completed.answer_ref is None:
            return JobStatus.NONE
        return JobStatus.FAILED if overdue or self.closed is not None else JobStatus.PROCESSING

    def _take_requested(self, sequence: int, fact: Requested) -> None:
        if self.requested is None or sequence < self.requested_sequence:
            self.requested, self.requested_sequence = fact, sequence

    def _take_cancelled(self, _: int, fact: Cancelled) -> None:
        self.cancelled = self.cancelled or fact

    def _take_lease(self, sequence: int, fact: Lease) -> None:
        if sequence > self.lease_sequence:
            self.lease, self.lease_sequence = fact, sequence

    def _take_planned(self, _: int, fact: Planned) -> None:
        self.planned = self.planned or fact

    def _take_gathered(self, _: int, fact: Gathered) -> None:
        self.gathered.setdefault((fact.source, fact.uf), fact)

    def _take_judged(self, sequence: int, fact: Judged) -> None:
        _, seen = self._parts.setdefault(fact.batch, (fact.parts, set()))
        if fact.part in seen:
            return
        seen.add(fact.part)
        self.last_judged_at_sequence = max(self.last_judged_at_sequence, sequence)
        self.catalogue_version = max(self.catalogue_version or "", fact.catalogue_version)
        for accepted in fact.accepted:
            _keep(self._sightings, accepted.sighted.bid.id, _Sighting(sequence, accepted))
        for uncertain in fact.uncertain:
            _keep(self._sightings, uncertain.sighted.bid.id, _Sighting(sequence, uncertain))
        for rejected in fact.rejected:
            _keep(self._sightings, rejected.id, _Sighting(sequence, rejected))

    def _take_arbitrated(self, sequence: int, fact: Arbitrated) -> None:
        if fact.batch not in self.arbitrated_batches:
            self.llm_tokens += fact.llm_tokens
            self.llm_usd += fact.llm_usd
        self.arbitrated_batches.add(fact.batch)
        for accepted in fact.accepted:
            self._arbitrated.setdefault(accepted.sighted.bid.id, accepted)
        for rejected in fact.rejected:
            self._arbitrated.setdefault(rejected.id, rejected)
        for left in fact.left_open:
            _keep(self._left_open, left.sighted.bid.id, _Sighting(sequence, left))

    def _take_items(self, _: int, fact: ItemsFetched) -> None:
        self.items.setdefault(fact.bid_id, fact)

    def _take_completed(self, _: int, fact: Completed) -> None:
        self.completed = fact
        self.items = {}  # they are large, and have decided what they could

    def _take_summary(self, _: int, fact: SummaryReady) -> None:
        if self.summary is None or fact.revision >= self.summary.revision:
            self.summary = fact

    def _take_spreadsheet(self, _: int, fact: SpreadsheetReady) -> None:
        if self.spreadsheet is None or fact.revision >= self.spreadsheet.revision:
            self.spreadsheet = fact

    def _take_spreadsheet_failed(self, _: int, fact: SpreadsheetFailed) -> None:
        self.spreadsheet_failed = fact

    def _take_progress(self, _: int, fact: ProgressState) -> None:
        if self.progress is None or fact.folded_to >= self.progress.folded_to:
            self.progress = fact

    def _take_closed(self, _: int, fact: Closed) -> None:
        self.closed = fact

    _take: ClassVar[Mapping[type, Any]] = {
        Requested: _take_requested,
        Cancelled: _take_cancelled,
        Lease: _take_lease,
        Planned: _take_planned,
        Gathered: _take_gathered,
        Judged: _take_judged,
        Arbitrated: _take_arbitrated,
        ItemsFetched: _take_items,
        Completed: _take_completed,
        SummaryReady: _take_summary,
        SpreadsheetReady: _take_spreadsheet,
        SpreadsheetFailed: _take_spreadsheet_failed,
        ProgressState: _take_progress,
        Closed: _take_closed,
    }


def _nothing_yet(requested: Requested | None) -> Coverage:
    ufs = requested.query.ufs if requested else ()
    return Coverage(
        coverage_pct=0, ufs_requested=len(ufs), ufs_processed=0, ufs_failed=0, freshness=None, ufs_status_detail=()
    )


_AFTER_COMPLETED = frozenset({SummaryReady, SpreadsheetReady, SpreadsheetFailed, ProgressState, Closed, Lease})
