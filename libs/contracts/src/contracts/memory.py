"""The memory: gathering the bids of a search, keeping answers, and what the ledger says of each slice."""

from datetime import date

from pydantic import Field

from contracts.base import Message, Value
from contracts.fetch import SliceStatus
from contracts.places import UF
from contracts.query import Scope
from contracts.report import ObjectRef
from contracts.state import Coverage
from contracts.values import BidId, Licitacao, Modalidade, Money, Priority, SearchId, Source
from contracts.verdict import Lens
from contracts.when import UtcDatetime


class Gather(Message):
    """Command: bring one search every bid of these slices of one source, and say what was looked at."""

    search_id: SearchId
    source: Source
    ufs: tuple[UF, ...] = Field(min_length=1)
    """The asked ones. When all 27 are asked, bids without a UF (`XX`) are emitted as well."""
    modalidades: tuple[Modalidade, ...] = Field(min_length=1)
    days: tuple[date, ...]
    """Empty with scope `open`."""
    scope: Scope = Scope.PUBLISHED
    lens: Lens
    asked_at: UtcDatetime
    """When the search was asked: a fetch begun after it is live."""
    deadline: UtcDatetime
    """Every UF is reported by then, done or not."""
    search_deadline: UtcDatetime
    """Goes into the commands to the classifier."""
    priority: Priority = Priority.USER
    tenant: str = "local"
    force_refresh: bool = False
    """True: fetch even what the ledger holds fresh."""


class SliceRun(Value):
    """Consecutive days of one modalidade that the ledger says the same of."""

    modalidade: Modalidade
    day_from: date
    """With scope `open`: the day on which it was asked what is open, as `day_to`."""
    day_to: date
    status: SliceStatus
    why: str | None = None
    fetched_at: UtcDatetime | None = None
    """The oldest fetch of the run; None when never fetched."""
    live: bool = False
    """Whether all of it was fetched for this search, or while it ran."""
    stale: bool = False
    """Whether the ledger held it due for another look when the search was asked."""

    @property
    def days(self) -> int:
        """How many slices this run stands for."""
        return (self.day_to - self.day_from).days + 1


class Gathered(Message):
    """Fact: one UF of one source is over for this search: what was looked at, and which batches were emitted."""

    search_id: SearchId
    source: Source
    uf: UF
    runs: tuple[SliceRun, ...]
    batches: tuple[str, ...] = ()
    """The keys of every `judge` command emitted for it; the UF is judged when all of them are."""
    records: int = 0
    """Bids emitted."""
    pages: int = 0
    """Pages that live fetches brought for it; of a national listing, the whole listing's."""
    duration_ms: int = 0


class Remember(Message):
    """Command: keep this finished answer under its key."""

    search_id: SearchId
    key: str
    answer_ref: ObjectRef
    coverage: Coverage
    oldest_fetched_at: UtcDatetime | None
    created_at: UtcDatetime


class Archive(Message):
    """Command: keep the log of a closed search beyond the stream's 72 hours."""

    search_id: SearchId
    closed_at: UtcDatetime


class BidQuery(Message):
    """Request: one bid by its id."""

    id: BidId


class BidChanged(Message):
    """Fact on CHANGES: a stored bid was amended: value, dates, situation or object."""

    id: BidId
    source: Source
    uf: UF
    field: str
    old: str | None
    new: str | None
    valor_estimado: Money | None = None
    seen_at: UtcDatetime


class BidReply(Message):
    """Reply: the bid as stored, or None."""

    bid: Licitacao | None
    seen_at: UtcDatetime | None = None
    changes: tuple[BidChanged, ...] = ()
    """What was amended since it was first seen, the newest first."""
