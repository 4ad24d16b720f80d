"""The state of a search as HTTP shows it (DESIGN section 5)."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from contracts.base import Value
from contracts.places import UF
from contracts.query import SearchQuery
from contracts.values import SearchId, Source
from contracts.when import UtcDatetime


class Status(StrEnum):
    """Where a search is; the last four are terminal."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPLETED = "completed"
    DEGRADED = "degraded"
    EMPTY_FAILURE = "empty_failure"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will be found."""
        return self not in {Status.ACCEPTED, Status.RUNNING}


class ResponseState(StrEnum):
    """Where the answer came from (A01)."""

    LIVE = "live"
    CACHED = "cached"
    DEGRADED = "degraded"
    EMPTY_FAILURE = "empty_failure"


class Freshness(StrEnum):
    """C03: that of the oldest slice used."""

    LIVE = "live"
    CACHED_FRESH = "cached_fresh"
    CACHED_STALE = "cached_stale"


class OperationalState(StrEnum):
    """A05: the colours of the state banner: green, amber, dark amber, red."""

    OPERATIONAL = "operational"
    PARTIAL = "partial"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


class UfStatusKind(StrEnum):
    """What became of one UF over all asked sources."""

    PENDING = "pending"
    """Not over yet; never in a finished answer."""
    COMPLETE = "complete"
    PARTIAL = "partial"
    CACHED = "cached"
    FAILED = "failed"


class JobStatus(StrEnum):
    """Of the summary and the spreadsheet."""

    NONE = "none"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class UfStatus(Value):
    """How much of one UF was really looked at."""

    uf: UF
    status: UfStatusKind
    coverage_pct: int = Field(ge=0, le=100)
    slices_asked: int
    slices_complete: int
    records: int = 0
    fetched_at: UtcDatetime | None = None
    """The oldest fetch used; None when nothing was."""
    reasons: tuple[str, ...] = ()
    """Stable codes of what was cut or failed."""


class Coverage(Value):
    """How much of the country was really looked at, and how fresh that look is (A05, C03)."""

    coverage_pct: int = Field(ge=0, le=100)
    """100 x complete slices / asked slices, rounded down."""
    ufs_requested: int
    ufs_processed: int
    ufs_failed: int
    freshness: Freshness | None
    """None when nothing was read."""
    ufs_status_detail: tuple[UfStatus, ...]
    slices_asked: int = 0
    slices_complete: int = 0
    method: Literal["live", "mixed", "cached"] | None = None
    oldest_fetched_at: UtcDatetime | None = None


class Counts(Value):
    """Over distinct bid ids before merging; fetched = accepted + rejected + uncertain, always."""

    fetched: int = 0
    accepted: int = 0
    rejected: int = 0
    uncertain: int = 0


class Degradation(Value):
    """Why an answer is less than was asked."""

    reason: str
    """Portuguese, for people; it names no source."""
    sources_failed: tuple[Source, ...] = ()
    cache_age_hours: float | None = None


class AnsweredFrom(Value):
    """Which level of the cascade served a stored answer."""

    level: Literal["memory", "database", "local"]
    cache_age_hours: float


class SearchView(Value):
    """The state of one search: the body of `GET /v1/searches/{id}` and of the fact `progress.state`."""

    search_id: SearchId
    status: Status
    response_state: ResponseState | None = None
    """None until the search is over."""
    live_fetch_in_progress: bool = False
    answered_from: AnsweredFrom | None = None
    degraded: Degradation | None = None
    message: str | None = None
    """A sentence for people where the state needs one."""
    coverage: Coverage
    operational_state: OperationalState | None = None
    """None until something was looked at or the search is over."""
    reliability: int = Field(default=0, ge=0, le=100)
    counts: Counts = Counts()
    llm_status: JobStatus = JobStatus.NONE
    excel_status: JobStatus = JobStatus.NONE
    llm_pending: int = 0
    """Uncertain bids that were settled by rules since no better judge answered in time."""
    revision: int = 0
    progress: int = Field(default=0, ge=0, le=100)
    created_at: UtcDatetime
    deadline: UtcDatetime
    finished_at: UtcDatetime | None = None
    query: SearchQuery | None = None
    """What was asked, as normalised, so that whoever opens a link knows what it is about."""
    links: dict[str, str] = Field(default_factory=dict)
