"""`farol explain`: what the page's drawer says of one licitação, as lines."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from contracts.answer import Result
from contracts.verdict import Viability
from farol.show import CONFIDENCE_WORDS, VIABILITY_WORDS

_DECISIONS: Final = {
    "accepted": "Está nos resultados.", "rejected": "Não está nos resultados.", "uncertain": "Ainda em avaliação.",
}  # fmt: skip
_FACTORS: Final = {"modalidade": "Modalidade", "timeline": "Prazo", "value": "Valor", "geography": "Localização"}


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """The body of the explanation route in Portuguese: decision, words, density, quotes, rules, viability."""
    yield _DECISIONS[told["decision"]]
    if told["result"] is None:
        if told["reason"]:
            yield told["reason"]
    else:
        yield from _row(Result.model_validate(told["result"]))
    if told["steps"]:
        yield "Regras, na ordem em que valeram:"
        yield from (f"  {number}. {step}" for number, step in enumerate(told["steps"], start=1))
    if not told["final"]:
        yield "A busca ainda está em andamento: esta avaliação pode mudar."


def _row(row: Result) -> Iterator[str]:
    yield " ".join(row.objeto.split())
    yield f"Relevância: {row.confidence_score} de 100, confiança {CONFIDENCE_WORDS[row.confidence][0]}"
    yield from (f"  {reason}" for reason in row.reasons)
    if row.matched_terms:
        yield f"Termos encontrados: {', '.join(row.matched_terms)}"
    yield f"Densidade: {row.density * 100:.1f}% das palavras que dizem o que se compra".replace(".", ",")
    if row.evidence:
        yield "Trechos do texto oficial:"
        yield from (f"  “{quote}”" for quote in row.evidence)
    if row.viability is not None:
        yield from _viability(row.viability)


def _viability(viability: Viability) -> Iterator[str]:
    yield f"Viabilidade: {viability.score} de 100, {VIABILITY_WORDS[viability.level][0]}"
    for factor in viability.factors:
        yield f"  {_FACTORS[factor.name]} ({factor.weight}%): {factor.score} — {factor.reason}"
