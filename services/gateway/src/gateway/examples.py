"""Examples of the OpenAPI document, as values of the real models: they cannot fall behind them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from contracts.answer import Result
from contracts.places import UF
from contracts.state import (
    Counts,
    Coverage,
    Freshness,
    JobStatus,
    OperationalState,
    ResponseState,
    SearchView,
    Status,
    UfStatus,
    UfStatusKind,
)
from contracts.values import Esfera, Modalidade, Situacao, Source
from contracts.verdict import Confidence, RelevanceSource
from gateway.domain.results import ResultsPage, ShownResult
from gateway.routes.describing import linked, links

_ID: Final = "9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"
_NOON: Final = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)

_STATE = linked(
    SearchView(
        search_id=_ID,
        status=Status.COMPLETED,
        response_state=ResponseState.LIVE,
        coverage=Coverage(
            coverage_pct=100,
            ufs_requested=1,
            ufs_processed=1,
            ufs_failed=0,
            freshness=Freshness.LIVE,
            ufs_status_detail=(
                UfStatus(
                    uf=UF.SP,
                    status=UfStatusKind.COMPLETE,
                    coverage_pct=100,
                    slices_asked=110,
                    slices_complete=110,
                    records=412,
                    fetched_at=_NOON,
                ),
            ),
            slices_asked=110,
            slices_complete=110,
            method="live",
            oldest_fetched_at=_NOON,
        ),
        operational_state=OperationalState.OPERATIONAL,
        reliability=100,
        counts=Counts(fetched=412, accepted=9, rejected=403),
        llm_status=JobStatus.READY,
        excel_status=JobStatus.PROCESSING,
        revision=1,
        progress=85,
        created_at=_NOON,
        deadline=_NOON + timedelta(seconds=360),
        finished_at=_NOON + timedelta(seconds=21),
    )
)

_ROW = Result(
    id="12345678000190-1-000042/2026",
    source=Source.PNCP,
    uf=UF.SP,
    municipio="Campinas",
    orgao="Prefeitura Municipal de Campinas",
    cnpj="12345678000190",
    esfera=Esfera.MUNICIPAL,
    objeto="Aquisição de uniformes escolares para a rede municipal de ensino",
    modalidade=Modalidade.PREGAO_ELETRONICO.nome,
    modalidade_id=int(Modalidade.PREGAO_ELETRONICO),
    numero="42/2026",
    valor_estimado=Decimal("184500.00"),
    data_publicacao=_NOON - timedelta(days=2),
    data_abertura=_NOON - timedelta(days=1),
    data_encerramento=_NOON + timedelta(days=12),
    situacao=Situacao.DIVULGADA,
    link="https://pncp.gov.br/app/editais/12345678000190/2026/42",
    relevance_source=RelevanceSource.KEYWORD,
    confidence=Confidence.HIGH,
    confidence_score=95,
    density=0.11,
    matched_terms=("uniformes escolares",),
    evidence=("uniformes escolares",),
    reasons=('o objeto contém "uniformes escolares"',),
    viability=None,
)

EXAMPLES: Final[dict[str, Any]] = {
    "SearchView": _STATE.model_dump(mode="json"),
    "ResultsPage": ResultsPage(
        search_id=_ID,
        revision=1,
        status=Status.COMPLETED,
        final=True,
        total=1,
        matched=1,
        results=(ShownResult(**dict(_ROW), new_since_last=True),),
        links={"search": links(_ID)["self"]},
    ).model_dump(mode="json"),
}
