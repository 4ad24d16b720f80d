"""The page before a scripted search: real routes, edge and events over a log of real facts; only the bus is missing."""

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, Literal, cast
from zlib import crc32

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from contracts.classification import AcceptedBid, Judged, RejectedBid, RejectReason, SightedBid
from contracts.events import Event, EventName, events_of
from contracts.feedback import FeedbackOutcome, FeedbackReply, TellFeedback
from contracts.fetch import DetailsReply, Document, Item, SliceStatus
from contracts.fold import SearchState
from contracts.ledger import LedgerGap, LedgerReply, LedgerRun, LedgerWindow
from contracts.memory import BidChanged, BidReply, Gathered, SliceRun
from contracts.places import UF
from contracts.ranking import ranked
from contracts.report import ObjectRef, SpreadsheetFailed, SpreadsheetReady, Summary, SummaryReady
from contracts.search import AskedSource, Cancelled, Closed, Completed, Planned, Requested
from contracts.state import Degradation, OperationalState, ResponseState, SearchView, Status
from contracts.subjects import DETAILS, FEEDBACK, LEDGER, Outgoing, Topic
from contracts.values import Licitacao, Modalidade, Source
from contracts.verdict import Confidence, RelevanceSource, Verdict, Viability, ViabilityFactor, ViabilityLevel
from gateway import page
from gateway.domain.events import Frame, frames_of, position_of
from gateway.domain.keys import LocalKey
from gateway.domain.results import Rows
from gateway.domain.shelf import Mark, SavedSearch, Triage
from gateway.domain.standing import BidStanding, standing_in_search
from gateway.http import create_http
from gateway.routes.ports import Desk, Shelf
from servicekit.envelope import Ack

KEY = "farol_page_0123456789abcdef"
EPOCH = "stage"
FILE = ObjectRef(bucket="FILES", name="f.xlsx", size=4, sha256="0" * 64)
HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> aquisição de uniformes"

PAYLOADS = (
    "<script>window.pwned=1</script>",
    "<svg onload=window.pwned=1>",
    '"><img src=x onerror=window.pwned=1>',
    "' onmouseover='window.pwned=1",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
    "{{7*7}}${window.pwned=1}",
    "javascript:window.pwned=1",
    "</title><style>*{display:none}</style>",
)
"""Ways to break out of text, one for each field of a hostile bid."""
TEXTS = (
    "REGISTRO DE PREÇOS para aquisição de uniformes, incluindo jalecos, calças e capas de chuva, para os maqueiros.",
    "Aquisição de uniforme na cor laranja com faixa refletiva (camiseta dry fit e calça) para a limpeza urbana.",
    "Contratação de empresa para fornecimento de materiais diversos, entre eles vestuário e calçados, "
    + "conforme condições, quantidades e exigências do Termo de Referência e seus anexos, " * 4,
)
PLACES = {UF.SP: "São José dos Campos", UF.RJ: "Niterói", UF.MG: "Uberlândia", UF.BA: "Feira de Santana"}


@dataclass
class Script:
    """How the searches of one test go; `ending` picks the facts."""

    ending: str = "complete"
    hostile: bool = False
    asked: list[Requested] = field(default_factory=list)


@dataclass
class Playing:
    """One search on stage: its state so far, its frames, and the facts still to come."""

    state: SearchState
    to_come: list[Any]
    frames: list[Frame] = field(default_factory=list)
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, *, until: type | None = None, count: int | None = None) -> None:
        """Let the next facts happen: `count` of them, or up to and with the first of a kind, or all."""
        while self.to_come and count != 0:
            fact = self.to_come.pop(0)
            fact = fact(self.state) if callable(fact) else fact
            sequence = self.state.last_sequence + 1
            self.frames += frames_of(events_of(self.state, sequence, fact), sequence=sequence, epoch=EPOCH)
            self.state.apply(sequence, fact)
            count = None if count is None else count - 1
            if until is not None and isinstance(fact, until):
                break
        self.bell.set()
        self.bell = asyncio.Event()


