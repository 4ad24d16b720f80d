"""The facts of one search, as the other services publish them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from contracts.answer import Answer, Result
from contracts.classification import AcceptedBid, Judged, RejectedBid, RejectReason, SightedBid
from contracts.fetch import SliceStatus
from contracts.fold import SearchState
from contracts.memory import Gathered, SliceRun
from contracts.places import UF
from contracts.query import SearchQuery, SearchRequest
from contracts.report import ObjectRef, SpreadsheetFailed, SpreadsheetReady, Summary, SummaryReady
from contracts.search import AskedSource, Closed, Completed, Planned, Requested
from contracts.state import OperationalState, ResponseState, Status
from contracts.subjects import (
    CLOSED,
    COMPLETED,
    GATHERED,
    JUDGED,
    PLANNED,
    REQUESTED,
    SPREADSHEET_FAILED,
    SPREADSHEET_READY,
    SUMMARY_READY,
    Outgoing,
)
from contracts.values import Licitacao, Modalidade, Source
from contracts.verdict import Confidence, RelevanceSource, Verdict
from contracts.when import day_of

NOON = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Told:
    """A story in facts: SP and RJ of one source, two bids accepted and one left out in each."""

    search_id: str
    asked_at: datetime = NOON
    tenant: str = "local"

    @property
    def query(self) -> SearchQuery:
        request = SearchRequest(
            ufs=(UF.SP, UF.RJ),
            sector="vestuario",
            sources=(Source.PNCP,),
            modalidades=(Modalidade.PREGAO_ELETRONICO,),
        )
        return request.normalised(today=day_of(self.asked_at))

    def requested(self) -> Outgoing:
        fact = Requested(
            search_id=self.search_id,
            tenant=self.tenant,
            query=self.query,
            created_at=self.asked_at,
            deadline=self.asked_at + timedelta(seconds=360),
            correlation_id="of-the-test",
        )
        return REQUESTED.message(fact, search_id=self.search_id)

    def planned(self) -> Outgoing:
        fact = Planned(
            search_id=self.search_id,
            asked=(
                AskedSource(
                    source=Source.PNCP, ufs=(UF.RJ, UF.SP), modalidades=(Modalidade.PREGAO_ELETRONICO,)
                ),
            ),
            gather_deadline=self.asked_at + timedelta(seconds=180),
            consolidation_deadline=self.asked_at + timedelta(seconds=300),
        )  # fmt: skip
        return PLANNED.message(fact, search_id=self.search_id)

    def gathered(self, uf: UF) -> Outgoing:
        run = SliceRun(
            modalidade=Modalidade.PREGAO_ELETRONICO,
            day_from=self.query.date_from,
            day_to=self.query.date_to,
            status=SliceStatus.COMPLETE,
            fetched_at=self.asked_at + timedelta(seconds=2),
            live=True,
        )
        fact = Gathered(
            search_id=self.search_id, source=Source.PNCP, uf=uf, runs=(run,), batches=(f"pncp-{uf}-1",), records=3
        )
        return GATHERED.message(fact, search_id=self.search_id, source=Source.PNCP, uf=uf)

    def judged(self, uf: UF) -> Outgoing:
        fact = Judged(
            search_id=self.search_id,
            batch=f"pncp-{uf}-1",
            source=Source.PNCP,
            uf=uf,
            accepted=(self.accepted(uf, 1, score=95), self.accepted(uf, 2, score=70)),
            rejected=(
                RejectedBid(
                    id=self.bid_id(uf, 3),
                    seen_at=self.asked_at,
                    reason=RejectReason.CO_OCCURRENCE,
                    detail="co-occurrence: uniformização + fachada",
                ),
            ),
            catalogue_version="c1",
        )
        return JUDGED.message(fact, search_id=self.search_id, batch=fact.batch, part=1)

    def completed(self, answer_ref: ObjectRef | None, *, status: Status = Status.COMPLETED) -> Outgoing:
        folded = self.folded()
        rows = folded.results()
        fact = Completed(
            search_id=self.search_id,
            status=status,
            response_state=ResponseState.LIVE if answer_ref else ResponseState.EMPTY_FAILURE,
            message=None if answer_ref else "Fontes temporariamente indisponíveis",
            answer_ref=answer_ref,
            counts=folded.counts(),
            coverage=folded.coverage(),
            operational_state=OperationalState.OPERATIONAL,
            reliability=100,
            first_rows=rows,
            total=len(rows),
            at=self.asked_at + timedelta(seconds=9),
        )
        return COMPLETED.message(fact, search_id=self.search_id)

    def summary_ready(self) -> Outgoing:
        summary = Summary(text="4 licitações em SP e RJ.", highlights=("Uniformes em SP",))
        fact = SummaryReady(search_id=self.search_id, revision=1, summary=summary)
        return SUMMARY_READY.message(fact, search_id=self.search_id, revision=1)

    def spreadsheet_ready(self, file: ObjectRef) -> Outgoing:
        fact = SpreadsheetReady(search_id=self.search_id, revision=1, file=file, rows=4)
        return SPREADSHEET_READY.message(fact, search_id=self.search_id, revision=1)

    def spreadsheet_failed(self) -> Outgoing:
        fact = SpreadsheetFailed(search_id=self.search_id, revision=1, message="Não deu para gerar a planilha.")
        return SPREADSHEET_FAILED.message(fact, search_id=self.search_id, revision=1)

    def closed(self) -> Outgoing:
        fact = Closed(search_id=self.search_id, at=self.asked_at + timedelta(seconds=20))
        return CLOSED.message(fact, search_id=self.search_id)

    def found(self) -> tuple[Outgoing, ...]:
        """Everything before `completed`, RJ over before SP."""
        return (
            self.requested(), self.planned(), self.gathered(UF.RJ), self.judged(UF.RJ), self.judged(UF.SP),
            self.gathered(UF.SP),
        )  # fmt: skip

    def folded(self) -> SearchState:
        state = SearchState(self.search_id)
        for sequence, outgoing in enumerate(self.found(), 1):
            state.apply(sequence, outgoing.value)
        return state

    def answer(self) -> Answer:
        folded = self.folded()
        return Answer(
            search_id=self.search_id,
            revision=1,
            query=self.query,
            status=Status.COMPLETED,
            response_state=ResponseState.LIVE,
            coverage=folded.coverage(),
            operational_state=OperationalState.OPERATIONAL,
            reliability=100,
            counts=folded.counts(),
            results=folded.results(),
            created_at=self.asked_at,
            finished_at=self.asked_at + timedelta(seconds=9),
        )

    def bid_id(self, uf: UF, number: int) -> str:
        return f"{tuple(UF).index(uf):014d}-1-{number:06d}/2026"

    def accepted(self, uf: UF, number: int, *, score: int, value: Decimal | None = Decimal(1000)) -> AcceptedBid:
        bid = Licitacao(
            id=self.bid_id(uf, number),
            source=Source.PNCP,
            uf=uf,
            municipio="São José",
            orgao="Prefeitura",
            modalidade=Modalidade.PREGAO_ELETRONICO,
            modalidade_nome=Modalidade.PREGAO_ELETRONICO.nome,
            objeto=f"Aquisição de uniformes escolares, lote {number}",
            valor_estimado=value,
            data_publicacao=self.asked_at - timedelta(days=number),
            data_encerramento=self.asked_at + timedelta(days=10 - number),
        )
        verdict = Verdict(
            relevance_source=RelevanceSource.KEYWORD,
            confidence=Confidence.HIGH if score > 80 else Confidence.MEDIUM,
            confidence_score=score,
            density=0.2,
            matched_terms=("uniformes escolares",),
            evidence=("uniformes escolares",),
            reasons=('o objeto contém "uniformes escolares"',),
            trace=("keyword: uniformes escolares", "density: 0.2"),
        )
        return AcceptedBid(sighted=SightedBid(bid=bid, seen_at=self.asked_at, live=True), verdict=verdict)

    def row(self, uf: UF, number: int, *, score: int = 95, value: Decimal | None = Decimal(1000)) -> Result:
        return Result.of(self.accepted(uf, number, score=score, value=value))


@pytest.fixture
def told() -> Told:
    """A search of its own: the stream remembers the ids of what it was once told."""
    return Told(search_id=uuid4().hex)


@pytest.fixture
def tell() -> type[Told]:
    return Told
