import io
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console, RenderableType

from contracts.answer import Result
from contracts.places import UF
from contracts.state import Coverage, Degradation, SearchView, Status, UfStatusKind
from contracts.values import Situacao, Source
from contracts.verdict import Confidence, RelevanceSource, Viability, ViabilityLevel
from farol import show
from farol.board import Board
from farol.sse import ServerEvent

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)


def shown(renderable: RenderableType, *, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def row(**changes: Any) -> Result:
    fields: dict[str, Any] = {
        "id": "PCP-1",
        "source": Source.PCP,
        "uf": UF.SP,
        "municipio": "Campinas",
        "orgao": "Prefeitura de Campinas",
        "cnpj": None,
        "objeto": "Aquisição de [bold]uniformes[/bold] escolares",
        "modalidade": "Pregão",
        "modalidade_id": 6,
        "valor_estimado": Decimal("1234.5"),
        "data_publicacao": NOW,
        "data_abertura": None,
        "data_encerramento": datetime(2026, 12, 1, 2, 0, tzinfo=UTC),
        "situacao": Situacao.DIVULGADA,
        "link": None,
        "relevance_source": RelevanceSource.KEYWORD,
        "confidence": Confidence.HIGH,
        "confidence_score": 95,
        "matched_terms": (),
        "evidence": (),
        "reasons": (),
        "viability": Viability(score=72, level=ViabilityLevel.ALTA, factors=()),
    }
    return Result(**{**fields, **changes})


def view(status: Status, **changes: Any) -> SearchView:
    coverage = Coverage(
        coverage_pct=78, ufs_requested=9, ufs_processed=7, ufs_failed=2, freshness=None, ufs_status_detail=()
    )
    return SearchView(search_id="0" * 32, status=status, coverage=coverage, created_at=NOW, deadline=NOW, **changes)


class TestTable:
    def test_shows_rank_value_closing_day_confidence_and_viability(self) -> None:
        text = shown(show.table_of([row(), row(uf=UF.MG)], width=140))
        assert re.search(r"1 .* SP .* Prefeitura de Campinas", text)
        assert "R$\N{NO-BREAK SPACE}1.234,50" in text
        assert "30/11/2026" in text
        assert "alta 95" in text
        assert "alta 72" in text
        assert re.search(r"2 .* MG ", text)

    def test_takes_no_markup_from_a_bid(self) -> None:
        assert "[bold]uniformes[/bold]" in shown(show.table_of([row()], width=140))

    def test_says_what_is_unknown(self) -> None:
        text = shown(show.table_of([row(valor_estimado=None, data_encerramento=None, viability=None)], width=140))
        assert text.count("não informado") == 2

    @pytest.mark.parametrize("width", [60, 80, 100, 200])
    def test_fits_any_terminal(self, width: int) -> None:
        text = shown(show.table_of([row(objeto="palavra " * 100)], width=width), width=width)
        assert "95" in text
        assert "72" in text
        assert max(map(len, text.splitlines())) <= width


class TestHeadline:
    def test_counts_what_is_shown_and_what_there_is(self) -> None:
        assert shown(show.headline(view(Status.COMPLETED), shown=20, total=31)).strip() == (
            "Busca concluída: 31 licitações (as 20 primeiras)"
        )

    def test_says_why_it_is_less_than_was_asked(self) -> None:
        degraded = view(Status.DEGRADED, degraded=Degradation(reason="O tempo acabou."))
        assert "dados parciais: 1 licitação. O tempo acabou." in shown(show.headline(degraded, shown=1, total=1))

    def test_never_speaks_of_no_bids_when_nothing_could_be_looked_at(self) -> None:
        text = shown(show.headline(view(Status.EMPTY_FAILURE), shown=0, total=0))
        assert "Fontes temporariamente indisponíveis" in text
        assert "licitaç" not in text


class TestCoverageLine:
    def test_says_percent_and_states(self) -> None:
        line = show.coverage_line(view(Status.COMPLETED).coverage)
        assert line.plain == "78% de cobertura — 7 de 9 estados"
        assert "yellow" in str(line.style)


class TestBoard:
    def test_shows_each_uf_as_it_stands(self) -> None:
        board = Board.of([UF.SP, UF.MG])
        over = {"uf": "SP", "status": UfStatusKind.COMPLETE, "coverage_pct": 100, "items_count": 4, "total_items": 80}
        board.apply(ServerEvent("uf_completed", over, "e-1"))
        text = shown(show.board_of(board, seconds=3.2))
        assert re.search(r"SP\s+São Paulo\s+completa\s+80\s+4", text)
        assert re.search(r"MG\s+Minas Gerais\s+consultando\s+0", text)
        assert "3.2 s" in text


class TestCut:
    def test_ends_at_a_word(self) -> None:
        assert show.cut("aquisição de gêneros alimentícios", 22) == "aquisição de gêneros…"
        assert show.cut("curto", 22) == "curto"
