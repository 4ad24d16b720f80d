"""Pages of results keep their order, whatever comes in between."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.answer import Result
from contracts.places import UF
from contracts.query import Sort
from contracts.ranking import ranked
from contracts.state import Status
from contracts.values import Situacao, Source
from contracts.verdict import Confidence, RelevanceSource, Viability, ViabilityLevel
from gateway.domain.results import BadCursorError, ResultFilter, Rows, fold, page_of

NOON = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
ID = "9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"


def _rows(results: tuple[Result, ...], sort: Sort = Sort.RELEVANCE) -> Rows:
    return Rows(results=results, revision=1, status=Status.COMPLETED, final=True, sort=sort)


def _row(uf: UF, number: int, *, score: int = 95, value: Decimal | None = Decimal(1000)) -> Result:
    return Result(
        id=f"{number:014d}-1-000001/2026",
        source=Source.PNCP,
        uf=uf,
        municipio=None,
        orgao="Prefeitura",
        cnpj=None,
        objeto="uniformes",
        modalidade="Pregão - Eletrônico",
        modalidade_id=6,
        valor_estimado=value,
        data_publicacao=NOON - timedelta(days=number % 5),
        data_abertura=None,
        data_encerramento=NOON + timedelta(days=number) if number % 3 else None,
        situacao=Situacao.DIVULGADA,
        link=None,
        relevance_source=RelevanceSource.KEYWORD,
        confidence=Confidence.HIGH,
        confidence_score=score,
        matched_terms=(),
        evidence=(),
        reasons=(),
        viability=None,
    )


def _viable(row: Result, score: int) -> Result:
    level = ViabilityLevel.ALTA if score > 70 else ViabilityLevel.MEDIA if score >= 40 else ViabilityLevel.BAIXA
    return row.model_copy(update={"viability": Viability(score=score, level=level, factors=())})


class TestPageOf:
    @given(
        scores=st.lists(st.integers(0, 100), max_size=40),
        limit=st.integers(1, 12),
        sort=st.sampled_from(Sort),
    )
    def test_walks_every_row_once_in_a_total_order(self, scores: list[int], limit: int, sort: Sort) -> None:
        results = tuple(_row(UF.SP, n, score=score) for n, score in enumerate(scores, 1))
        seen: list[Result] = []
        cursor = None
        while True:
            page = page_of(
                _rows(results), search_id=ID, wanted=ResultFilter(), sort=sort, cursor=cursor, limit=limit
            )  # fmt: skip
            assert (page.total, page.matched) == (len(results), len(results))
            seen += page.results
            cursor = page.next_cursor
            if cursor is None:
                break
        expected = results if sort is Sort.RELEVANCE else ranked(results, sort)
        assert [row.id for row in seen] == [row.id for row in expected]

    def test_goes_on_after_the_last_row_shown_though_rows_came_in_before_it(self, told: Any) -> None:
        few = tuple(told.row(UF.SP, n, score=50) for n in (2, 4, 6, 8))
        first = page_of(_rows(few), search_id=ID, wanted=ResultFilter(), limit=2)
        more = tuple(sorted((*few, told.row(UF.SP, 1, score=90)), key=lambda row: -row.confidence_score))
        second = page_of(_rows(more), search_id=ID, wanted=ResultFilter(), cursor=first.next_cursor, limit=2)
        assert [row.id for row in second.results] == [few[2].id, few[3].id]

    @given(st.text(max_size=30))
    def test_never_fails_on_a_cursor_but_by_name(self, cursor: str) -> None:
        rows = _rows((_row(UF.SP, 1),))
        try:
            page = page_of(rows, search_id=ID, wanted=ResultFilter(), cursor=cursor)
        except BadCursorError:
            return
        assert page.total == 1


class TestFilter:
    @pytest.mark.parametrize(
        ("wanted", "kept"),
        [
            (ResultFilter(uf=(UF.RJ,)), [3]),
            (ResultFilter(viability=(ViabilityLevel.ALTA,)), [1]),
            (ResultFilter(value_min=Decimal(500)), [1, 2]),
            (ResultFilter(value_max=Decimal(500)), [2, 3]),
            (ResultFilter(q="LOTE 3"), [3]),
            (ResultFilter(q="são josé"), [1, 2, 3]),
            (ResultFilter(q="merenda"), []),
        ],
    )
    def test_keeps_what_is_asked_and_what_is_unknown(self, told: Any, wanted: ResultFilter, kept: list[int]) -> None:
        rows = {
            1: _viable(told.row(UF.SP, 1), 80),
            2: told.row(UF.SP, 2, value=None),
            3: _viable(told.row(UF.RJ, 3, value=Decimal(10)), 30),
        }
        assert [n for n, row in rows.items() if wanted.keeps(row)] == kept

    @given(st.text(max_size=40))
    def test_folding_twice_changes_nothing(self, text: str) -> None:
        assert fold(fold(text)) == fold(text)
