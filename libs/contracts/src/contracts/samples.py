"""Sample values: what the golden examples and the tests of every service are written with; no service imports them."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from contracts.classification import AcceptedBid, Judged, RejectedBid, RejectReason, SightedBid, UncertainBid, Zone
from contracts.fetch import SliceStatus
from contracts.memory import Gathered, SliceRun
from contracts.places import UF
from contracts.query import SearchQuery, SearchRequest
from contracts.report import ObjectRef
from contracts.search import AskedSource, Planned, Requested
from contracts.state import Counts, Coverage, Freshness, Status
from contracts.stored import StoredAnswer
from contracts.values import Licitacao, Modalidade, Source, pncp_id
from contracts.verdict import Confidence, RelevanceSource, Verdict

SEARCH_ID = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TODAY = date(2026, 11, 22)


def bid(
    number: int = 1, *, uf: UF = UF.SP, source: Source = Source.PNCP, objeto: str = "Aquisição de uniformes"
) -> Licitacao:
    """A licitação of São Paulo, or of another UF or source."""
    return Licitacao(
        id=pncp_id(cnpj="00059311000126", sequencial=number, ano=2026) if source is Source.PNCP else f"PCP-{number}",
        source=source,
        uf=uf,
        municipio="São Paulo",
        orgao="Município de Teste",
        modalidade=Modalidade.PREGAO_ELETRONICO,
        modalidade_nome="Pregão - Eletrônico",
        objeto=objeto,
        valor_estimado=Decimal("1234.56"),
        data_publicacao=NOW - timedelta(days=1),
    )


def sighted(number: int = 1, *, uf: UF = UF.SP, seen_at: datetime = NOW, live: bool = True) -> SightedBid:
    """That licitação as the memory holds it."""
    return SightedBid(bid=bid(number, uf=uf), seen_at=seen_at, live=live)


def verdict(density: float = 0.2) -> Verdict:
    """A verdict of the keyword engine."""
    return Verdict(
        relevance_source=RelevanceSource.KEYWORD,
        confidence=Confidence.HIGH,
        confidence_score=95,
        density=density,
        matched_terms=("uniformes",),
        evidence=("uniformes",),
    )


def query(*ufs: UF, sources: tuple[Source, ...] = (Source.PNCP, Source.PCP)) -> SearchQuery:
    """A normalised search for vestuario over ten days."""
    return SearchRequest(ufs=ufs or (UF.SP, UF.RJ), sector="vestuario", sources=sources).normalised(today=TODAY)


def requested(*ufs: UF, sources: tuple[Source, ...] = (Source.PNCP, Source.PCP)) -> Requested:
    """The first fact of a log."""
    return Requested(
        search_id=SEARCH_ID,
        tenant="local",
        query=query(*ufs, sources=sources),
        created_at=NOW,
        deadline=NOW + timedelta(seconds=360),
        correlation_id="c-1",
    )


def planned(request: Requested) -> Planned:
    """The plan that follows from a request."""
    return Planned(
        search_id=SEARCH_ID,
        asked=tuple(
            AskedSource(source=s, ufs=request.query.ufs, modalidades=request.query.modalidades_of(s))
            for s in request.query.sources
        ),
        gather_deadline=NOW + timedelta(seconds=180),
        consolidation_deadline=NOW + timedelta(seconds=300),
    )


def gathered(
    uf: UF,
    source: Source = Source.PNCP,
    *,
    batches: tuple[str, ...] = (),
    status: SliceStatus = SliceStatus.COMPLETE,
    live: bool = True,
    age: timedelta = timedelta(0),
    records: int = 0,
) -> Gathered:
    """One UF of one source, all its slices of one status."""
    asked = query().modalidades_of(source)
    read = status in {SliceStatus.COMPLETE, SliceStatus.PARTIAL}
    runs = tuple(
        SliceRun(
            modalidade=modalidade,
            day_from=TODAY - timedelta(days=9),
            day_to=TODAY,
            status=status,
            why=None if status is SliceStatus.COMPLETE else "timeout.modalidade",
            fetched_at=NOW - age if read else None,
            live=live and read,
            stale=read and age > timedelta(hours=6),
        )
        for modalidade in asked
    )
    return Gathered(search_id=SEARCH_ID, source=source, uf=uf, runs=runs, batches=batches, records=records)


def judged(
    batch: str,
    *,
    uf: UF = UF.SP,
    accepted: tuple[int, ...] = (),
    rejected: tuple[int, ...] = (),
    uncertain: tuple[int, ...] = (),
    part: int = 1,
    parts: int = 1,
    seen_at: datetime = NOW,
) -> Judged:
    """One part of a judged batch."""
    return Judged(
        search_id=SEARCH_ID,
        batch=batch,
        part=part,
        parts=parts,
        source=Source.PNCP,
        uf=uf,
        accepted=tuple(AcceptedBid(sighted=sighted(n, uf=uf, seen_at=seen_at), verdict=verdict()) for n in accepted),
        rejected=tuple(RejectedBid(id=bid(n).id, seen_at=seen_at, reason=RejectReason.NO_MATCH) for n in rejected),
        uncertain=tuple(
            UncertainBid(sighted=sighted(n, uf=uf, seen_at=seen_at), zone=Zone.STANDARD, verdict=verdict(0.03))
            for n in uncertain
        ),
        catalogue_version="v-test",
    )


def stored_answer(
    key: str = "v2-sample",
    *,
    rows: bytes = b"rows",
    coverage_pct: int = 100,
    finished_at: datetime = NOW,
    due_at: datetime | None = None,
    sources_failed: tuple[Source, ...] = (),
    total: int = 1,
) -> StoredAnswer:
    """The head of an answer whose packed rows these are; due 30 min after it was made."""
    coverage = Coverage(
        coverage_pct=coverage_pct, ufs_requested=1, ufs_processed=1, ufs_failed=0, freshness=Freshness.LIVE,
        ufs_status_detail=(), method="live", oldest_fetched_at=finished_at,
    )  # fmt: skip
    digest = hashlib.sha256(rows).hexdigest()
    return StoredAnswer(
        key=key,
        search_id=SEARCH_ID,
        ref=ObjectRef(bucket="ANSWERS", name=f"answers/{digest[:8]}", size=len(rows), sha256=digest),
        status=Status.COMPLETED if coverage_pct == 100 else Status.DEGRADED,  # noqa: PLR2004 - a percentage
        sources_failed=sources_failed,
        coverage=coverage,
        counts=Counts(fetched=total, accepted=total),
        total=total,
        finished_at=finished_at,
        due_at=due_at or finished_at + timedelta(minutes=30),
    )