class Stage:
    """Fits the ports of the routes (`Publisher`, `Searches`) with a log in memory."""

    def __init__(self, script: Script, *, clock: Callable[[], datetime]) -> None:
        self.script = script
        self.clock = clock
        self.connected = True
        self.streams = 0
        self.playing: dict[str, Playing] = {}
        self.opened: list[str | None] = []
        """The `Last-Event-ID` of each stream that was opened."""
        self.told: list[TellFeedback] = []
        self.cuts = 0
        self.marks = Marks()
        self.kept_rows: int | None = None
        """How many rows an answer has after a change of the world; None: all."""

    async def publish(self, outgoing: Outgoing) -> Ack:
        requested = outgoing.value
        if isinstance(requested, Cancelled):
            playing = self.playing[requested.search_id]
            playing.to_come[:] = [requested, lambda state: _cancelled(requested, state)]
            playing.tell()
            return Ack(sequence=playing.state.last_sequence, duplicate=False)
        self.script.asked.append(requested)
        playing = Playing(SearchState(requested.search_id), [requested, *story(requested, self.script)])
        self.playing[requested.search_id] = playing
        playing.tell(count=1)
        return Ack(sequence=1, duplicate=False)

    async def request(self, topic: Topic[Any], query: Any, **_more: Any) -> Any:
        """What the memory and the fetcher would answer."""
        if topic is LEDGER:
            return self._ledger(query)
        if topic is FEEDBACK:
            self.told.append(query)
            return FeedbackReply(outcome=FeedbackOutcome.KEPT, at=self.clock())
        if topic is DETAILS:
            return details_of(query.bid_id, self.script, self.clock())
        known = {_bid_id(uf, n): (uf, n) for uf in UF for n in range(3)}
        if query.id not in known:
            return BidReply(bid=None)
        bid = accepted(self.clock(), *known[query.id], self.script).sighted.bid
        changed = BidChanged(
            id=bid.id, source=bid.source, uf=bid.uf, field="data_encerramento",
            old=(self.clock() + timedelta(days=1)).isoformat(), new=(self.clock() + timedelta(days=16)).isoformat(),
            seen_at=self.clock() + timedelta(seconds=1),
        )  # fmt: skip
        return BidReply(bid=bid, seen_at=self.clock() - timedelta(minutes=3), changes=(changed,))

    def _ledger(self, window: LedgerWindow) -> LedgerReply:
        days = (window.day_to - window.day_from).days + 1

        def run(uf: UF, *, complete: int = 0, failed: int = 0, never: int = 0) -> LedgerRun:
            return LedgerRun(
                source=Source.PNCP, uf=uf, day_from=window.day_from, day_to=window.day_to, complete=complete,
                partial=0, failed=failed, never=never, due=0, records=41 * complete, oldest_fetched_at=self.clock(),
            )  # fmt: skip

        runs = (run(UF.SP, complete=5), run(UF.RJ, complete=3, never=2), run(UF.AC, failed=5), run(UF.BA, never=5))
        gap = LedgerGap(
            source=Source.PNCP, uf=UF.RJ, modalidade=None, day_from=window.day_from, day_to=window.day_from, held=40,
            published=44, seen_at=self.clock(),
        )  # fmt: skip
        return LedgerReply(runs=runs, gaps=(gap,), slices_asked=20 * days, slices_complete=8 * days, at=self.clock())

    def asked(self, search_id: str) -> None:
        assert search_id in self.playing

    async def view(self, search_id: str) -> SearchView | None:
        playing = self.playing.get(search_id)
        return playing.state.view(self.clock()) if playing else None

    async def wait_until_over(self, search_id: str, *, within: timedelta) -> SearchView | None:
        return await self.view(search_id)

    async def rows(self, search_id: str) -> Rows | None:
        playing = self.playing.get(search_id)
        if playing is None or playing.state.requested is None:
            return None
        view, sort = playing.state.view(self.clock()), playing.state.requested.query.sort
        results = ranked(playing.state.results(), sort)[: self.kept_rows]
        return Rows(results=results, revision=view.revision, status=view.status, final=view.status.terminal, sort=sort)

    async def standing(self, search_id: str, bid_id: str) -> BidStanding | None:
        state = self.playing[search_id].state
        return standing_in_search(state.standings(), bid_id, final=state.completed is not None)

    async def summary(self, search_id: str, revision: int) -> SummaryReady | None:
        return self.playing[search_id].state.summary

    async def answer(self, search_id: str) -> None:
        return None

    async def spreadsheet(self, search_id: str, revision: int) -> SpreadsheetReady | None:
        return self.playing[search_id].state.spreadsheet

    async def file(self, ref: ObjectRef) -> bytes:
        return b"PK\x03\x04"

    async def failure(self, search_id: str) -> str | None:
        failed = self.playing[search_id].state.spreadsheet_failed
        return failed.message if failed else None

    async def query_words(self, search_id: str) -> tuple[str, ...] | None:
        return ("vestuario", "SP")

    async def follow(self, search_id: str, last_event_id: str | None) -> AsyncIterator[bytes] | None:
        playing = self.playing.get(search_id)
        return None if playing is None else self._stream(playing, last_event_id)

    async def nothing_left(self, search_id: str, last_event_id: str | None) -> bool:
        playing = self.playing.get(search_id)
        if playing is None or playing.state.closed is None:
            return False
        return last_event_id == playing.frames[-1].id

    async def frames(self, search_id: str, last_event_id: str | None) -> tuple[list[Frame], bool] | None:
        playing = self.playing.get(search_id)
        return None if playing is None else (playing.frames, playing.state.closed is not None)

    async def _stream(self, playing: Playing, last_event_id: str | None) -> AsyncIterator[bytes]:
        self.opened.append(last_event_id)
        after, cuts = position_of(last_event_id, epoch=EPOCH), self.cuts
        yield b"retry: 50\n\n"
        while self.cuts == cuts:
            bell = playing.bell
            for frame in [each for each in playing.frames if each.position > after]:
                after = frame.position
                yield frame.wire
            if playing.state.closed is not None:
                return
            await bell.wait()


