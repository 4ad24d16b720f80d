"""What a model may say of an answer: nothing that was not counted."""

from typing import Any

import orjson
import pytest

from contracts.report import Summary
from contracts.state import Status
from contracts.summary import summarize
from reporter.domain.narrative import UngroundedError, messages, narrated

FACTS = Summary(
    text="Foram encontradas 12 licitações de vestuário em SP e RJ, publicadas de 12/11/2026 a 21/11/2026. "
    "O valor estimado soma R$ 1.234.567,89. Cobertura de 78%.",
    highlights=("Prefeitura de Campinas (SP): lote 3, três kits",),
)


def said(text: Any) -> str:
    return orjson.dumps({"resumo": text}).decode()


class TestNarrated:
    @pytest.mark.parametrize(
        "text",
        [
            "São 12 licitações em SP e RJ.",
            "O valor soma R$ 1.234.567,89, com cobertura de 78%.",
            "De 12/11/2026 a 21/11/2026, Campinas pede o lote 3 e três kits.",
        ],
    )
    def test_may_phrase_what_was_counted(self, answer, text):
        made = narrated(said(text), answer(), FACTS)
        assert made.text.startswith(text)
        assert (made.method, made.highlights) == ("llm", FACTS.highlights)

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("São 13 licitações.", "figure"),
            ("O valor soma R$ 1.234.567,00.", "figure"),
            ("O valor soma R$ 1,2 milhão.", "figure"),
            ("O valor soma 1.234.567,89 dólares.", "figure"),
            ("Cobertura de 78 estados.", "figure"),
            ("Em 12/11 houve mais.", "figure"),
            ("São doze licitações.", "number_word"),
            ("A maioria está em SP.", "number_word"),
            ("Há também em MG.", "place"),
            ("Veja https://exemplo.test.", "forbidden"),
            ("Segundo o PNCP, 12 licitações.", "forbidden"),
            ("<b>12 licitações</b>", "forbidden"),
            ("**12** licitações", "forbidden"),
            ("", "shape"),
            ("a" * 1501, "shape"),
            (12, "shape"),
        ],
    )
    def test_is_refused_with_anything_else(self, answer, text, why):
        with pytest.raises(UngroundedError, match=rf"summary\.{why}"):
            narrated(said(text), answer(), FACTS)

    @pytest.mark.parametrize("raw", [None, "", "texto", "[]", '{"outro": "x"}'])
    def test_is_refused_in_another_shape(self, answer, raw):
        with pytest.raises(UngroundedError, match=r"summary\.shape"):
            narrated(raw, answer(), FACTS)

    def test_always_says_what_was_not_looked_at(self, answer, result):
        whole = answer((result(),), status=Status.DEGRADED)
        made = narrated(said("Uma licitação."), whole, summarize(whole))
        assert "Cobertura de" in made.text
        assert "Resultado parcial" in made.text


class TestMessages:
    def test_are_orders_and_then_data(self):
        orders, data = messages(FACTS)
        assert (orders["role"], data["role"]) == ("system", "user")
        assert orjson.loads(data["content"]) == {"dados": FACTS.text, "destaques": list(FACTS.highlights)}
