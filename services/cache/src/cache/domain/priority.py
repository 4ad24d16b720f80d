"""How much an answer is asked for, how long a failing one rests, and when an answer is due (B02, B03)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from cache.domain.ledger import FRESH_OLDER, FRESH_SAME_DAY, SliceRecord, fresh_until
from contracts.answers import AnswerPriority
from contracts.fetch import SliceStatus
from contracts.query import Scope, SearchQuery
from contracts.stored import FRESH_FOR, STALE_FOR

HOT_FROM: Final = 3
"""Accesses in 24 h."""
COUNTED_FOR: Final = timedelta(hours=24)
BACK_OFF: Final = tuple(timedelta(minutes=each) for each in (1, 5, 15, 30))
BEFORE_EXPIRY: Final = timedelta(minutes=30)
"""Hot answers are made anew so long before they are no longer fresh."""
YOUNG_DAYS: Final = 3
"""Publication days that are due sooner than 24 h after they were read."""


def priority_of(accesses: int, *, saved: bool) -> AnswerPriority:
    """Hot with 3 accesses in 24 h or as a saved search, warm with 1, else cold."""
    if saved or accesses >= HOT_FROM:
        return AnswerPriority.HOT
    return AnswerPriority.WARM if accesses else AnswerPriority.COLD


def rest_after(fail_streak: int) -> timedelta:
    """How long nobody makes an answer anew that could not be made so many times in a row: 1, 5, 15, then 30 min."""
    return BACK_OFF[min(max(fail_streak, 1), len(BACK_OFF)) - 1]


def due_at(
    query: SearchQuery, *, complete: bool, finished_at: datetime, oldest: datetime | None, young: Iterable[SliceRecord]
) -> datetime:
    """When the first slice of an answer is due; at once when it lacks something.

    `oldest` is when its oldest slice was read, `young` what the ledger says of its last days; without its word the
    soonest that it could be is taken.
    """
    if not complete:
        return finished_at
    if query.scope is Scope.OPEN or oldest is None:
        return (oldest or finished_at) + FRESH_SAME_DAY
    said = [
        fresh_until(each.key.day, each.fetched_at, each.renewed_at)
        for each in young
        if each.status is SliceStatus.COMPLETE and each.fetched_at is not None
    ]
    return max(
        min([oldest + FRESH_OLDER, finished_at + FRESH_FOR, *(said or [finished_at + FRESH_SAME_DAY])]), finished_at
    )


def wants_refresh(*, due: datetime, finished_at: datetime, now: datetime) -> bool:
    """Whether a hot answer is made anew now though nobody asks: it is due, or no longer fresh within 30 min (B02)."""
    return now >= min(due, finished_at + FRESH_FOR - BEFORE_EXPIRY) and now - finished_at <= STALE_FOR