class Marks:
    """The part of a shelf that the page uses: marks, saved searches, and what was shown before."""

    def __init__(self) -> None:
        self.of: dict[str, Triage] = {}
        self.seen: set[str] = set()
        self.searches: dict[str, SavedSearch] = {}

    async def mark(self, tenant: str, marked: Triage) -> None:
        self.of[marked.bid_id] = marked

    async def unmark(self, tenant: str, bid_id: str) -> bool:
        return self.of.pop(bid_id, None) is not None

    async def marks(
        self, tenant: str, *, mark: Mark | None, before: int | None, limit: int
    ) -> tuple[list[Triage], int | None]:
        return [each for each in reversed(self.of.values()) if mark in {None, each.mark}][:limit], None

    async def save(self, tenant: str, saved: SavedSearch) -> bool:
        self.searches[saved.id] = saved
        return True

    async def saved(self, tenant: str) -> list[SavedSearch]:
        return list(self.searches.values())

    async def unsave(self, tenant: str, saved_id: str) -> bool:
        return self.searches.pop(saved_id, None) is not None

    async def marks_of(self, tenant: str, bid_ids: Sequence[str]) -> dict[str, Triage]:
        return {bid_id: self.of[bid_id] for bid_id in bid_ids if bid_id in self.of}

    async def seen_before(self, tenant: str, search_id: str, bid_ids: Sequence[str]) -> frozenset[str]:
        return frozenset(self.seen.intersection(bid_ids))

    async def show(self, tenant: str, search_id: str, bid_ids: Sequence[str], *, at: datetime) -> None:
        """What a search shows now was not shown before it."""


def desk_of(stage: Stage) -> Desk:
    return Desk(
        publisher=stage,
        asker=stage,
        searches=stage,
        key=LocalKey(KEY),
        clock=stage.clock,
        search_budget=timedelta(seconds=360),
        wait_max=timedelta(seconds=1),
        max_streams=10,
        shelf=cast("Shelf", stage.marks),
    )


def story(requested: Requested, script: Script) -> Iterator[Any]:
    """The facts after `requested`, in an order that a real search could have."""
    query = requested.query
    asked = (
        AskedSource(source=Source.PNCP, ufs=query.ufs, modalidades=query.modalidades_of(Source.PNCP)),
        AskedSource(source=Source.PCP, ufs=query.ufs, modalidades=query.modalidades_of(Source.PCP)),
    )
    yield Planned(
        search_id=requested.search_id,
        asked=asked,
        gather_deadline=requested.created_at + timedelta(seconds=180),
        consolidation_deadline=requested.created_at + timedelta(seconds=300),
    )
    for number, uf in enumerate(query.ufs):
        for each in asked:
            yield _gathered(requested, each, uf, number, script)
        if script.ending != "outage":
            yield _judged(requested, uf, number, script)
    yield lambda state: _completed(requested, script, state)
    if script.ending != "outage":
        yield _summary(requested)
        if script.ending == "degraded":
            yield SpreadsheetFailed(
                search_id=requested.search_id,
                revision=1,
                message="Não foi possível gerar a planilha agora. Os resultados continuam na página.",
            )
        else:
            yield SpreadsheetReady(search_id=requested.search_id, revision=1, file=FILE, rows=3)
    yield Closed(search_id=requested.search_id, at=requested.created_at + timedelta(seconds=20))


