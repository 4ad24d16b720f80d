"""What people say of verdicts (D05): kept, counted, and read for what it has in common."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from classifier.domain.patterns import Given, patterns_of, suggested, suggestions
from classifier.domain.relevance import Judge
from classifier.domain.scoring import Labelled
from contracts.feedback import (
    FeedbackOutcome,
    FeedbackReply,
    PatternsQuery,
    PatternsReply,
    SectorPatterns,
    Suggestion,
    TellFeedback,
)
from contracts.sectors import SectorId
from contracts.when import UtcDatetime
from servicekit.clock import Clock


class FeedbackBook(Protocol):
    """Where feedback is kept; raises DependencyAway while it cannot be."""

    async def take(self, told: TellFeedback, *, now: UtcDatetime) -> FeedbackReply:
        """Keep, change or remove one row."""

    async def given(self, sector: SectorId | None) -> list[Given]:
        """The newest feedback."""


async def tell(told: TellFeedback, *, book: FeedbackBook | None, clock: Clock) -> FeedbackReply:
    """One person's word on one bid; without a book feedback is switched off."""
    if book is None:
        return FeedbackReply(outcome=FeedbackOutcome.OFF)
    return await book.take(told, now=clock())


async def patterns(
    query: PatternsQuery, *, book: FeedbackBook | None, judge: Judge, labelled: Sequence[Labelled]
) -> PatternsReply:
    """What the feedback has in common, and what it asks of the catalogue. Measuring takes seconds: off the loop."""
    given = await book.given(query.sector) if book is not None else []
    return await asyncio.to_thread(_read, given, judge, labelled)


def _read(given: Sequence[Given], judge: Judge, labelled: Sequence[Labelled]) -> PatternsReply:
    by_sector: dict[SectorId, list[Given]] = {}
    for each in given:
        by_sector.setdefault(each.sector, []).append(each)
    found: list[SectorPatterns] = []
    terms: list[Suggestion] = []
    exclusions: list[Suggestion] = []
    for sector, mine in sorted(by_sector.items()):
        found.append(patterns_of(sector, mine))
        for into, changes in zip(
            (terms, exclusions), suggestions(sector, mine, catalogue=judge.catalogue), strict=True
        ):
            into.extend(suggested(change, support, judge=judge, labelled=labelled) for change, support in changes)
    return PatternsReply(
        patterns=tuple(found),
        suggested_terms=tuple(sorted(terms, key=_worth)),
        suggested_exclusions=tuple(sorted(exclusions, key=_worth)),
        feedback_read=len(given),
    )


def _worth(suggestion: Suggestion) -> tuple[int, str, str]:
    return (-suggestion.support, suggestion.sector, suggestion.term)
