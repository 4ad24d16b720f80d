"""What becomes of a stored answer when a search ends: served as it is, replaced by a better one, or filled up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.answer import Answer, Result
from contracts.classification import RejectReason
from contracts.fold import STORED_REVISION
from contracts.ranking import ranked
from contracts.report import ObjectRef
from contracts.search import MOST_GONE, Completed, Gone, Requested
from contracts.showing import shown
from contracts.state import AnsweredFrom, Counts, Degradation, ResponseState, Status
from contracts.stored import Level, StoredAnswer, hours
from contracts.values import BidId


@dataclass(frozen=True, slots=True)
class Held:
    """A stored answer with its rows."""

    stored: StoredAnswer
    answer: Answer
    answered_from: AnsweredFrom
    seen: bool
    """Whether it was shown when the search was asked."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How a search ends."""

    answer: Answer
    ref: ObjectRef | None = None
    """Of the stored answer, where it is served as it lies."""
    answered_from: AnsweredFrom | None = None
    added: int = 0
    gone: tuple[Gone, ...] = ()


def held_of(stored: StoredAnswer, answer: Answer, *, level: Level, seen: bool, now: datetime) -> Held:
    """A stored answer as found at a level."""
    return Held(stored, answer, stored.answered_from(level, now), seen)


def settled(live: Answer, held: Held | None, *, rejections: Mapping[BidId, RejectReason], now: datetime) -> Settled:
    """The better of what was found now and what was stored; what was shown goes only for a reason that is told.

    What was found now counts when it looked at no less. Otherwise the stored answer stands, with what was found now
    added to it, and is told as what it is: cached and degraded (A01, A02).
    """
    if held is None:
        return Settled(live)
    before = _ids(held.answer.results)
    added = [row for row in live.results if not _ids((row,)) & before]
    if live.status is not Status.EMPTY_FAILURE and live.coverage.coverage_pct >= held.stored.coverage.coverage_pct:
        if not held.seen:
            return Settled(live)
        answer = live.model_copy(update={"revision": STORED_REVISION + 1})
        return Settled(answer, added=len(added), gone=_gone(held.answer.results, _ids(live.results), rejections))
    kept = [row for row in held.answer.results if row.id not in rejections]
    same = not added and len(kept) == len(held.answer.results)
    return Settled(
        _filled_up(live, held, added, kept, now=now, same=same),
        ref=held.stored.ref if same else None,
        answered_from=held.answered_from,
        added=len(added),
        gone=_gone(held.answer.results, _ids(kept), rejections) if held.seen else (),
    )


def _filled_up(
    live: Answer, held: Held, added: list[Result], kept: list[Result], *, now: datetime, same: bool
) -> Answer:
    told = shown(held.stored, now=now)
    old = hours(now - held.stored.finished_at)
    rejected = max(held.stored.counts.rejected, live.counts.rejected)
    fresher = {row.id: row for row in live.results}
    rows = ranked([*(fresher.get(row.id, row) for row in kept), *added], live.query.sort)
    return live.model_copy(
        update={
            "revision": STORED_REVISION + 1 if held.seen and not same else STORED_REVISION,
            "status": Status.DEGRADED,
            "response_state": ResponseState.CACHED,
            "degraded": Degradation(
                reason="Não foi possível consultar tudo agora: a resposta guardada foi mantida, com o que há de novo.",
                sources_failed=live.degraded.sources_failed if live.degraded else held.stored.sources_failed,
                cache_age_hours=old,
            ),
            "coverage": told.coverage,
            "operational_state": told.operational_state,
            "reliability": told.reliability,
            "counts": Counts(fetched=len(rows) + rejected, accepted=len(rows), rejected=rejected),
            "results": rows,
        }
    )


def served(requested: Requested, stored: StoredAnswer, rows: tuple[Result, ...], *, now: datetime) -> Completed:
    """The terminal fact of a search that the stored answer has answered."""
    told = shown(stored, now=requested.created_at)
    return Completed(
        search_id=requested.search_id,
        status=told.status,
        response_state=told.response_state,
        degraded=told.degraded,
        message=told.degraded.reason if told.degraded else None,
        answer_ref=stored.ref,
        counts=stored.counts,
        coverage=told.coverage,
        operational_state=told.operational_state,
        reliability=told.reliability,
        llm_pending=stored.llm_pending,
        first_rows=rows,
        total=stored.total,
        revision=STORED_REVISION,
        answered_from=requested.answered_from,
        at=now,
    )


def _ids(rows: "tuple[Result, ...] | list[Result]") -> set[BidId]:
    return {bid_id for row in rows for bid_id in (row.id, *row.also_in)}


def _gone(before: tuple[Result, ...], left: set[BidId], rejections: Mapping[BidId, RejectReason]) -> tuple[Gone, ...]:
    missing = [row.id for row in before if not _ids((row,)) & left]
    return tuple(
        Gone(id=bid_id, reason_code=rejections.get(bid_id), message=_why(rejections.get(bid_id)))
        for bid_id in missing[:MOST_GONE]
    )


def _why(reason: RejectReason | None) -> str:
    if reason is None:
        return "Não consta mais entre as publicações consultadas."
    if reason is RejectReason.CLOSED:
        return "O prazo para propostas terminou."
    return "Mudou e não atende mais ao que se procura."
