import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.answer import Answer
from contracts.places import UF
from contracts.search import Completed
from contracts.state import Degradation, Freshness, ResponseState, Status, UfStatus, UfStatusKind
from contracts.summary import coverage_sentence, summarize, summarize_outcome

NAMES_A_SOURCE = re.compile(r"pncp|portal de compras|\bpcp\b|\d+ (fontes|bases)", re.IGNORECASE)


def partial_coverage(answer: Answer) -> Any:
    rj = UfStatus(uf=UF.RJ, status=UfStatusKind.PARTIAL, coverage_pct=50, slices_asked=50, slices_complete=25)
    ba = UfStatus(uf=UF.BA, status=UfStatusKind.FAILED, coverage_pct=0, slices_asked=50, slices_complete=0)
    return answer.coverage.model_copy(
        update={
            "coverage_pct": 62,
            "ufs_requested": 4,
            "ufs_processed": 3,
            "ufs_failed": 1,
            "ufs_status_detail": (*answer.coverage.ufs_status_detail, rj, ba),
        }
    )


class TestSummarize:
    def test_counts_the_bids_and_sums_the_known_values(self, answer: Any, result: Any) -> None:
        text = summarize(answer((result(1), result(2), result(3, valor_estimado=None)))).text
        assert "Foram encontradas 3 licitações de Vestuário e uniformes em MG e SP" in text
        assert "publicadas de 13/11/2026 a 22/11/2026" in text
        assert "O valor estimado soma R$\N{NO-BREAK SPACE}2.469,12 (1 sem valor informado)." in text

    def test_speaks_of_one_bid_in_the_singular(self, answer: Any, result: Any) -> None:
        assert summarize(answer((result(),))).text.startswith("Foi encontrada 1 licitação de Vestuário")

    def test_puts_the_ufs_with_most_bids_first(self, answer: Any, result: Any) -> None:
        rows = (result(1), result(2, uf=UF.MG), result(3, uf=UF.MG))
        assert "UFs com mais licitações: MG (2) e SP (1)." in summarize(answer(rows)).text

    def test_lists_the_nearest_closing_dates_in_brasilia_time_and_leaves_out_what_is_over(
        self, answer: Any, result: Any
    ) -> None:
        over = result(1, data_encerramento=datetime(2026, 11, 22, 15, 0, tzinfo=UTC), orgao="Fechada")
        later = result(2, data_encerramento=datetime(2026, 12, 5, 12, 0, tzinfo=UTC), orgao="Depois")
        # 02:30 UTC on the 1st is still 30 November in Brasília.
        text = summarize(answer((over, later, result(3, orgao="Antes")))).text
        assert text.index("30/11/2026: Antes (SP)") < text.index("05/12/2026: Depois (SP)")
        assert "22/11/2026: Fechada" not in text

    def test_says_what_was_not_looked_at_and_what_that_means(self, answer: Any, result: Any) -> None:
        whole = answer((result(),))
        degraded = Degradation(reason="Parte das consultas excedeu o tempo.", cache_age_hours=5.4)
        text = summarize(
            answer(
                (result(),),
                coverage=partial_coverage(whole),
                status=Status.DEGRADED,
                response_state=ResponseState.DEGRADED,
                degraded=degraded,
            )
        ).text
        assert "Cobertura de 62%: 3 de 4 UFs pedidas (em parte: RJ; sem verificação: BA)" in text
        assert (
            "Resultado parcial (Parte das consultas excedeu o tempo). Parte dos dados foi guardada há 5 horas." in text
        )
        assert "pode haver outras licitações" in text

    def test_tells_a_true_empty_list_from_a_failure(self, answer: Any) -> None:
        empty = summarize(answer()).text
        assert empty.startswith("Nenhuma licitação foi encontrada de Vestuário")
        nothing_seen = answer().coverage.model_copy(update={"coverage_pct": 0, "ufs_processed": 0, "freshness": None})
        failed = summarize(answer(status=Status.EMPTY_FAILURE, coverage=nothing_seen)).text
        assert failed.startswith("Fontes temporariamente indisponíveis")
        assert "Nenhuma licitação" not in failed

    def test_says_how_many_cases_rules_alone_decided(self, answer: Any, result: Any) -> None:
        assert (
            "2 casos duvidosos foram decididos apenas por regras." in summarize(answer((result(),), llm_pending=2)).text
        )

    def test_highlights_the_first_ranked(self, answer: Any, result: Any) -> None:
        rows = tuple(result(n, orgao=f"Órgão {n}") for n in range(1, 6))
        highlights = summarize(answer(rows)).highlights
        assert [line.split(" (")[0] for line in highlights] == ["Órgão 1", "Órgão 2", "Órgão 3"]
        assert highlights[0].endswith("R$\N{NO-BREAK SPACE}1.234,56, propostas até 30/11/2026")

    @given(
        count=st.integers(0, 12),
        status=st.sampled_from([Status.COMPLETED, Status.DEGRADED, Status.EMPTY_FAILURE, Status.CANCELLED]),
        coverage_pct=st.integers(0, 100),
        freshness=st.sampled_from([None, *Freshness]),
        pending=st.integers(0, 3),
    )
    def test_is_never_empty_and_never_names_or_counts_the_sources(
        self, answer: Any, result: Any, count: int, status: Status, coverage_pct: int, freshness: Any, pending: int
    ) -> None:
        coverage = answer().coverage.model_copy(update={"coverage_pct": coverage_pct, "freshness": freshness})
        rows = tuple(result(n, id=f"PCP-{n}", source="pcp") for n in range(1, count + 1))
        summary = summarize(answer(rows, status=status, coverage=coverage, llm_pending=pending))
        assert f"Cobertura de {coverage_pct}%" in summary.text
        assert not NAMES_A_SOURCE.search(" ".join((summary.text, *summary.highlights)))


class TestSummarizeOutcome:
    def test_says_how_many_and_how_much_was_looked_at_from_the_terminal_fact_alone(
        self, answer: Any, result: Any
    ) -> None:
        whole = answer((result(),))
        completed = Completed(
            search_id=whole.search_id,
            status=Status.COMPLETED,
            response_state=ResponseState.LIVE,
            answer_ref=None,
            counts=whole.counts,
            coverage=whole.coverage,
            operational_state=whole.operational_state,
            reliability=100,
            first_rows=whole.results,
            total=17,
            at=whole.finished_at + timedelta(seconds=1),
        )
        summary = summarize_outcome(completed)
        assert summary.text.startswith("A pesquisa encontrou 17 licitações.\n\nCobertura de 100%")
        assert len(summary.highlights) == 1


class TestCoverageSentence:
    def test_speaks_of_one_uf_in_the_singular(self, answer: Any) -> None:
        one = answer().coverage.model_copy(update={"ufs_requested": 1})
        assert coverage_sentence(one) == (
            "Cobertura de 100%: a UF pedida foi verificada por completo, com dados consultados agora."
        )

    @pytest.mark.parametrize("freshness", list(Freshness))
    def test_names_no_age_that_depends_on_the_day(self, answer: Any, freshness: Freshness) -> None:
        """What is fresh is the ledger's word: half an hour for today's list, a day for an old one."""
        coverage = answer().coverage.model_copy(update={"freshness": freshness})
        assert "hora" not in coverage_sentence(coverage)
