"""A finished answer as the memory keeps it: what every level of the cascade holds, and which of two is the better.

The head says everything but the rows; the rows are the answer's packed bytes, which the head's reference names by
their hash. Whatever does not fit its own hash, or answers another key, is no entry.
"""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from contracts.answer import Answer
from contracts.base import Value
from contracts.report import ObjectRef
from contracts.state import AnsweredFrom, Counts, Coverage, Status
from contracts.values import SearchId, Source
from contracts.when import UtcDatetime

FRESH_FOR: Final = timedelta(hours=6)
STALE_FOR: Final = timedelta(hours=24)
"""B01. What is older is not served any more."""
_WORTH_OF_ONE_PERCENT: Final = int(FRESH_FOR.total_seconds() * 10)
_MAGIC: Final = b"farol-answer-1"
_DIGEST: Final = 32


class EntryUnreadable(ValueError):
    """These bytes are no entry of this key: torn, foreign, or of another version."""


class Level(StrEnum):
    """A level of the cascade: L2, L1 and L3 in the order in which they are asked."""

    MEMORY = "memory"
    DATABASE = "database"
    LOCAL = "local"


class Age(StrEnum):
    """How an answer counts by its age."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


class StoredAnswer(Value):
    """The head of a stored answer."""

    key: str
    search_id: SearchId
    """Whose search found it."""
    ref: ObjectRef
    status: Status
    sources_failed: tuple[Source, ...] = ()
    """What was away when it was made: their return makes it due."""
    coverage: Coverage
    counts: Counts
    llm_pending: int = 0
    total: int
    """Rows."""
    catalogue_version: str | None = None
    finished_at: UtcDatetime
    due_at: UtcDatetime
    """From when on a hit has it made anew: when the first of its slices is due."""

    @classmethod
    def of(cls, answer: Answer, *, key: str, ref: ObjectRef, due_at: datetime) -> "StoredAnswer":
        """The head of a finished answer; what could not be complete is due at once."""
        return cls(
            key=key,
            search_id=answer.search_id,
            ref=ref,
            status=answer.status,
            sources_failed=answer.degraded.sources_failed if answer.degraded else (),
            coverage=answer.coverage,
            counts=answer.counts,
            llm_pending=answer.llm_pending,
            total=len(answer.results),
            catalogue_version=answer.catalogue_version,
            finished_at=answer.finished_at,
            due_at=due_at,
        )

    def age(self, now: datetime) -> Age:
        """Fresh up to 6 h, stale up to 24 h (B01)."""
        return age_of(now - self.finished_at)

    def answered_from(self, level: Level, now: datetime) -> AnsweredFrom:
        """What a reader is told of where it comes from."""
        return AnsweredFrom(level=level.value, cache_age_hours=hours(now - self.finished_at))

    @property
    def worth(self) -> int:
        """What decides of two: six hours weigh as much as the whole coverage, in milliseconds of age.

        One number makes the order total, so that every level keeps the same of any two whatever came first. What is
        both more complete and newer is never replaced; a complete answer gives way to any that is 6 h newer.
        """
        return int(self.finished_at.timestamp() * 1000) + self.coverage.coverage_pct * _WORTH_OF_ONE_PERCENT

    def better_than(self, other: "StoredAnswer") -> bool:
        """Whether it may take the other's place."""
        return (self.worth, self.ref.sha256) > (other.worth, other.ref.sha256)


def age_of(old: timedelta) -> Age:
    """Fresh up to 6 h, stale up to 24 h (B01)."""
    return Age.FRESH if old <= FRESH_FOR else Age.STALE if old <= STALE_FOR else Age.EXPIRED


def hours(age: timedelta) -> float:
    """Hours with one decimal; a clock that is behind makes nothing younger than now."""
    return max(0.0, round(age.total_seconds() / 3600, 1))


def pack_head(stored: StoredAnswer) -> bytes:
    """The bytes of a head: whatever is torn or changed of them shows."""
    body = stored.to_json()
    return b"%s %s %s" % (_MAGIC, hashlib.sha256(body).hexdigest()[:_DIGEST].encode(), body)


def unpack_head(packed: bytes, *, key: str) -> StoredAnswer:
    """The head in these bytes; raises EntryUnreadable."""
    magic, _, rest = packed.partition(b" ")
    digest, _, body = rest.partition(b" ")
    if magic != _MAGIC or hashlib.sha256(body).hexdigest()[:_DIGEST].encode() != digest:
        raise EntryUnreadable("torn or foreign")
    try:
        stored = StoredAnswer.model_validate_json(body)
    except ValidationError as exc:
        raise EntryUnreadable(f"{exc.error_count()} fields are not a head's") from exc
    if stored.key != key:
        raise EntryUnreadable("of another key")
    return stored


def fits(stored: StoredAnswer, packed_answer: bytes) -> bool:
    """Whether these are the very rows that a head names."""
    return len(packed_answer) == stored.ref.size and hashlib.sha256(packed_answer).hexdigest() == stored.ref.sha256


def pack_entry(stored: StoredAnswer, packed_answer: bytes) -> bytes:
    """Head and rows in one piece, as a file holds them."""
    return pack_head(stored) + b"\n" + packed_answer


def unpack_entry(packed: bytes, *, key: str) -> tuple[StoredAnswer, bytes]:
    """Head and rows; raises EntryUnreadable. A head is JSON on one line."""
    head, _, rows = packed.partition(b"\n")
    stored = unpack_head(head, key=key)
    if not fits(stored, rows):
        raise EntryUnreadable("the rows are torn")
    return stored, rows
