"""Judging: the commands to the classifier and what it answers."""

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from contracts.base import Message, Value
from contracts.fetch import Item
from contracts.places import UF
from contracts.values import BidId, Licitacao, SearchId, Source
from contracts.verdict import Lens, Verdict
from contracts.when import UtcDatetime


class SightedBid(Value):
    """A bid as the memory holds it."""

    bid: Licitacao
    seen_at: UtcDatetime
    """When this content was first seen; of two contents the later one is newer."""
    live: bool
    """Whether it came from a fetch begun after the search was asked."""


class JudgeBids(Message):
    """Command: judge up to 50 bids of one source and UF through the lens of one search."""

    search_id: SearchId
    batch: str = Field(pattern=r"^[a-zA-Z0-9\-]{1,60}$")
    """`<source>-<UF>-<hash of the (bid id, content hash) pairs>`: one subject token."""
    source: Source
    uf: UF
    bids: tuple[SightedBid, ...] = Field(min_length=1, max_length=50)
    lens: Lens
    deadline: UtcDatetime


class RejectReason(StrEnum):
    """Why a bid was left out; the breakdown of `filter_complete` (E01)."""

    NO_MATCH = "no_match"
    EXCLUSION = "exclusion"
    CO_OCCURRENCE = "co_occurrence"
    LOW_DENSITY = "low_density"
    VALUE = "value"
    MUNICIPIO = "municipio"
    ESFERA = "esfera"
    CLOSED = "closed"
    LLM = "llm"
    ITEMS = "items"


class Zone(StrEnum):
    """The density zones of REQUIREMENTS 4 in which rules alone do not decide."""

    STANDARD = "standard"
    """2-5 %."""
    CONSERVATIVE = "conservative"
    """0-2 %."""
    ZERO_MATCH = "zero_match"
    """0 %, but the object is generic."""


class AcceptedBid(Value):
    """A bid that belongs, whole, with why."""

    sighted: SightedBid
    verdict: Verdict


class RejectedBid(Value):
    """A bid that was left out."""

    id: BidId
    seen_at: UtcDatetime
    reason: RejectReason
    detail: str = ""
    """For instance `co-occurrence: uniformização + fachada`."""


class UncertainBid(Value):
    """A bid that rules cannot decide, with what the rules would say if nothing better comes."""

    sighted: SightedBid
    zone: Zone
    verdict: Verdict
    """As it would stand if accepted by rules: confidence low, score 50."""


class Judged(Message):
    """Fact: part `part` of `parts` of one judged batch. Every bid of the batch is in exactly one list of one part."""

    search_id: SearchId
    batch: str
    part: int = Field(default=1, ge=1)
    parts: int = Field(default=1, ge=1)
    source: Source
    uf: UF
    accepted: tuple[AcceptedBid, ...] = ()
    rejected: tuple[RejectedBid, ...] = ()
    uncertain: tuple[UncertainBid, ...] = ()
    catalogue_version: str


class ArbitrateBids(Message):
    """Command: let the items, or the LLM, decide these uncertain bids of one search (D01, D02); items come first."""

    search_id: SearchId
    batch: str
    bids: tuple[UncertainBid, ...]
    items: tuple[tuple[BidId, tuple[Item, ...]], ...] = ()
    """What was fetched of each bid, or a sample of it; a bid that is not named was not inspected."""
    ask_model: bool = True
    """False: what the items leave open stays open; the search's budget for the model is spent by other orders."""
    lens: Lens
    deadline: UtcDatetime


class Arbitrated(Message):
    """Fact: what became of uncertain bids. One neither accepted nor rejected stays so until the rules settle it."""

    search_id: SearchId
    batch: str
    accepted: tuple[AcceptedBid, ...] = ()
    rejected: tuple[RejectedBid, ...] = ()
    left_open: tuple[UncertainBid, ...] = ()
    """Bids that their items do not decide, with what those said in the verdict; one without items is not named."""
    llm_tokens: int = Field(default=0, ge=0)
    """What deciding them has used, ..."""
    llm_usd: Decimal = Field(default=Decimal(0), ge=0)
    """... and cost, in US dollars."""