def _gathered(requested: Requested, asked: AskedSource, uf: UF, number: int, script: Script) -> Gathered:
    query = requested.query
    status, live, why = SliceStatus.COMPLETE, True, None
    if script.ending == "outage":
        status, why = SliceStatus.FAILED, "pncp.unavailable"
    elif script.ending == "degraded":
        status = (SliceStatus.COMPLETE, SliceStatus.PARTIAL, SliceStatus.FAILED, SliceStatus.COMPLETE)[number % 4]
        live, why = number % 4 != 3, None if status is SliceStatus.COMPLETE else "pncp.timeout"
    judges = asked.source is Source.PNCP and script.ending != "outage"
    runs = tuple(
        SliceRun(
            modalidade=modalidade,
            day_from=query.date_from,
            day_to=query.date_to,
            status=status,
            why=why,
            live=live,
            fetched_at=None
            if status is SliceStatus.FAILED
            else requested.created_at - timedelta(hours=0 if live else 5, minutes=3),
        )
        for modalidade in asked.modalidades
    )
    return Gathered(
        search_id=requested.search_id,
        source=asked.source,
        uf=uf,
        runs=runs,
        batches=(f"pncp-{uf}-1",) if judges else (),
        records=41 * (number + 1) if judges and status is not SliceStatus.FAILED else 0,
        pages=2,
        duration_ms=800,
    )


def _judged(requested: Requested, uf: UF, number: int, script: Script) -> Judged:
    found = script.ending != "empty" and not (script.ending == "degraded" and number % 4 == 2)
    rejected = RejectedBid(id=_bid_id(uf, 9), seen_at=requested.created_at, reason=RejectReason.NO_MATCH)
    return Judged(
        search_id=requested.search_id,
        batch=f"pncp-{uf}-1",
        source=Source.PNCP,
        uf=uf,
        accepted=tuple(accepted(requested.created_at, uf, n, script) for n in range(3)) if found else (),
        rejected=(rejected,),
        catalogue_version="c1",
    )


def accepted(now: datetime, uf: UF, n: int, script: Script) -> AcceptedBid:
    """A high, a medium and a low one per UF; the last has no value and, in a hostile script, tries to break out."""
    hostile = script.hostile and n == 2
    objeto = HOSTILE if hostile else TEXTS[n]
    evidence = ("uniformes", "uniforme", "vestuário")[n]
    evil = iter(PAYLOADS)

    def told(words: str) -> str:
        return f"{words} {next(evil)}" if hostile else words

    bid = Licitacao(
        id=_bid_id(uf, n),
        source=Source.PNCP,
        uf=uf,
        municipio=told(PLACES.get(uf, uf.nome)),
        orgao=told(f"Prefeitura Municipal de {PLACES.get(uf, uf.nome)}"),
        modalidade=Modalidade.DISPENSA if n else Modalidade.PREGAO_ELETRONICO,
        modalidade_nome=told((Modalidade.DISPENSA if n else Modalidade.PREGAO_ELETRONICO).nome),
        numero=told("1/2026"),
        objeto=objeto,
        valor_estimado=(Decimal("291351.39"), Decimal("4586553.75"), None)[n],
        data_publicacao=now - timedelta(days=n + 1),
        data_encerramento=(now + timedelta(days=16), now + timedelta(days=2), None)[n],
        link="javascript:alert(1)" if hostile else "https://editais.example/1",
    )
    verdict = Verdict(
        relevance_source=(RelevanceSource.KEYWORD, RelevanceSource.LLM_STANDARD, RelevanceSource.RULES_WITHOUT_LLM)[n],
        confidence=(Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW)[n],
        confidence_score=(95, 78, 50)[n],
        density=(0.08, 0.04, 0.015)[n],
        matched_terms=(told(evidence),),
        evidence=(evidence, "aquisição de uniformes") if hostile else (evidence,),
        reasons=(told(f"O objeto contém “{evidence}”."), "Nenhum termo que exclua o setor aparece."),
        trace=(told(f"term:{evidence}"), f"density:{(0.08, 0.04, 0.015)[n]:.4f}", "zone:high"),
        viability=_viability(n),
    )
    return AcceptedBid(sighted=SightedBid(bid=bid, seen_at=now, live=True), verdict=verdict)


