"""The facts of one search: its whole truth is these messages on `search.v1.<search_id>.>`."""

from pydantic import Field

from contracts.answer import Result
from contracts.base import Message, Value
from contracts.places import UF
from contracts.query import SearchQuery
from contracts.report import ObjectRef
from contracts.state import Counts, Coverage, Degradation, OperationalState, ResponseState, SearchView, Status
from contracts.values import Modalidade, SearchId, Source
from contracts.when import UtcDatetime


class Requested(Message):
    """Fact: a search was asked; the first of every log."""

    search_id: SearchId
    tenant: str
    query: SearchQuery
    created_at: UtcDatetime
    deadline: UtcDatetime
    """created_at + 360 s: the search has its one terminal fact by then."""
    stored_ref: ObjectRef | None = None
    refresh: bool = False
    correlation_id: str


class Cancelled(Message):
    """Fact: a wish that the search ends; the coordinator's `completed{cancelled}` ends it."""

    search_id: SearchId
    at: UtcDatetime


class Lease(Message):
    """Fact: a coordinator holds this search. Its sequence fences every later fact of the coordinator."""

    search_id: SearchId
    owner: str
    at: UtcDatetime


class AskedSource(Value):
    """What one source is asked for: every combination is one slice for each day of the query."""

    source: Source
    ufs: tuple[UF, ...]
    modalidades: tuple[Modalidade, ...]


class Planned(Message):
    """Fact: what will be looked at, and until when."""

    search_id: SearchId
    asked: tuple[AskedSource, ...] = Field(min_length=1)
    gather_deadline: UtcDatetime
    consolidation_deadline: UtcDatetime
    items_budget: int = 20
    arbitrations_budget: int = 0
    catalogue_version: str | None = None


class ProgressState(Message):
    """Fact on one subject: the HTTP state, the last one counts; derived, for cold reads only."""

    search_id: SearchId
    view: SearchView
    folded_to: int
    """The sequence of SEARCH that this view was folded to."""


class Completed(Message):
    """Fact: the one terminal fact."""

    search_id: SearchId
    status: Status
    response_state: ResponseState
    degraded: Degradation | None = None
    message: str | None = None
    answer_ref: ObjectRef | None
    """None when there is no answer to keep (empty_failure, cancelled before anything was found)."""
    counts: Counts
    coverage: Coverage
    operational_state: OperationalState
    reliability: int
    llm_pending: int = 0
    first_rows: tuple[Result, ...] = ()
    """The first rows, so that a page shows them without another read."""
    total: int = 0
    revision: int = 1
    at: UtcDatetime
    folded_to: int = 0
    """How far the log was read for this answer: replay folds as far and no further. 0: not known."""


class Closed(Message):
    """Fact: nothing more will be said of this search."""

    search_id: SearchId
    at: UtcDatetime
