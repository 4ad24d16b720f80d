from datetime import UTC, datetime
from typing import Any

from classifier.domain.catalogue import Catalogue, Grammar, SectorRules
from classifier.domain.relevance import Judge
from classifier.domain.verdicts import judge_bid
from contracts.classification import AcceptedBid
from contracts.places import UF
from contracts.verdict import Lens

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)

SMALL = Catalogue(
    sectors={
        "vestuario": SectorRules.model_validate(
            {"sector": "vestuario", "strong": ["uniforme (escolar|)"], "value_range": {"min": 50000, "max": 2000000}}
        )
    },
    grammar=Grammar(boilerplate=("aquisicao",), generic=("material",), breaks=("para",), attachments=("do",)),
)

GOLDEN = (
    '{"relevance_source":"keyword","confidence":"high","confidence_score":95,"density":0.6667,'
    '"matched_terms":["uniforme escolar"],"evidence":["UNIFORMES ESCOLARES"],'
    '"reasons":["O objeto cita “UNIFORMES ESCOLARES”, o que indica o setor Vestuário e uniformes.",'
    '"66,7% das palavras que dizem o que se compra são termos da busca."],'
    '"trace":["term:uniforme escolar","density:0.6667","zone:high"],'
    '"viability":{"score":100,"level":"alta","factors":['
    '{"name":"modalidade","weight":30,"score":100,'
    '"reason":"Pregão - Eletrônico: muito aberta a novos fornecedores."},'
    '{"name":"timeline","weight":25,"score":100,"reason":"Faltam 22 dias, 15 úteis, para o fim das propostas."},'
    '{"name":"value","weight":25,"score":100,'
    '"reason":"R$ 150.000,00 está na faixa usual do setor (R$ 50.000,00 a R$ 2.000.000,00)."},'
    '{"name":"geography","weight":20,"score":100,"reason":"No seu estado (SP)."}]}}'
)


class TestJudgeBid:
    def test_gives_the_same_bytes_for_ever(self, make_bid: Any) -> None:
        outcome = judge_bid(
            make_bid("[LICITANET] - AQUISIÇÃO DE UNIFORMES ESCOLARES AMARELOS para a rede municipal"),
            lens=Lens(sector="vestuario", home_uf=UF.SP),
            judge=Judge(SMALL),
            own=None,
            now=NOW,
            viability_enabled=True,
        )
        assert isinstance(outcome, AcceptedBid)
        assert outcome.verdict.to_json().decode() == GOLDEN

    def test_never_names_a_source(self, make_bid: Any, judge: Judge) -> None:
        for text in ("Aquisição de uniformes", "Aquisição de materiais diversos"):
            outcome = judge_bid(
                make_bid(text, valor_estimado=None, data_encerramento=None, municipio_ibge=None),
                lens=Lens(sector="vestuario", municipio_ibge="3509502"),
                judge=judge,
                own=None,
                now=NOW,
                viability_enabled=True,
            )
            said = outcome.to_json().decode().split('"verdict"')[1].lower()
            assert "pncp" not in said
            assert "portal de compras" not in said
            assert "não informado" in said

    def test_stays_small_on_a_text_made_of_terms(self, make_bid: Any, judge: Judge) -> None:
        terms = [entry.term for entry in judge.entries if entry.sector == "vestuario"]
        text = " ".join(terms * 20)
        outcome = judge_bid(
            make_bid(text), lens=Lens(sector="vestuario"), judge=judge, own=None, now=NOW, viability_enabled=True
        )
        assert len(outcome.to_json()) - len(make_bid(text).to_json()) < 8_000
