from contracts.answer import Result
from contracts.classification import AcceptedBid
from contracts.samples import sighted
from contracts.verdict import Confidence, RelevanceSource, Verdict, Viability, ViabilityFactor, ViabilityLevel
from farol.explaining import lines

VIABILITY = Viability(
    score=64,
    level=ViabilityLevel.MEDIA,
    factors=(ViabilityFactor(name="timeline", weight=25, score=30, reason="Falta menos de um dia."),),
)
VERDICT = Verdict(
    relevance_source=RelevanceSource.ITEM_INSPECTION, confidence=Confidence.HIGH, confidence_score=90, density=0.034,
    matched_terms=("uniforme", "camiseta"), evidence=("Camiseta polo",), reasons=("3 de 4 itens são do que se busca.",),
    viability=VIABILITY,
)  # fmt: skip


def told(**more):
    body = {"decision": "accepted", "result": None, "reason": None, "steps": [], "final": True}
    return "\n".join(lines({**body, **more}))


class TestLines:
    def test_say_all_of_what_is_shown(self):
        row = Result.of(AcceptedBid(sighted=sighted(1), verdict=VERDICT))
        text = told(result=row.model_dump(mode="json"), steps=["Itens inspecionados: 3 de 4 são do que se busca."])
        for words in (
            "Está nos resultados.", row.objeto, "Relevância: 90 de 100, confiança alta", "3 de 4 itens",
            "Termos encontrados: uniforme, camiseta", "Densidade: 3,4%", "“Camiseta polo”",
            "Viabilidade: 64 de 100, média", "Prazo (25%): 30 — Falta menos de um dia.",
            "1. Itens inspecionados: 3 de 4",
        ):  # fmt: skip
            assert words in text
        assert "em andamento" not in text

    def test_say_why_a_bid_was_left_out(self):
        assert told(decision="rejected", reason="Outro assunto.", steps=["“a” junto de “b”."]).splitlines() == [
            "Não está nos resultados.", "Outro assunto.", "Regras, na ordem em que valeram:", "  1. “a” junto de “b”.",
        ]  # fmt: skip

    def test_say_that_a_search_still_runs(self):
        assert told(decision="uncertain", final=False).splitlines() == [
            "Ainda em avaliação.", "A busca ainda está em andamento: esta avaliação pode mudar.",
        ]  # fmt: skip
