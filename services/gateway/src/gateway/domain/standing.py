"""How one bid stands in one search, and why, on one page."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, Field

from contracts.answer import Answer, Result
from contracts.classification import AcceptedBid, RejectedBid, RejectReason, UncertainBid
from contracts.fold import Standing
from contracts.values import BidId, SearchId
from gateway.domain.telling import told

REASONS: Mapping[RejectReason, str] = {
    RejectReason.NO_MATCH: "Nenhum termo procurado aparece no texto.",
    RejectReason.EXCLUSION: "O texto contém um termo que exclui a licitação deste setor.",
    RejectReason.CO_OCCURRENCE: "O termo aparece junto de um contexto que mostra outro assunto.",
    RejectReason.LOW_DENSITY: "Os termos procurados aparecem pouco demais no texto.",
    RejectReason.VALUE: "O valor estimado está fora da faixa pedida.",
    RejectReason.MUNICIPIO: "A licitação é de outro município.",
    RejectReason.ESFERA: "O órgão é de outra esfera.",
    RejectReason.CLOSED: "O prazo para propostas já terminou.",
    RejectReason.LLM: "A avaliação por IA concluiu que a licitação não pertence ao que se procura.",
    RejectReason.ITEMS: "Os itens da licitação não são do setor.",
}


class BidStanding(BaseModel):
    """The decision on one bid, with what led to it."""

    decision: Literal["accepted", "rejected", "uncertain"]
    bid_id: BidId
    result: Result | None = None
    """The row as shown, with terms, evidence, reasons and trace; None for a bid that was left out."""
    reason: str | None = None
    """Portuguese: why it was left out."""
    reason_code: RejectReason | None = None
    detail: str | None = None
    """The rule that fired, where one did."""
    trace: tuple[str, ...] = ()
    """Every rule that fired, in order."""
    steps: tuple[str, ...] = ()
    """The same in Portuguese: words, rules, density, items, model."""
    final: bool = False
    """False while the search runs."""


class Explanation(BidStanding):
    """The body of the explanation route."""

    search_id: SearchId
    links: dict[str, str] = Field(default_factory=dict)


def standing_in_answer(answer: Answer, bid_id: str) -> BidStanding | None:
    """The row that shows this bid, itself or merged into the same bid of another source."""
    row = next((row for row in answer.results if row.id == bid_id or bid_id in row.also_in), None)
    if row is None:
        return None
    return BidStanding(
        decision="accepted", bid_id=row.id, result=row, trace=row.trace, steps=told(row.trace), final=True
    )


def standing_in_search(standings: Mapping[BidId, Standing], bid_id: str, *, final: bool) -> BidStanding | None:
    """How the bid stands in the fold. What is still uncertain when a search is over was left out by the rules."""
    standing = standings.get(bid_id)
    if standing is None:
        return None
    if isinstance(standing, AcceptedBid):
        row = Result.of(standing)
        return BidStanding(
            decision="accepted", bid_id=bid_id, result=row, trace=row.trace, steps=told(row.trace), final=final
        )
    if isinstance(standing, UncertainBid):
        trace = standing.verdict.trace
        if not final:
            return BidStanding(decision="uncertain", bid_id=bid_id, trace=trace, steps=told(trace))
        low = RejectReason.LOW_DENSITY
        return BidStanding(
            decision="rejected", bid_id=bid_id, reason=REASONS[low], reason_code=low, trace=trace, steps=told(trace),
            final=True,
        )  # fmt: skip
    return BidStanding(
        decision="rejected",
        bid_id=bid_id,
        reason=REASONS[standing.reason],
        reason_code=standing.reason,
        detail=standing.detail or None,
        steps=_steps_of(standing),
        final=final,
    )


def _steps_of(rejected: RejectedBid) -> tuple[str, ...]:
    """What left a bid out, as far as more is known than the reason itself."""
    if not rejected.detail or rejected.reason is RejectReason.ESFERA:
        return ()
    if rejected.reason is RejectReason.EXCLUSION:
        return (f"O termo que pesou: “{rejected.detail}”.",)
    (words,) = told((rejected.detail,))
    return (words[0].upper() + words[1:],)
