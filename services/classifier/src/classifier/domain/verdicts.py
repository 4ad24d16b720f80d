"""One bid through one lens: filters, relevance, viability, and the sentences that say why."""

from datetime import datetime

from classifier.domain.filters import outside, unknown_marks
from classifier.domain.lens import OwnTerms
from classifier.domain.reading import Finding, Reading
from classifier.domain.relevance import Judge
from classifier.domain.viability import viability_of
from contracts.classification import AcceptedBid, RejectedBid, SightedBid, UncertainBid, Zone
from contracts.sectors import SECTORS
from contracts.verdict import Confidence, Lens, RelevanceSource, Verdict, Viability

KEYWORD_SCORE = 95
RULES_WITHOUT_LLM_SCORE = 50
MAX_EVIDENCE = 5
"""Quotes kept per verdict: the first ones name what is bought."""
MAX_TERMS = 20
"""Terms and steps kept per verdict, so that no text makes a verdict large."""

Outcome = AcceptedBid | RejectedBid | UncertainBid

_OPEN = {
    Zone.STANDARD: "A densidade de termos é intermediária: as regras sozinhas não decidem.",
    Zone.CONSERVATIVE: "A densidade de termos é baixa: as regras sozinhas não decidem.",
    Zone.ZERO_MATCH: "O objeto é genérico e não diz o que se compra.",
}


def judge_bid(
    sighted: SightedBid, *, lens: Lens, judge: Judge, own: OwnTerms | None, now: datetime, viability_enabled: bool
) -> Outcome:
    """The outcome of one bid. `own` holds the lens's compiled terms when it names no sector."""
    bid = sighted.bid
    if (left_out := outside(bid, lens)) is not None:
        return RejectedBid(id=bid.id, seen_at=sighted.seen_at, reason=left_out[0], detail=left_out[1])
    reading, finding = found_in(bid.objeto, lens=lens, judge=judge, own=own)
    if finding.reject is not None:
        return RejectedBid(id=bid.id, seen_at=sighted.seen_at, reason=finding.reject, detail=finding.detail)
    value_range = judge.catalogue.sectors[lens.sector].value_range if lens.sector is not None else None
    viability = viability_of(bid, value_range=value_range, home_uf=lens.home_uf, now=now) if viability_enabled else None
    verdict = _verdict(reading, finding, lens=lens, marks=unknown_marks(bid, lens), viability=viability)
    if finding.zone is not None:
        return UncertainBid(sighted=sighted, zone=finding.zone, verdict=verdict)
    return AcceptedBid(sighted=sighted, verdict=verdict)


def found_in(objeto: str, *, lens: Lens, judge: Judge, own: OwnTerms | None) -> tuple[Reading, Finding]:
    """A text read, and what the lens comes to in it."""
    if lens.sector is not None:
        reading = judge.read(objeto)
        return reading, judge.finding(reading, lens.sector)
    if own is None:
        raise ValueError("a lens without a sector needs its own terms compiled")
    return own.find(objeto)


def _verdict(
    reading: Reading, finding: Finding, *, lens: Lens, marks: tuple[str, ...], viability: Viability | None
) -> Verdict:
    sure = finding.zone is None
    evidence = tuple(dict.fromkeys(reading.words.literal(find.first, find.last) for find in finding.finds))
    return Verdict(
        relevance_source=RelevanceSource.KEYWORD if sure else RelevanceSource.RULES_WITHOUT_LLM,
        confidence=Confidence.HIGH if sure else Confidence.LOW,
        confidence_score=KEYWORD_SCORE if sure else RULES_WITHOUT_LLM_SCORE,
        density=finding.density,
        matched_terms=tuple(dict.fromkeys(find.term for find in finding.finds))[:MAX_TERMS],
        evidence=evidence[:MAX_EVIDENCE],
        reasons=(*_reasons(finding, evidence, lens), *marks),
        trace=(*finding.trace[:MAX_TERMS], *finding.trace[MAX_TERMS:][-3:]),
        viability=viability,
    )


def _reasons(finding: Finding, evidence: tuple[str, ...], lens: Lens) -> list[str]:
    reasons: list[str] = []
    if evidence:
        quotes = ", ".join(f"“{quote}”" for quote in evidence[:MAX_EVIDENCE])
        what = f"o setor {SECTORS[lens.sector]}" if lens.sector is not None else "os termos da busca"
        reasons.append(f"O objeto cita {quotes}, o que indica {what}.")
        percent = f"{finding.density * 100:.1f}".replace(".", ",")
        reasons.append(f"{percent}% das palavras que dizem o que se compra são termos da busca.")
    if finding.zone is not None:
        reasons.append(_OPEN[finding.zone])
    return reasons