def details_of(bid_id: str, script: Script, now: datetime) -> DetailsReply:
    """Two items and a document; of a hostile bid all of them try to break out."""
    evil = PAYLOADS[0] if script.hostile else ""
    items = (
        Item(numero=1, descricao=f"Camiseta {evil}", quantidade=1200, unidade="UN", valor_unitario=25.9),
        Item(numero=2, descricao="Calça", unidade=None),
    )
    link = "javascript:alert(1)" if script.hostile else "https://editais.example/edital.pdf"
    documents = (Document(titulo=f"Edital {evil}", tipo="Edital", link=link, publicado_em=now),)
    return DetailsReply(bid_id=bid_id, items=items, documents=documents, fetched_at=now)


def _viability(n: int) -> Viability:
    factors = (
        ViabilityFactor(name="modalidade", weight=30, score=(100, 40, 40)[n], reason="Disputa aberta pela internet."),
        ViabilityFactor(name="timeline", weight=25, score=(100, 50, 30)[n], reason="Mais de 14 dias para a proposta."),
        ViabilityFactor(name="value", weight=25, score=(100, 60, 50)[n], reason="Dentro da faixa comum do setor."),
        ViabilityFactor(name="geography", weight=20, score=50, reason="Sem a sua UF, a distância fica neutra."),
    )
    score = sum(each.weight * each.score for each in factors) // 100
    level = ViabilityLevel.ALTA if score > 70 else ViabilityLevel.MEDIA if score >= 40 else ViabilityLevel.BAIXA
    return Viability(score=score, level=level, factors=factors)


def _completed(requested: Requested, script: Script, state: SearchState) -> Completed:
    rows = state.results()
    coverage = state.coverage(over=True)
    status, operational, degraded, message = Status.COMPLETED, OperationalState.OPERATIONAL, None, None
    if script.ending == "degraded":
        status, operational = Status.DEGRADED, OperationalState.PARTIAL
        degraded = Degradation(
            reason="Alguns estados não responderam a tempo.", sources_failed=(Source.PCP,), cache_age_hours=5.0
        )
    if script.ending == "outage":
        status, operational = Status.EMPTY_FAILURE, OperationalState.UNAVAILABLE
        degraded, message = (
            Degradation(reason="Nenhuma consulta pôde ser feita."),
            "Fontes temporariamente indisponíveis",
        )
    return Completed(
        search_id=requested.search_id,
        status=status,
        response_state=ResponseState.EMPTY_FAILURE if script.ending == "outage" else ResponseState.LIVE,
        degraded=degraded,
        message=message,
        answer_ref=None if script.ending == "outage" else FILE,
        counts=state.counts(),
        coverage=coverage,
        operational_state=operational,
        reliability=0 if script.ending == "outage" else 86,
        llm_pending=3 if script.ending == "degraded" else 0,
        first_rows=rows[:2],
        total=len(rows),
        at=requested.created_at + timedelta(seconds=9),
    )


def _cancelled(wish: Cancelled, state: SearchState) -> Completed:
    rows = state.results()
    return Completed(
        search_id=wish.search_id,
        status=Status.CANCELLED,
        response_state=ResponseState.LIVE,
        answer_ref=FILE,
        counts=state.counts(),
        coverage=state.coverage(over=True),
        operational_state=OperationalState.DEGRADED,
        reliability=20,
        first_rows=rows[:2],
        total=len(rows),
        at=wish.at,
    )


def _summary(requested: Requested) -> SummaryReady:
    text = (
        "Nesta busca, o maior volume está no Sudeste.\n\nA maioria encerra logo. Próximos:\n1. Niterói\n2. Uberlândia"
    )
    summary = Summary(text=text, highlights=("Maior valor: R$ 4.586.553,75", "Próximo prazo: em 2 dias"))
    return SummaryReady(search_id=requested.search_id, revision=1, summary=summary)


def _bid_id(uf: UF, n: int) -> str:
    return f"{tuple(UF).index(uf):014d}-1-{n:06d}/2026"


