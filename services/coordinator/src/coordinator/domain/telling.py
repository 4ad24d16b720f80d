"""What is said at the end of a search: the terminal fact, the jobs, and what the memory is to keep."""

from collections.abc import Sequence
from datetime import datetime

from contracts.answer import Result
from contracts.answers import Attempted
from contracts.memory import Remember
from contracts.report import MakeSpreadsheet, ObjectRef, Summarize
from contracts.search import Completed, Requested, Usage
from contracts.state import Status
from contracts.subjects import ATTEMPTED, REMEMBER, SPREADSHEET, SUMMARIZE, Outgoing
from contracts.values import Priority
from coordinator.domain.close import message_of
from coordinator.domain.stored import Settled

FIRST_ROWS = 10
"""Rows that the terminal fact itself carries at most ..."""
FIRST_ROWS_BYTES = 128 * 1024
"""... and how large they may be together: half of what a message may be."""


def jobs(completed: Completed, ref: ObjectRef, *, by: datetime) -> tuple[Outgoing, Outgoing]:
    """The orders for summary and spreadsheet."""
    key = f"{completed.search_id}:{completed.revision}:1"
    job = {"search_id": completed.search_id, "revision": completed.revision, "answer_ref": ref, "deadline": by}
    return (
        SUMMARIZE.message(Summarize.model_validate(job), dedup=key),
        SPREADSHEET.message(MakeSpreadsheet.model_validate(job), dedup=key),
    )


def nobody_waits(requested: Requested) -> bool:
    """The memory has made an answer anew of itself: it needs no summary and no spreadsheet."""
    return requested.priority is Priority.REFRESH and requested.stored is None


def to_the_memory(completed: Completed, requested: Requested) -> Outgoing:
    """The new answer, or that there is none: what came from the memory is no news to it."""
    ref, key = completed.answer_ref, f"{completed.search_id}:{completed.revision}:1"
    if ref is None or completed.status is Status.CANCELLED or completed.answered_from is not None:
        served_only = requested.stored is not None and not requested.refresh
        attempt = Attempted(
            search_id=completed.search_id,
            key=requested.query.key,
            status=Status.CANCELLED if served_only else completed.status,
            at=completed.at,
        )
        return ATTEMPTED.message(attempt, dedup=key)
    command = Remember(
        search_id=completed.search_id,
        key=requested.query.key,
        answer_ref=ref,
        coverage=completed.coverage,
        oldest_fetched_at=completed.coverage.oldest_fetched_at,
        created_at=requested.created_at,
    )
    return REMEMBER.message(command, dedup=key)


def completed_of(end: Settled, ref: ObjectRef | None, *, folded_to: int, usage: Usage) -> Completed:
    """The one terminal fact."""
    answer = end.answer
    return Completed(
        search_id=answer.search_id,
        status=answer.status,
        response_state=answer.response_state,
        degraded=answer.degraded,
        message=message_of(answer),
        answer_ref=ref,
        counts=answer.counts,
        coverage=answer.coverage,
        operational_state=answer.operational_state,
        reliability=answer.reliability,
        llm_pending=answer.llm_pending,
        added=end.added,
        gone=end.gone,
        answered_from=end.answered_from,
        first_rows=first_rows(answer.results),
        total=len(answer.results),
        revision=answer.revision,
        usage=usage,
        at=answer.finished_at,
        folded_to=folded_to,
    )


def first_rows(results: Sequence[Result]) -> tuple[Result, ...]:
    """As many of the first rows as fit: one objeto may be longer than all others together."""
    rows: list[Result] = []
    size = 0
    for row in results[:FIRST_ROWS]:
        size += len(row.to_json())
        if size > FIRST_ROWS_BYTES:
            break
        rows.append(row)
    return tuple(rows)
