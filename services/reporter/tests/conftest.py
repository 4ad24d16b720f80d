from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from contracts.answer import Answer, Result
from contracts.places import UF
from contracts.query import DEFAULT_MODALIDADES, SearchQuery
from contracts.state import (
    Counts,
    Coverage,
    Freshness,
    OperationalState,
    ResponseState,
    Status,
    UfStatus,
    UfStatusKind,
)
from contracts.values import Situacao, Source
from contracts.verdict import Confidence, RelevanceSource, Viability, ViabilityLevel

SEARCH_ID = "0123456789abcdef0123456789abcdef"
FINISHED = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)

ResultMaker = Callable[..., Result]
AnswerMaker = Callable[..., Answer]


def _result(number: int = 1, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "id": f"00394460000141-1-{number:06d}/2026",
        "source": Source.PNCP,
        "uf": UF.SP,
        "municipio": "Campinas",
        "orgao": "Prefeitura de Campinas",
        "cnpj": "00394460000141",
        "objeto": "Aquisição de uniformes escolares",
        "modalidade": "Pregão - Eletrônico",
        "modalidade_id": 6,
        "numero": f"{number}/2026",
        "valor_estimado": Decimal("1234.56"),
        "data_publicacao": datetime(2026, 11, 20, 11, 0, tzinfo=UTC),
        "data_abertura": datetime(2026, 11, 21, 11, 0, tzinfo=UTC),
        "data_encerramento": datetime(2026, 12, 1, 2, 30, tzinfo=UTC),
        "situacao": Situacao.DIVULGADA,
        "link": f"https://pncp.gov.br/app/editais/00394460000141/2026/{number}",
        "relevance_source": RelevanceSource.KEYWORD,
        "confidence": Confidence.HIGH,
        "confidence_score": 95,
        "matched_terms": ("uniformes",),
        "evidence": ("uniformes escolares",),
        "reasons": ('contém "uniformes"',),
        "viability": Viability(score=81, level=ViabilityLevel.ALTA, factors=()),
    }
    return Result(**{**fields, **changes})


def _answer(results: tuple[Result, ...] = (), **changes: Any) -> Answer:
    detail = tuple(
        UfStatus(
            uf=uf,
            status=UfStatusKind.COMPLETE,
            coverage_pct=100,
            slices_asked=50,
            slices_complete=50,
            fetched_at=FINISHED,
        )
        for uf in (UF.SP, UF.MG)
    )
    fields: dict[str, Any] = {
        "search_id": SEARCH_ID,
        "revision": 1,
        "query": SearchQuery(
            ufs=(UF.MG, UF.SP),
            sector="vestuario",
            date_from=date(2026, 11, 13),
            date_to=date(2026, 11, 22),
            modalidades=DEFAULT_MODALIDADES,
            sources=(Source.PCP, Source.PNCP),
        ),
        "status": Status.COMPLETED,
        "response_state": ResponseState.LIVE,
        "coverage": Coverage(
            coverage_pct=100,
            ufs_requested=2,
            ufs_processed=2,
            ufs_failed=0,
            freshness=Freshness.LIVE,
            ufs_status_detail=detail,
            slices_asked=100,
            slices_complete=100,
            method="live",
        ),
        "operational_state": OperationalState.OPERATIONAL,
        "reliability": 100,
        "counts": Counts(fetched=10, accepted=len(results), rejected=10 - len(results)),
        "results": results,
        "created_at": datetime(2026, 11, 22, 15, 29, tzinfo=UTC),
        "finished_at": FINISHED,
    }
    return Answer(**{**fields, **changes})


@pytest.fixture(scope="session")
def result() -> ResultMaker:
    """Makes one row of an answer; any field can be changed."""
    return _result


@pytest.fixture(scope="session")
def answer() -> AnswerMaker:
    """Makes an answer of these rows; any field can be changed."""
    return _answer
