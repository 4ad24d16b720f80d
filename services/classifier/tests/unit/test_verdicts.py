from datetime import UTC, datetime
from typing import Any

import pytest

from classifier.domain.catalogue import Catalogue, Grammar, SectorRules
from classifier.domain.relevance import Judge
from classifier.domain.verdicts import Outcome, judge_bid
from contracts.classification import AcceptedBid, RejectedBid, SightedBid, UncertainBid, Zone
from contracts.places import UF
from contracts.verdict import Lens

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)

SMALL = Catalogue(
    sectors={
        "vestuario": SectorRules.model_validate(
            {
                "sector": "vestuario",
                "strong": ["uniforme (escolar|)"],
                "value_range": {"min": 50000, "max": 2000000},
                "co_occurrence": [{"trigger": ["uniforme"], "negative": ["fachada"]}],
            }
        )
    },
    grammar=Grammar(boilerplate=("aquisicao",), generic=("material",), breaks=("para",), attachments=("do",)),
)

VIABILITY = (
    '"viability":{"score":100,"level":"alta","factors":['
    '{"name":"modalidade","weight":30,"score":100,'
    '"reason":"Pregão - Eletrônico: muito aberta a novos fornecedores."},'
    '{"name":"timeline","weight":25,"score":100,"reason":"Faltam 22 dias, 15 úteis, para o fim das propostas."},'
    '{"name":"value","weight":25,"score":100,'
    '"reason":"R$ 150.000,00 está na faixa usual do setor (R$ 50.000,00 a R$ 2.000.000,00)."},'
    '{"name":"geography","weight":20,"score":100,"reason":"No seu estado (SP)."}]}'
)

GOLDEN = (
    '{"relevance_source":"keyword","confidence":"high","confidence_score":95,"density":0.6667,'
    '"matched_terms":["uniforme escolar"],"evidence":["UNIFORMES ESCOLARES"],'
    '"reasons":["O objeto cita “UNIFORMES ESCOLARES”, o que indica o setor Vestuário e uniformes.",'
    '"66,7% das palavras que dizem o que se compra são termos da busca."],'
    '"trace":["term:uniforme escolar","density:0.6667","zone:high"],'
    f"{VIABILITY}}}"
)

REJECTED = (
    ("AQUISIÇÃO DE MERENDA para a rede municipal", '"reason":"no_match","detail":""}'),
    (
        "Uniforme visual da fachada da sede",
        '"reason":"co_occurrence","detail":"co-occurrence: uniforme + fachada"}',
    ),
)
"""Objeto, and how the golden bytes of the rejection end."""

UNCERTAIN = (
    (
        "AQUISIÇÃO DE MATERIAL para a rede municipal",
        Zone.ZERO_MATCH,
        (
            '{"relevance_source":"rules_without_llm","confidence":"low","confidence_score":50,"density":0.0,'
            '"matched_terms":[],"evidence":[],"reasons":["O objeto é genérico e não diz o que se compra."],'
            '"trace":["generic"],'
            f"{VIABILITY}}}"
        ),
    ),
    (
        (
            "Contratação de empresa de engenharia, topografia, geologia, drenagem, sinalização, pavimentação, "
            "iluminação, paisagismo, arborização, irrigação, terraplenagem, fundação, estrutura, alvenaria, cobertura, "
            "esquadrias, vidraçaria, pintura, hidráulica, elétrica, climatização, automação, limpeza e uniformes"
        ),
        Zone.STANDARD,
        (
            '{"relevance_source":"rules_without_llm","confidence":"low","confidence_score":50,"density":0.0385,'
            '"matched_terms":["uniforme"],"evidence":["uniformes"],'
            '"reasons":["O objeto cita “uniformes”, o que indica o setor Vestuário e uniformes.",'
            '"3,9% das palavras que dizem o que se compra são termos da busca.",'
            '"A densidade de termos é intermediária: as regras sozinhas não decidem."],'
            '"trace":["term:uniforme","density:0.0385","zone:standard"],'
            f"{VIABILITY}}}"
        ),
    ),
)
"""Objeto, zone and the golden bytes of the verdict."""


def judged_small(sighted: SightedBid) -> Outcome:
    lens = Lens(sector="vestuario", home_uf=UF.SP)
    return judge_bid(sighted, lens=lens, judge=Judge(SMALL), own=None, now=NOW, viability_enabled=True)


class TestJudgeBid:
    def test_gives_the_same_bytes_for_ever(self, make_bid: Any) -> None:
        outcome = judged_small(
            make_bid("[LICITANET] - AQUISIÇÃO DE UNIFORMES ESCOLARES AMARELOS para a rede municipal")
        )
        assert isinstance(outcome, AcceptedBid)
        assert outcome.verdict.to_json().decode() == GOLDEN

    @pytest.mark.parametrize(("objeto", "ending"), REJECTED)
    def test_rejects_in_the_same_bytes_for_ever(self, make_bid: Any, objeto: str, ending: str) -> None:
        outcome = judged_small(make_bid(objeto))
        assert isinstance(outcome, RejectedBid)
        head = '{"id":"12345678000195-1-000001/2026","seen_at":"2026-11-03T12:00:00Z",'
        assert outcome.to_json().decode() == head + ending

    @pytest.mark.parametrize(("objeto", "zone", "golden"), UNCERTAIN)
    def test_leaves_open_in_the_same_bytes_for_ever(self, make_bid: Any, objeto: str, zone: Zone, golden: str) -> None:
        sighted = make_bid(objeto)
        outcome = judged_small(sighted)
        assert isinstance(outcome, UncertainBid)
        assert (outcome.sighted, outcome.zone) == (sighted, zone)
        assert outcome.verdict.to_json().decode() == golden

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
