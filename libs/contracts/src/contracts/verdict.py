"""What a judgement of one bid says, and the lens that it was made through."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from contracts.base import Value
from contracts.places import UF
from contracts.sectors import SectorId
from contracts.values import Esfera, Money
from contracts.when import UtcDatetime

Score = Annotated[int, Field(ge=0, le=100)]


class RelevanceSource(StrEnum):
    """Who decided that a bid belongs (C02, D01, D02)."""

    KEYWORD = "keyword"
    ITEM_INSPECTION = "item_inspection"
    LLM_STANDARD = "llm_standard"
    LLM_CONSERVATIVE = "llm_conservative"
    LLM_ZERO_MATCH = "llm_zero_match"
    RULES_WITHOUT_LLM = "rules_without_llm"


class Confidence(StrEnum):
    """The shield badge: green, yellow, gray (C02)."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class ViabilityLevel(StrEnum):
    """D04: Alta > 70, Média 40-70, Baixa < 40."""

    ALTA = "alta"
    MEDIA = "media"
    BAIXA = "baixa"


class Lens(Value):
    """What a search looks for: a sector or own terms, and the filters that leave a bid out. Unknown is not outside."""

    sector: SectorId | None = None
    terms: tuple[str, ...] = ()
    catalogue_version: str | None = None
    """None: whatever catalogue the classifier runs; each `judged` fact says which it was."""
    value_min: Money | None = None
    value_max: Money | None = None
    municipio_ibge: str | None = None
    esfera: Esfera | None = None
    home_uf: UF | None = None
    """Where the supplier is; None makes the geography factor a neutral 50 that says so."""
    open_at: UtcDatetime | None = None
    """With scope `open`: what took no proposals any more at this moment is left out. None: either passes."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> "Lens":
        if (self.sector is None) == (not self.terms):
            raise ValueError("a lens has a sector or terms, and not both")
        return self


class ViabilityFactor(Value):
    """One of the four factors of D04, with the sentence that the tooltip shows."""

    name: str
    """modalidade, timeline, value or geography."""
    weight: int
    """In percent; the four sum to 100."""
    score: Score
    reason: str


class Viability(Value):
    """How winnable a bid looks, apart from whether it is relevant (D04)."""

    score: Score
    level: ViabilityLevel
    factors: tuple[ViabilityFactor, ...]


class Verdict(Value):
    """Why one bid was accepted: everything that the explanation page shows."""

    relevance_source: RelevanceSource
    confidence: Confidence
    confidence_score: Score
    density: float = Field(ge=0, le=1)
    """Matched words / words of the objeto."""
    matched_terms: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    """Literal substrings of the bid's text, or of one of its items where those decided."""
    reasons: tuple[str, ...] = ()
    """Portuguese sentences, shown as written."""
    trace: tuple[str, ...] = ()
    """Every rule that fired, in order, for the explanation page and for replay."""
    viability: Viability | None = None
