"""Asking the memory for finished answers, keeping them, and what operators are told of them."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from contracts.base import Message, Value
from contracts.report import ObjectRef
from contracts.state import Status
from contracts.stored import Age, Level, StoredAnswer
from contracts.values import SearchId
from contracts.when import UtcDatetime


class AnswerPriority(StrEnum):
    """How much an answer is asked for (B02)."""

    HOT = "hot"
    WARM = "warm"
    COLD = "cold"


class AnswerQuery(Message):
    """Request: the stored answer for this key, if there is one."""

    key: str
    force_refresh: bool = False
    """Begin a refresh though it is not due."""
    may_refresh: bool = True
    """False: only look; nobody makes it anew."""


class AnswerReply(Message):
    """Reply: the stored answer, if any."""

    answer_ref: ObjectRef | None
    created_at: UtcDatetime | None = None
    refresh: bool = False
    """Whether whoever asks is to make it anew."""
    joined: bool = False
    """Whether somebody else is making it anew already."""
    stored: StoredAnswer | None = None
    level: Level | None = None
    """Where it lay."""


class Attempted(Message):
    """Command: note that a search of this key has ended without anything better to keep (B03)."""

    search_id: SearchId
    key: str
    status: Status
    at: UtcDatetime


class KeepAtLevel(Message):
    """Command: keep an answer at a level of the cascade that was away when it was remembered."""

    level: Level
    stored: StoredAnswer


class AnswerTouched(Message):
    """Bell: a stored answer was asked for; lossy, for priorities (B02) and rates (B05)."""

    key: str
    outcome: Literal["hit", "stale", "miss"]
    at: UtcDatetime
    saved: bool = False
    """A saved search asks for it."""


class ArchiveQuery(Message):
    """Request: what is left of a search whose log is gone."""

    search_id: SearchId


class ArchiveReply(Message):
    """Reply: the archived log, or that it was let go; both None: nobody ever archived such a search."""

    archive: ObjectRef | None = None
    tenant: str | None = None
    closed_at: UtcDatetime | None = None


class CacheQuery(Message):
    """Request: how the memory of answers does."""


class LevelState(Value):
    """One level of the cascade as one cache process sees it."""

    level: Level
    available: bool
    entries: int | None = None
    """None where counting would cost too much, or the level is away."""
    behind: bool = False
    """Whether writes that it missed wait to be replayed."""
    unreadable: int = 0
    """Entries dropped since the process began: torn, foreign or of another version."""


class CacheReply(Message):
    """Reply: figures for operators (B03, B04, B05)."""

    hits_24h: int
    stale_24h: int
    misses_24h: int
    total_entries: int
    priority_distribution: dict[str, int]
    age_distribution: dict[str, int]
    """Entries that are `fresh`, `stale` and `expired`."""
    degraded_keys: tuple[str, ...] = Field(default=(), max_length=100)
    """Keys whose refresh has failed and rests."""
    degraded_keys_count: int = 0
    avg_fail_streak: float = 0.0
    """Over all keys."""
    refreshing: int = 0
    """Refreshes that run now, over all processes while Redis is there."""
    levels: tuple[LevelState, ...]
    redis: Literal["connected", "unavailable", "off"]
    redis_latency_ms: float | None = None
    redis_memory_used_mb: float | None = None
    at: UtcDatetime


class EntryQuery(Message):
    """Request: one entry, by its key; or, with no key, the entries asked for most."""

    key: str | None = None
    limit: int = Field(default=50, ge=1, le=200)


class EntryState(Value):
    """What is kept under one key (B02, B03)."""

    key: str
    priority: AnswerPriority
    age: Age
    access_count: int
    last_accessed_at: UtcDatetime | None
    last_success_at: UtcDatetime | None
    last_attempt_at: UtcDatetime | None
    fail_streak: int
    degraded_until: UtcDatetime | None
    fetch_duration_ms: int | None
    coverage_pct: int
    total: int
    size: int
    """Bytes of the packed rows."""
    finished_at: UtcDatetime
    due_at: UtcDatetime


class EntryReply(Message):
    """Reply: the entries, those asked for most first."""

    entries: tuple[EntryState, ...]


class Forget(Message):
    """Request: drop one entry of every level, or, with no key, all of them."""

    key: str | None = None


class ForgetReply(Message):
    """Reply: how many entries were dropped."""

    dropped: int
