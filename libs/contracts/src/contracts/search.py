"""The facts of one search: its whole truth is these messages on `search.v1.<search_id>.>`."""

from decimal import Decimal

from pydantic import Field

from contracts.answer import Result
from contracts.base import Message, Value
from contracts.classification import RejectReason
from contracts.places import UF
from contracts.query import SearchQuery
from contracts.report import ObjectRef
from contracts.state import (
    AnsweredFrom,
    Counts,
    Coverage,
    Degradation,
    OperationalState,
    ResponseState,
    SearchView,
    Status,
)
from contracts.stored import StoredAnswer
from contracts.values import BidId, Modalidade, Priority, SearchId, Source
from contracts.when import UtcDatetime

MOST_GONE = 500
"""Told one by one."""


class Requested(Message):
    """Fact: a search was asked; the first of every log."""

    search_id: SearchId
    tenant: str
    query: SearchQuery
    created_at: UtcDatetime
    deadline: UtcDatetime
    """created_at + 360 s: the search has its one terminal fact by then."""
    stored_ref: ObjectRef | None = None
    """The rows of the stored answer that it was answered with."""
    refresh: bool = False
    """With a stored answer: whether this search makes it anew."""
    stored: StoredAnswer | None = None
    """The head of that answer."""
    answered_from: AnsweredFrom | None = None
    """Where it lay, and how old it was."""
    priority: Priority = Priority.USER
    """`refresh` when nobody waits for it."""
    correlation_id: str
    llm: bool = True
    """False: rules alone judge it, since its tenant's money for the day is spent."""


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


class Gone(Value):
    """A bid that was shown from the stored answer and is not in the new one, and why."""

    id: BidId
    reason_code: RejectReason | None = None
    """Why it was left out now; None: no source lists it any more."""
    message: str
    """The reason in Portuguese."""


class Usage(Value):
    """What a search has used."""

    source_requests: int = Field(default=0, ge=0)
    """Pages that were fetched for it, or while it waited for another's fetch."""
    llm_tokens: int = Field(default=0, ge=0)
    llm_usd: Decimal = Field(default=Decimal(0), ge=0)


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
    """2 where a stored answer was shown first and this one takes its place."""
    added: int = 0
    """With revision 2: rows that the stored answer had not."""
    gone: tuple[Gone, ...] = Field(default=(), max_length=MOST_GONE)
    """With revision 2: rows of the stored answer that are not in this one."""
    answered_from: AnsweredFrom | None = None
    """Of an answer from the memory: where it lay, and how old it was."""
    usage: Usage = Usage()
    at: UtcDatetime
    folded_to: int = 0
    """How far the log was read for this answer: replay folds as far and no further. 0: not known."""


class Closed(Message):
    """Fact: nothing more will be said of this search."""

    search_id: SearchId
    at: UtcDatetime
