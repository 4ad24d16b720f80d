"""Fetching serves slices, not searches: claims, pages, ends, and the bells of the ledger."""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from contracts.base import Message, Value
from contracts.places import UF
from contracts.values import BidId, Licitacao, Modalidade, Priority, SearchId, Source
from contracts.when import UtcDatetime


class SliceStatus(StrEnum):
    """What the ledger knows of a slice."""

    NEVER = "never"
    PARTIAL = "partial"
    COMPLETE = "complete"
    FAILED = "failed"
    """Asked, and not one page came."""


class FetchRange(Value):
    """Consecutive publication days of one modalidade; modalidade None is every one (a national listing)."""

    modalidade: Modalidade | None
    day_from: date
    day_to: date
    open_today: bool = False
    """Not what was published on these days: everything that takes proposals today. Both days are that of the claim."""
    updated: bool = False
    """Not what was published on these days but what was changed on them. Refreshes bids and completes no slice."""
    count_only: bool = False
    """For an audit: only page 1 is read, to learn how many records the source itself counts. Completes no slice."""


class FetchClaim(Message):
    """Command and claim in one: fetch these ranges of one source and UF. While it lies in FETCH nobody else may.

    Its sequence in FETCH is the fetch id. A claim names one search for fairness only.
    """

    source: Source
    uf: UF | None
    """None: the national listing (`fetch.v1.<source>.BR`)."""
    ranges: tuple[FetchRange, ...] = Field(min_length=1)
    priority: Priority = Priority.USER
    tenant: str = "local"
    search_id: SearchId | None = None
    not_after: UtcDatetime
    """No request is begun and no page is waited for after this."""
    claimed_at: UtcDatetime
    newer_than: UtcDatetime | None = None
    """With `force_refresh`: what was fetched before this is due even when fresh; goes into the `NeededQuery`."""
    again: bool = False
    """A second try of what failed just before (T04.3): each request is paid from the retry budget and made only while
    the circuit is closed."""


class PageFetched(Message):
    """Fact on PAGES: one page as it came, normalised. A page too large for one message comes as several parts."""

    kind: Literal["page"] = "page"
    fetch_id: int
    source: Source
    uf: UF | None
    range: FetchRange
    page: int = Field(ge=1)
    part: int = Field(default=1, ge=1)
    parts: int = Field(default=1, ge=1)
    bids: tuple[Licitacao, ...]
    fetched_at: UtcDatetime

    @property
    def key(self) -> str:
        """How its range's end names it."""
        return f"{self.page}.{self.part}"


class RangeEnded(Message):
    """Fact on PAGES: a range is over. It is complete once every page that it names is stored."""

    kind: Literal["end"] = "end"
    fetch_id: int
    source: Source
    uf: UF | None
    range: FetchRange
    status: SliceStatus
    """COMPLETE, PARTIAL (cut, with its pages kept) or FAILED (not one page)."""
    why: str | None = None
    """A stable code such as `timeout.modalidade`, `http.503`, `cancelled`; None when complete."""
    page_keys: tuple[str, ...] = ()
    pages_total: int = 0
    """As the source's own envelope said last."""
    records: int = 0
    published: int | None = None
    """Records of the range as the source's own envelope counted them last; None when it never said."""
    skipped: int = 0
    """Records that could not be read, counted and left out."""
    started_at: UtcDatetime
    ended_at: UtcDatetime
    inner_from: date | None = None
    """The days that an end makes complete, where the range had to ask a margin (PCP's UTC days); None: all of them."""
    inner_to: date | None = None
    claim_ranges: int = Field(default=1, ge=1)
    """How many ranges its claim ends in all: the claim is done once so many ends of this fetch id are in the ledger."""


PagesMessage = Annotated[PageFetched | RangeEnded, Field(discriminator="kind")]
"""What travels on `pages.v1.<source>`."""


class BellKind(StrEnum):
    """What has just happened to a source x UF."""

    STARTED = "started"
    STORED = "stored"
    ENDED = "ended"
    WANTED = "wanted"


class Bell(Message):
    """A ring on core NATS that something changed. Lossy: whoever waits also looks every 2 s."""

    kind: BellKind
    source: Source
    uf: UF | None
    fetch_id: int | None = None
    priority: Priority | None = None
    """With `wanted`: the class that the running claim is raised to."""
    not_after: UtcDatetime | None = None
    """With `wanted`: the running claim's new end, if later."""
    claim_done: bool = False
    """With `ended`: the last range of its claim is now in the ledger."""
    page: PageFetched | None = None
    """With SQL away the bell carries the page itself."""
    end: RangeEnded | None = None
    """With SQL away the bell carries the end itself."""


class NeededQuery(Message):
    """Request to the memory: which of these ranges still have to be fetched."""

    source: Source
    uf: UF | None
    ranges: tuple[FetchRange, ...]
    newer_than: UtcDatetime | None = None
    """From the claim: what was fetched before this is due even when fresh. None: freshness alone decides."""


class NeededReply(Message):
    """Reply: what is left of the ranges once fresh, complete slices are taken out."""

    ranges: tuple[FetchRange, ...]


class Item(Value):
    """One item of a licitação. `numero` is the source's own and no position: 0 and 2100054 occur."""

    numero: int
    descricao: str
    quantidade: float | None = None
    unidade: str | None = None
    valor_unitario: float | None = None
    """In reais; None when hidden or not told."""
    ncm: str | None = None
    servico: bool | None = None
    """True a service, False material, None when the source does not say."""


class Document(Value):
    """One published file of a licitação."""

    titulo: str
    tipo: str | None = None
    """As the source names it: `Edital`, `Termo de Referência`."""
    link: str
    """http or https only."""
    publicado_em: UtcDatetime | None = None


class FetchItems(Message):
    """Command: fetch the items of these uncertain bids, within the search's item budget (D01).

    Each bid is answered by one `ItemsFetched`, also when nothing came; the coordinator counts what a search may ask.
    """

    search_id: SearchId
    source: Source
    bid_ids: tuple[BidId, ...]
    deadline: UtcDatetime
    """No request is begun and no reply is waited for after this."""
    tenant: str = "local"
    """For fairness between those who wait for the source."""


class ItemsFetched(Message):
    """Fact: the items of one bid, or that they did not come (None)."""

    search_id: SearchId
    bid_id: BidId
    items: tuple[Item, ...] | None
    """Empty: the source has none."""
    why: str | None = None
    """A stable code such as `timeout.items` or `http.503`; None when the list came whole."""
    cut: bool = False
    """The source has more than these: time, or what fits one message, was over."""


class DetailsQuery(Message):
    """Request to the fetcher: items and documents of one bid, asked of its source now or read minutes ago.

    The answer comes within `DETAILS_WITHIN`; who asks waits a little longer.
    """

    bid_id: BidId
    tenant: str = "local"


DETAILS_WITHIN = timedelta(seconds=5)
"""How long the fetcher itself takes at most to answer a `DetailsQuery` (D01: 5 s a fetch)."""


class DetailsReply(Message):
    """Reply: what the source publishes of one bid beside its record. None is never `there is none`: that is empty."""

    bid_id: BidId
    items: tuple[Item, ...] | None = None
    items_why: str | None = None
    """Why they did not come, or not all: `timeout.items`, `breaker.open`, `http.503`..."""
    items_cut: bool = False
    documents: tuple[Document, ...] | None = None
    documents_why: str | None = None
    """`documents.not_public`: this source shows its files to those who log in only."""
    documents_cut: bool = False
    fetched_at: UtcDatetime
    """When the older of the two lists was read."""