class Served:
    """A stage behind a real socket, in a thread of its own; each test has a stage of its own and moves it on."""

    def __init__(self) -> None:
        self.stage = Stage(Script(), clock=lambda: datetime.now(UTC))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._app = create_http(desk_of(self.stage), pages=(page.router(),))
        self._server = uvicorn.Server(
            uvicorn.Config(self._app, log_config=None, ws="none", lifespan="off", timeout_graceful_shutdown=1)
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        end = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < end, "the stage did not open"
            time.sleep(0.01)

    def show(self, stage: Stage) -> None:
        """Let the searches of the stage before go, and serve this one."""
        before, self.stage = self.stage, stage
        self._app.state.desk = desk_of(stage)
        self._loop.call_soon_threadsafe(_finish, before)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()

    def tell(self, *, until: type | None = None, count: int | None = None) -> None:
        """Let facts of the newest search happen."""
        newest = list(self.stage.playing.values())[-1]
        self._loop.call_soon_threadsafe(lambda: newest.tell(until=until, count=count))

    def frame(self, name: str, data: dict[str, Any]) -> None:
        """Send an event that no fact of the newest search makes."""
        newest = list(self.stage.playing.values())[-1]

        def send() -> None:
            sequence = newest.state.last_sequence
            newest.frames += frames_of((Event(EventName(name), data),), sequence=sequence + 1, epoch=EPOCH)
            newest.tell(count=0)

        self._loop.call_soon_threadsafe(send)

    def cut(self) -> None:
        """End the open streams in mid search."""

        def ring() -> None:
            self.stage.cuts += 1
            for playing in self.stage.playing.values():
                playing.tell(count=0)

        self._loop.call_soon_threadsafe(ring)

    def _end(self) -> None:
        _finish(self.stage)
        self._server.should_exit = True

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._server.serve(sockets=[self._listening]))


def _finish(stage: Stage) -> None:
    for playing in stage.playing.values():
        playing.tell()


PATIENCE_MS = 20_000
"""How long a window is waited for; a slow machine may draw seconds late."""

Look = tuple[str, Literal["light", "dark"]]
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
SIZES_ALONE: Sequence[Look] = tuple((size, "light") for size in SIZES)
EVERY_LOOK: Sequence[Look] = tuple(product(SIZES, ("light", "dark")))

CHROMIUM_FLAGS: Sequence[str] = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*CHROMIUM_FLAGS])
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def stage(script: Script) -> Stage:
    return Stage(script, clock=lambda: datetime.now(UTC))


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    served = Served()
    served.start()
    yield served
    served.stop()


@pytest.fixture
def served(house: Served, stage: Stage) -> Served:
    house.show(stage)
    return house


@dataclass
class Profiles:
    """One browser, and one profile in it for each look: what was loaded once is not loaded for every test."""

    browser: Browser
    kept: dict[Look, BrowserContext] = field(default_factory=dict)

    @contextmanager
    def visit(self, served: Served, look: Look) -> Iterator[Page]:
        """An empty window of someone who has never been here."""
        if look not in self.kept:
            width, height = SIZES[look[0]]
            self.kept[look] = self.browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=look[1], reduced_motion="reduce",
                locale="pt-BR",
            )  # fmt: skip
            self.kept[look].set_default_timeout(PATIENCE_MS)
        context = self.kept[look]
        page = context.new_page()
        try:
            yield page
            page.evaluate("localStorage.clear()")
        finally:
            page.close()
            context.clear_cookies()


@pytest.fixture(scope="module")
def profiles() -> Iterator[Profiles]:
    """Not of the whole session: while Playwright runs, no other loop can, and some tests have one."""
    with chromium() as browser:
        yield Profiles(browser)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In every look that a test does not name itself; one of them, drawn by its name, is part of `make test`."""
    for argument, looks in {"size": SIZES_ALONE, "look": EVERY_LOOK}.items():
        named = [marker.args[0] for marker in metafunc.definition.iter_markers("parametrize")]
        if argument in metafunc.fixturenames and argument not in named:
            chosen = looks[crc32(metafunc.definition.name.encode()) % len(looks)]
            metafunc.parametrize(
                argument,
                [pytest.param(each, marks=() if each == chosen else (pytest.mark.soak,)) for each in looks],
                ids="-".join,
            )
