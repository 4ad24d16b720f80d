"""The orders of results: total, and the same whoever sorts, while a search runs and once it is over."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from contracts.answer import Result
from contracts.query import Sort
from contracts.verdict import RelevanceSource

_LAST = datetime.max.replace(tzinfo=UTC)
_HIGH, _MIDDLE = 80, 50
"""D02: results come in three bands of the score: >= 80, 50-79, < 50."""
_WEIGHT = {RelevanceSource.ITEM_INSPECTION: 3, RelevanceSource.KEYWORD: 2}
"""D01: item inspection 3 > keyword 2 > the rest 1."""


def ranked(rows: Iterable[Result], sort: Sort) -> tuple[Result, ...]:
    """The rows in the order asked, unknown values last; equal ones by relevance, then by id."""
    return tuple(sorted(rows, key=lambda row: (*_KEYS[sort](row), *_relevance(row), row.id)))


def _band(score: int) -> int:
    return 0 if score >= _HIGH else 1 if score >= _MIDDLE else 2


def _viability(row: Result) -> int:
    return row.viability.score if row.viability else -1


def _relevance(row: Result) -> tuple[Any, ...]:
    return (
        _band(row.confidence_score),
        -_WEIGHT.get(row.relevance_source, 1),
        -_viability(row),
        -row.confidence_score,
        -row.density,
        row.data_encerramento or _LAST,
    )


_KEYS: Mapping[Sort, Callable[[Result], tuple[Any, ...]]] = {
    Sort.RELEVANCE: lambda _: (),
    Sort.VIABILITY: lambda row: (-_viability(row),),
    Sort.CLOSING: lambda row: (row.data_encerramento or _LAST,),
    Sort.PUBLISHED: lambda row: (-row.data_publicacao.timestamp(),),
    Sort.VALUE: lambda row: (row.valor_estimado is None, -(row.valor_estimado or Decimal(0))),
}
