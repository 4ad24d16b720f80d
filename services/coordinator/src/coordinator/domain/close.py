"""What is said when a search ends: the answer, its status, and in plain words what is missing from it."""

from datetime import datetime

from contracts.answer import Answer
from contracts.classification import AcceptedBid, RejectedBid, UncertainBid
from contracts.coverage import coverage_of, operational_state, reliability, sources_failed
from contracts.fetch import SliceStatus
from contracts.fold import SearchState
from contracts.memory import Gathered
from contracts.ranking import ranked
from contracts.state import Counts, Coverage, Degradation, Freshness, ResponseState, Status
from contracts.verdict import Confidence
from coordinator.domain.merge import merge

ACCEPT_FROM = 0.02
"""DESIGN 4.7: what nobody settled in time is decided by rules: from this density on it is accepted."""

UNAVAILABLE = (
    "Fontes temporariamente indisponíveis. Nenhum estado pôde ser consultado agora; tente novamente em instantes."
)
"""A01: the words of `empty_failure`, which nobody can take for a true empty result."""


def settle(uncertain: UncertainBid) -> AcceptedBid | RejectedBid | None:
    """By rules alone: accepted with low confidence from 2 % density on; None leaves it out."""
    if uncertain.verdict.density < ACCEPT_FROM:
        return None
    verdict = uncertain.verdict.model_copy(update={"confidence": Confidence.LOW, "confidence_score": 50})
    return AcceptedBid(sighted=uncertain.sighted, verdict=verdict)


def answer_of(state: SearchState, *, now: datetime, revision: int = 1) -> Answer:
    """The answer to a search whose end has come, complete or not.

    Raises ValueError when the log has no request or no plan yet.
    """
    if state.requested is None or state.planned is None:
        raise ValueError("a search without request and plan has no answer")
    query = state.requested.query
    settled = [(each, settle(each)) for each in state.uncertain()]
    accepted = [*state.accepted(), *(after for _, after in settled if isinstance(after, AcceptedBid))]
    before = state.counts()
    counts = Counts(fetched=before.fetched, accepted=len(accepted), rejected=before.fetched - len(accepted))
    gathered = {place: _as_judged(fact, state) for place, fact in state.gathered.items()}
    coverage = coverage_of(state.planned.asked, days=len(query.days), gathered=gathered, over=True)
    status = _status(state, coverage=coverage, counts=counts)
    missing = sources_failed(state.planned.asked, gathered)
    return Answer(
        search_id=state.search_id,
        revision=revision,
        query=query,
        status=status,
        response_state=_RESPONSE.get(status, ResponseState.LIVE),
        degraded=Degradation(reason=_reason(coverage), sources_failed=missing) if status is Status.DEGRADED else None,
        coverage=coverage,
        operational_state=operational_state(coverage, anything_shown=counts.fetched > 0),
        reliability=reliability(coverage),
        counts=counts,
        llm_pending=len(settled),
        results=ranked(merge(accepted), query.sort),
        catalogue_version=state.catalogue_version,
        created_at=state.requested.created_at,
        finished_at=now,
    )


def message_of(answer: Answer) -> str | None:
    """The sentence that goes with a status, where one is needed."""
    if answer.status is Status.EMPTY_FAILURE:
        return UNAVAILABLE
    if answer.status is Status.CANCELLED:
        return "Busca cancelada. Os resultados são os encontrados até o cancelamento."
    if not answer.results and answer.status is Status.COMPLETED:
        return "Nenhuma licitação encontrada para os critérios no período. A cobertura foi completa."
    return answer.degraded.reason if answer.degraded else None


_RESPONSE = {Status.DEGRADED: ResponseState.DEGRADED, Status.EMPTY_FAILURE: ResponseState.EMPTY_FAILURE}


def _as_judged(fact: Gathered, state: SearchState) -> Gathered:
    """What was read but not judged in time was not looked at: its complete slices count as partial."""
    if all(state.judged(batch) for batch in fact.batches):
        return fact
    runs = tuple(
        run.model_copy(update={"status": SliceStatus.PARTIAL, "why": "timeout.judge"})
        if run.status is SliceStatus.COMPLETE
        else run
        for run in fact.runs
    )
    return fact.model_copy(update={"runs": runs})


def _status(state: SearchState, *, coverage: Coverage, counts: Counts) -> Status:
    if state.cancelled is not None:
        return Status.CANCELLED
    if coverage.slices_complete == 0 and counts.fetched == 0:
        return Status.EMPTY_FAILURE
    whole = coverage.slices_complete == coverage.slices_asked and coverage.freshness is not Freshness.CACHED_STALE
    return Status.COMPLETED if whole else Status.DEGRADED


def _reason(coverage: Coverage) -> str:
    """In plain words; it never names or counts the sources (C01)."""
    whole = sum(uf.slices_complete == uf.slices_asked for uf in coverage.ufs_status_detail)
    noun = "estado" if coverage.ufs_requested == 1 else "estados"
    said = f"Cobertura de {coverage.coverage_pct}%: {whole} de {coverage.ufs_requested} {noun} com consulta completa."
    if coverage.slices_complete == coverage.slices_asked:
        return f"{said} Parte dos dados é de uma consulta anterior, que já pedia atualização."
    short = [uf.uf.value for uf in coverage.ufs_status_detail if uf.slices_complete < uf.slices_asked]
    return f"{said} Consulta incompleta: {', '.join(short)}."
