"""How much of the country was really looked at: DESIGN section 5's formula, over the `gathered` facts of one search."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from contracts.fetch import SliceStatus
from contracts.memory import Gathered, SliceRun
from contracts.places import UF
from contracts.search import AskedSource
from contracts.state import Coverage, Freshness, OperationalState, UfStatus, UfStatusKind
from contracts.values import Source

Method = Literal["live", "mixed", "cached"]

_FRESHNESS_SCORE = {Freshness.LIVE: 100, Freshness.CACHED_FRESH: 80, Freshness.CACHED_STALE: 40}
_METHOD_SCORE = {"live": 100, "mixed": 70, "cached": 40}
_PARTIAL_FROM = 50
"""A05: from this coverage on, an incomplete answer is `partial`; below it is `degraded`."""

GatheredByPlace = Mapping[tuple[Source, UF], Gathered]


def coverage_of(asked: Sequence[AskedSource], *, days: int, gathered: GatheredByPlace, over: bool = False) -> Coverage:
    """The coverage of one search.

    What is fresh is the ledger's word: it depends on the day and on when it was read (DESIGN 4.5).
    `days` is how many publication days each combination is asked for (1 for the list `open today`). Until `over`, a UF
    that some asked source has not reported yet is `pending`; afterwards it is judged by what was reported.
    """
    ufs = sorted({uf for each in asked for uf in each.ufs})
    detail = tuple(_uf_status(uf, asked, days=days, gathered=gathered, over=over) for uf in ufs)
    slices_asked = sum(uf.slices_asked for uf in detail)
    slices_complete = sum(uf.slices_complete for uf in detail)
    used = _used([run for fact in gathered.values() for run in fact.runs])
    return Coverage(
        coverage_pct=_percent(slices_complete, slices_asked),
        ufs_requested=len(ufs),
        ufs_processed=sum(uf.status not in {UfStatusKind.FAILED, UfStatusKind.PENDING} for uf in detail),
        ufs_failed=sum(uf.status is UfStatusKind.FAILED for uf in detail),
        freshness=_freshness(used),
        ufs_status_detail=detail,
        slices_asked=slices_asked,
        slices_complete=slices_complete,
        method=_method(used),
        oldest_fetched_at=_oldest(used),
    )


def operational_state(coverage: Coverage, *, anything_shown: bool) -> OperationalState:
    """A05's state: green 100 %, amber 50-99 %, dark amber for stale or low coverage, red for 0 % with nothing shown."""
    if coverage.coverage_pct == 0:
        return OperationalState.DEGRADED if anything_shown else OperationalState.UNAVAILABLE
    if coverage.freshness is Freshness.CACHED_STALE or coverage.coverage_pct < _PARTIAL_FROM:
        return OperationalState.DEGRADED
    return OperationalState.OPERATIONAL if coverage.coverage_pct == 100 else OperationalState.PARTIAL  # noqa: PLR2004 - a percentage


def reliability(coverage: Coverage) -> int:
    """0-100: half coverage, 30 % freshness, 20 % method (A05); 0 when nothing was read."""
    if coverage.freshness is None or coverage.method is None:
        return 0
    points = (
        50 * coverage.coverage_pct
        + 30 * _FRESHNESS_SCORE[coverage.freshness]
        + 20 * _METHOD_SCORE[coverage.method]
    )  # fmt: skip
    return points // 100


def sources_failed(asked: Sequence[AskedSource], gathered: GatheredByPlace) -> tuple[Source, ...]:
    """The asked sources of which not one slice is complete."""
    return tuple(
        each.source
        for each in asked
        if not any(
            run.status is SliceStatus.COMPLETE
            for uf in each.ufs
            if (each.source, uf) in gathered
            for run in gathered[each.source, uf].runs
        )
    )


def _uf_status(uf: UF, asked: Sequence[AskedSource], *, days: int, gathered: GatheredByPlace, over: bool) -> UfStatus:
    places = [each for each in asked if uf in each.ufs]
    facts = [gathered[each.source, uf] for each in places if (each.source, uf) in gathered]
    runs = [run for fact in facts for run in fact.runs]
    slices_asked = sum(len(each.modalidades) for each in places) * days
    complete = min(sum(run.days for run in runs if run.status is SliceStatus.COMPLETE), slices_asked)
    used = _used(runs)
    if len(facts) < len(places) and not over:
        status = UfStatusKind.PENDING
    elif complete == slices_asked:
        stale = _freshness(used) is Freshness.CACHED_STALE
        status = UfStatusKind.CACHED if stale or not any(run.live for run in used) else UfStatusKind.COMPLETE
    else:
        status = UfStatusKind.PARTIAL if used or any(fact.records for fact in facts) else UfStatusKind.FAILED
    return UfStatus(
        uf=uf,
        status=status,
        coverage_pct=_percent(complete, slices_asked),
        slices_asked=slices_asked,
        slices_complete=complete,
        records=sum(fact.records for fact in facts),
        fetched_at=_oldest(used),
        reasons=tuple(sorted({run.why for run in runs if run.why and run.status is not SliceStatus.COMPLETE})),
    )


def _percent(part: int, whole: int) -> int:
    return 100 * part // whole if whole else 0


def _used(runs: Iterable[SliceRun]) -> list[SliceRun]:
    return [run for run in runs if run.status in {SliceStatus.COMPLETE, SliceStatus.PARTIAL} and run.fetched_at]


def _oldest(used: Iterable[SliceRun]) -> datetime | None:
    return min((run.fetched_at for run in used if run.fetched_at), default=None)


def _freshness(used: Sequence[SliceRun]) -> Freshness | None:
    if not used:
        return None
    stored = [run for run in used if not run.live]
    if not stored:
        return Freshness.LIVE
    return Freshness.CACHED_STALE if any(run.stale for run in stored) else Freshness.CACHED_FRESH


def _method(used: Sequence[SliceRun]) -> Method | None:
    if not used:
        return None
    live = {run.live for run in used}
    return "mixed" if len(live) == 2 else "live" if live == {True} else "cached"  # noqa: PLR2004 - both of two
