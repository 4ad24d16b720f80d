"""A finished answer: what lies in the Object Store and what the results routes serve."""

from decimal import Decimal

from contracts.base import Value
from contracts.classification import AcceptedBid
from contracts.places import UF
from contracts.query import SearchQuery
from contracts.state import Counts, Coverage, Degradation, OperationalState, ResponseState, Status
from contracts.values import BidId, Esfera, Money, SearchId, Situacao, Source
from contracts.verdict import Confidence, RelevanceSource, Score, Viability
from contracts.when import UtcDatetime


class Result(Value):
    """One row of an answer (DESIGN section 5)."""

    id: BidId
    source: Source
    also_in: tuple[BidId, ...] = ()
    """The same licitação in the other source."""
    uf: UF
    municipio: str | None
    orgao: str
    cnpj: str | None
    esfera: Esfera | None = None
    objeto: str
    modalidade: str
    modalidade_id: int
    numero: str | None = None
    valor_estimado: Money | None
    data_publicacao: UtcDatetime
    data_abertura: UtcDatetime | None
    data_encerramento: UtcDatetime | None
    situacao: Situacao
    link: str | None
    relevance_source: RelevanceSource
    confidence: Confidence
    confidence_score: Score
    density: float = 0.0
    matched_terms: tuple[str, ...]
    evidence: tuple[str, ...]
    reasons: tuple[str, ...]
    trace: tuple[str, ...] = ()
    viability: Viability | None

    @classmethod
    def of(cls, accepted: AcceptedBid) -> "Result":
        """The row of one accepted bid, before merging."""
        bid, verdict = accepted.sighted.bid, accepted.verdict
        return cls(
            id=bid.id,
            source=bid.source,
            uf=bid.uf,
            municipio=bid.municipio,
            orgao=bid.orgao,
            cnpj=bid.cnpj,
            esfera=bid.esfera,
            objeto=bid.objeto,
            modalidade=bid.modalidade_nome,
            modalidade_id=int(bid.modalidade),
            numero=bid.numero,
            valor_estimado=bid.valor_estimado,
            data_publicacao=bid.data_publicacao,
            data_abertura=bid.data_abertura,
            data_encerramento=bid.data_encerramento,
            situacao=bid.situacao,
            link=bid.link,
            relevance_source=verdict.relevance_source,
            confidence=verdict.confidence,
            confidence_score=verdict.confidence_score,
            density=verdict.density,
            matched_terms=verdict.matched_terms,
            evidence=verdict.evidence,
            reasons=verdict.reasons,
            trace=verdict.trace,
            viability=verdict.viability,
        )


class Answer(Value):
    """One revision of the answer to one search, ranked."""

    search_id: SearchId
    revision: int
    query: SearchQuery
    status: Status
    response_state: ResponseState
    degraded: Degradation | None = None
    coverage: Coverage
    operational_state: OperationalState
    reliability: int
    counts: Counts
    llm_pending: int = 0
    results: tuple[Result, ...]
    catalogue_version: str | None = None
    created_at: UtcDatetime
    """When it was asked."""
    finished_at: UtcDatetime

    @property
    def total_value(self) -> Decimal:
        """The sum of the known estimated values, in reais."""
        return sum((r.valor_estimado for r in self.results if r.valor_estimado is not None), Decimal(0))
