"""What the items of a bid say where its objeto does not (D01); they weigh more than keywords, those more than a model.

An item is of a sector when its own text names what the sector sells, when its NCM begins with one of the sector's, or
when it comes in both a unit and a size of the sector (`peça`, tamanho `P/M/G`). More than half of the items accept a
bid; not one of them rejects it; anything between leaves it open.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from classifier.domain.catalogue import SectorRules, expand
from classifier.domain.lens import OwnTerms
from classifier.domain.relevance import Judge
from classifier.domain.text import form_of
from classifier.domain.verdicts import MAX_TERMS, found_in
from contracts.classification import AcceptedBid, RejectedBid, RejectReason, UncertainBid
from contracts.fetch import Item
from contracts.verdict import Confidence, Lens, RelevanceSource

ITEMS_SCORE = 90
ACCEPT_ABOVE = 0.5
"""Share of the items that match."""
_QUOTES = 3
_LONGEST_QUOTE = 120


@dataclass(frozen=True, slots=True)
class Inspection:
    """How many of the items match, and the first of those, as written."""

    items: int
    matching: int
    quotes: tuple[str, ...]
    signals: tuple[str, ...]
    """By what: `item:camiseta`, `ncm:6109`, `unit+size`; each once."""

    @property
    def share(self) -> float:
        """0 where there was none to look at."""
        return self.matching / self.items if self.items else 0.0


def inspect(items: Sequence[Item], lens: Lens, *, judge: Judge, own: OwnTerms | None) -> Inspection:
    """Looks at each item on its own; `own` holds the lens's compiled terms when it names no sector."""
    rules = judge.catalogue.sectors[lens.sector] if lens.sector is not None else None
    signal = _signals(rules)
    matching: list[Item] = []
    signals: dict[str, None] = {}
    for item in items:
        _, finding = found_in(item.descricao, lens=lens, judge=judge, own=own)
        by = f"item:{finding.finds[0].term}" if finding.settled and finding.finds else signal(item)
        if by:
            matching.append(item)
            signals.setdefault(by)
    quotes = dict.fromkeys(item.descricao[:_LONGEST_QUOTE].strip() for item in matching)
    return Inspection(
        items=len(items), matching=len(matching), quotes=tuple(quotes)[:_QUOTES], signals=tuple(signals)[:MAX_TERMS]
    )


def looked_at(inspection: Inspection, uncertain: UncertainBid) -> UncertainBid:
    """The bid with what its items said in its reasons and trace, whoever decides then; the same look adds it once."""
    if not inspection.items:
        return uncertain
    before = uncertain.verdict
    steps = (*inspection.signals, f"items:{inspection.matching}/{inspection.items}")
    said = _said(inspection)
    verdict = before.model_copy(
        update={
            "trace": (*before.trace, *(step for step in steps if step not in before.trace)),
            "reasons": before.reasons if said in before.reasons else (*before.reasons, said),
        }
    )
    return uncertain.model_copy(update={"verdict": verdict})


def ruled_by_items(inspection: Inspection, uncertain: UncertainBid) -> AcceptedBid | RejectedBid | None:
    """The verdict that follows; None leaves the bid open."""
    sighted = uncertain.sighted
    if inspection.items and not inspection.matching:
        detail = f"nenhum dos {inspection.items} itens inspecionados é do que se busca"
        if inspection.items == 1:
            detail = "o único item não é do que se busca"
        return RejectedBid(id=sighted.bid.id, seen_at=sighted.seen_at, reason=RejectReason.ITEMS, detail=detail)
    if inspection.share <= ACCEPT_ABOVE:
        return None
    verdict = looked_at(inspection, uncertain).verdict.model_copy(
        update={
            "relevance_source": RelevanceSource.ITEM_INSPECTION,
            "confidence": Confidence.HIGH,
            "confidence_score": ITEMS_SCORE,
            "evidence": tuple(dict.fromkeys((*uncertain.verdict.evidence, *inspection.quotes)))[:5],
            "reasons": (_said(inspection),),
        }
    )
    return AcceptedBid(sighted=sighted, verdict=verdict)


def _said(inspection: Inspection) -> str:
    items = "item inspecionado" if inspection.items == 1 else "itens inspecionados"
    match = "é" if inspection.matching == 1 else "são"
    quotes = ", ".join(f"“{quote}”" for quote in inspection.quotes)
    return f"{inspection.matching} de {inspection.items} {items} {match} do que se busca: {quotes}."


def _signals(rules: SectorRules | None) -> Callable[[Item], str]:
    """What else than words says that an item is of a sector; own terms have nothing else."""
    if rules is None:
        return lambda _item: ""
    units, sizes = (
        frozenset(form_of(term, numbers=True) for pattern in patterns for term in expand(pattern))
        for patterns in (rules.units, rules.sizes)
    )

    def signal(item: Item) -> str:
        if item.ncm and (prefix := next((p for p in rules.ncm if item.ncm.startswith(p)), None)):
            return f"ncm:{prefix}"
        line = f" {form_of(item.descricao, numbers=True)} "
        if form_of(item.unidade or "", numbers=True) in units and any(f" {size} " in line for size in sizes):
            return "unit+size"
        return ""

    return signal
