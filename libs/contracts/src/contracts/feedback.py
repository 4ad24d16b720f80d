"""What people think of single verdicts (D05), and what can be learnt from it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.base import Message, Value
from contracts.sectors import SectorId
from contracts.values import BidId, SearchId
from contracts.when import UtcDatetime


class UserVerdict(StrEnum):
    """What a person says of a verdict."""

    FALSE_POSITIVE = "false_positive"
    """Shown, and does not belong."""
    FALSE_NEGATIVE = "false_negative"
    """Left out, and belongs."""
    CORRECT = "correct"


class FeedbackCategory(StrEnum):
    """Why, as the page offers it."""

    WRONG_SECTOR = "wrong_sector"
    WRONG_MODALIDADE = "wrong_modalidade"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    TOO_FAR = "too_far"
    OTHER = "other"


class BidSnapshot(Value):
    """The bid as it was when it was judged."""

    objeto: Annotated[str, Field(max_length=8_000)]
    """Cut at its end where it is longer."""
    sector: SectorId | None = None
    terms: tuple[str, ...] = ()
    """Of the search, when it named no sector."""
    shown: bool = True
    """Whether it was accepted."""
    confidence_score: int | None = None
    matched_terms: tuple[str, ...] = ()


class TellFeedback(Message):
    """Request to the classifier: keep, change or take back what one person thinks of one bid of one search."""

    user: str = Field(pattern=r"^[A-Za-z0-9_\-]{1,64}$")
    """The public part of the key; nothing else is known of a person."""
    tenant: str
    search_id: SearchId
    bid_id: BidId
    user_verdict: UserVerdict | None
    """None takes back."""
    category: FeedbackCategory | None = None
    snapshot: BidSnapshot | None = None
    """None only where it is taken back."""


class FeedbackOutcome(StrEnum):
    """What became of it."""

    KEPT = "kept"
    CHANGED = "changed"
    REMOVED = "removed"
    NOT_FOUND = "not_found"
    LIMITED = "limited"
    OFF = "off"


class FeedbackReply(Message):
    """Reply: what became of it."""

    outcome: FeedbackOutcome
    retry_after_s: int | None = None
    """With `limited`: when the user may write again."""
    at: UtcDatetime | None = None
    """With `kept` and `changed`: when."""


class PatternsQuery(Message):
    """Request to the classifier: what the feedback on one sector, or on all, has in common."""

    sector: SectorId | None = None


class Count(Value):
    """Words that stand side by side, or together, and in how many bids."""

    words: str
    count: int


class Effect(Value):
    """What a change would do to the decisions on the labelled bids of that sector."""

    right: int
    """More bids right than before; negative when fewer."""
    false_hits: int
    misses: int


class Suggestion(Value):
    """One term or exclusion that the feedback asks for."""

    sector: SectorId
    term: str
    support: int
    """Bids of the feedback that it would mend."""
    effect: Effect | None
    """None: there are no labelled bids on this machine to measure it on."""


class SectorPatterns(Value):
    """What the feedback on one sector has in common."""

    sector: SectorId
    false_positives: int
    false_negatives: int
    correct: int
    bigrams: tuple[Count, ...]
    """Of false positives, not of what was found correct."""
    co_occurrences: tuple[Count, ...]
    """A matched term and another word of the false positives: `uniforme + fachada`."""


class PatternsReply(Message):
    """Reply: patterns per sector, and what they suggest, the best supported first."""

    patterns: tuple[SectorPatterns, ...]
    suggested_terms: tuple[Suggestion, ...]
    suggested_exclusions: tuple[Suggestion, ...]
    feedback_read: int
