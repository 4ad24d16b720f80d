"""Gathers over a real bus and a real SQLite file, with a small fetcher that answers claims as it is told."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from nats.js.errors import ObjectNotFoundError

from cache.adapters.sql.schema import SCHEMA
from cache.adapters.sql.store import SqlMemory
from cache.app import build
from cache.settings import CacheSettings
from contracts.classification import JudgeBids
from contracts.fetch import FetchClaim, FetchRange, NeededQuery, PageFetched, RangeEnded, SliceStatus
from contracts.memory import Archive, BidQuery, Gather, Gathered
from contracts.places import UF, UFS
from contracts.search import Cancelled
from contracts.subjects import (
    ANSWERS_BUCKET,
    ARCHIVE,
    CANCELLED,
    CLASSIFIER_JUDGE,
    FETCHED,
    FETCHER_CLAIMS,
    GATHER,
    GATHERED,
    NEEDED,
    STORED_BID,
    Outgoing,
)
from contracts.values import Licitacao, Modalidade, Source
from contracts.verdict import Lens
from contracts.when import day_of, days_between
from servicekit.bus import Bus, Delivery
from servicekit.sql.database import Database

PREGAO, DISPENSA = Modalidade.PREGAO_ELETRONICO, Modalidade.DISPENSA
TODAY = day_of(datetime.now(UTC))
DAYS = days_between(TODAY - timedelta(days=3), TODAY)
PAGE = 2
ALL_WELL = timedelta(seconds=60)


async def until(holds: Callable[[], bool], *, within: timedelta = timedelta(seconds=30)) -> None:
    """Wait for what another task brings about."""
    async with asyncio.timeout(within.total_seconds()):
        while not holds():  # noqa: ASYNC110 - it is brought about by other processes
            await asyncio.sleep(0.02)


@dataclass
class World:
    """What the source publishes, and how its places fare."""

    bids: list[Licitacao] = field(default_factory=list)
    dead: set[UF] = field(default_factory=set)
    cut: set[UF] = field(default_factory=set)
    """Only the first page comes."""
    pace: float = 0.0
    silent: bool = False
    requests: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    claims: list[FetchClaim] = field(default_factory=list)

    def pages(self, claim: FetchClaim, asked: FetchRange) -> list[tuple[Licitacao, ...]]:
        found = [
            bid
            for bid in self.bids
            if bid.source is claim.source
            and claim.uf in {None, bid.uf}
            and asked.modalidade in {None, bid.modalidade}
            and (asked.open_today or asked.day_from <= bid.day <= asked.day_to)
        ]
        return [tuple(found[n : n + PAGE]) for n in range(0, len(found), PAGE)]


class Fetcher:
    """Answers claims as the world has it: asks what is needed, sends pages and one end per range."""

    def __init__(self, bus: Bus, world: World) -> None:
        self._bus = bus
        self._world = world

    async def fetch(self, claim: FetchClaim, delivery: Delivery) -> AsyncIterator[Outgoing]:
        world = self._world
        world.claims.append(claim)
        await until(lambda: not world.silent)
        query = NeededQuery(source=claim.source, uf=claim.uf, ranges=claim.ranges, newer_than=claim.newer_than)
        reply = await self._bus.request(NEEDED, query, timeout=timedelta(seconds=5))
        for asked in reply.ranges:
            async for outgoing in self._range(claim, asked, delivery.sequence, len(reply.ranges)):
                yield outgoing

    async def _range(
        self, claim: FetchClaim, asked: FetchRange, fetch_id: int, claim_ranges: int
    ) -> AsyncIterator[Outgoing]:
        world, started = self._world, datetime.now(UTC)
        dead, cut = claim.uf in world.dead, claim.uf in world.cut
        pages = world.pages(claim, asked)
        sent = []
        for number, bids in enumerate([] if dead else pages[:1] if cut else pages, start=1):
            await asyncio.sleep(world.pace)
            world.requests[claim.source, claim.uf, asked.modalidade, asked.day_from, asked.day_to, number] += 1
            page = PageFetched(
                fetch_id=fetch_id, source=claim.source, uf=claim.uf, range=asked, page=number, bids=bids,
                fetched_at=datetime.now(UTC),
            )  # fmt: skip
            sent.append(page)
            yield self._message(page, page.key)
        status = SliceStatus.FAILED if dead else SliceStatus.PARTIAL if cut else SliceStatus.COMPLETE
        end = RangeEnded(
            fetch_id=fetch_id, source=claim.source, uf=claim.uf, range=asked, status=status,
            why="http.503" if dead else "timeout.modalidade" if cut else None,
            page_keys=tuple(page.key for page in sent), pages_total=len(pages),
            records=sum(len(page.bids) for page in sent), started_at=started, ended_at=datetime.now(UTC),
            claim_ranges=claim_ranges,
        )  # fmt: skip
        yield self._message(end, "end")

    def _message(self, message: PageFetched | RangeEnded, what: str) -> Outgoing:
        dedup = f"{message.fetch_id}:{message.uf}:{message.range.modalidade}:{message.range.day_from}:{what}"
        return FETCHED.message(message, dedup=dedup, source=message.source)


@dataclass
class Stage:
    """A cache, the world's fetcher, and a classifier that only notes what it is given."""

    url: str
    world: World
    data_dir: Path
    bus: Bus
    judged: list[JudgeBids] = field(default_factory=list)

    @asynccontextmanager
    async def cache(self) -> AsyncIterator[None]:
        service = build(CacheSettings(nats_url=self.url, data_dir=self.data_dir, database_url=None))
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    async def messages(self, stream: str) -> int:
        return (await self.bus.connection.js.stream_info(stream)).state.messages or 0

    async def ask(self, gather: Gather) -> None:
        await self.bus.publish(GATHER.message(gather, dedup=gather.search_id))

    async def gathered(self, gather: Gather, *, within: timedelta = ALL_WELL) -> dict[UF, Gathered]:
        """The facts once every asked UF has one; fails when a UF has two."""
        facts: list[Gathered] = []
        async with asyncio.timeout(within.total_seconds()):
            while len({fact.uf for fact in facts}) < len(gather.ufs):
                await asyncio.sleep(0.05)
                facts = [GATHERED.decode(each.body) for each in await self.bus.history(gather.search_id)]
        named = {batch for fact in facts for batch in fact.batches}
        await until(lambda: named <= {command.batch for command in self.judged})
        assert len(facts) == len(gather.ufs)
        return {fact.uf: fact for fact in facts}

    def bids_of(self, search_id: str, batches: tuple[str, ...] | None = None) -> set[str]:
        return {
            each.bid.id
            for command in self.judged
            if command.search_id == search_id and (batches is None or command.batch in batches)
            for each in command.bids
        }


@pytest.fixture
def world(make: Any) -> World:
    """Two UFs and two modalidades over four days, five bids each."""
    world = World()
    number = 0
    for uf in (UF.SP, UF.RJ):
        for modalidade in (PREGAO, DISPENSA):
            for _ in range(5):
                number += 1
                world.bids.append(make.bid(number, uf=uf, modalidade=modalidade, day=DAYS[number % len(DAYS)]))
    return world


@pytest.fixture
async def stage(bus_url: str, world: World, tmp_path: Path) -> AsyncIterator[Stage]:
    bus = Bus(url=bus_url, service="stage")
    stage = Stage(url=bus_url, world=world, data_dir=tmp_path, bus=bus)
    fetcher = Fetcher(bus, world)

    async def note(command: JudgeBids, _delivery: Delivery) -> AsyncIterator[Outgoing]:
        stage.judged.append(command)
        return
        yield

    for consumer in FETCHER_CLAIMS.values():
        bus.handle(consumer, fetcher.fetch)
    bus.handle(CLASSIFIER_JUDGE, note)
    await bus.start()
    yield stage
    world.silent = False
    await bus.stop()


@pytest.fixture
def a_gather() -> Callable[..., Gather]:
    def build_it(**more: Any) -> Gather:
        now = datetime.now(UTC)
        plain = {
            "search_id": uuid4().hex, "source": Source.PNCP, "ufs": (UF.RJ, UF.SP),
            "modalidades": (PREGAO, DISPENSA), "days": DAYS, "lens": Lens(sector="vestuario"), "asked_at": now,
            "deadline": now + timedelta(seconds=60), "search_deadline": now + timedelta(seconds=90),
        }  # fmt: skip
        return Gather(**{**plain, **more})

    return build_it


def ids(world: World, *ufs: UF) -> set[str]:
    return {bid.id for bid in world.bids if bid.uf in ufs}


def statuses(fact: Gathered) -> set[SliceStatus]:
    return {run.status for run in fact.runs}


class TestGather:
    async def test_brings_every_bid_of_the_asked_ufs_and_says_that_all_was_looked_at(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        gather = a_gather()
        async with stage.cache():
            await stage.ask(gather)
            facts = await stage.gathered(gather)
        for uf, fact in facts.items():
            assert stage.bids_of(gather.search_id, fact.batches) == ids(world, uf)
            assert (fact.records, fact.pages) == (10, 6)
            assert statuses(fact) == {SliceStatus.COMPLETE}
            assert all(run.live for run in fact.runs)
            assert sum(run.days for run in fact.runs) == 2 * len(DAYS)
        assert all(command.deadline == gather.search_deadline for command in stage.judged)
        assert all(each.live for command in stage.judged for each in command.bids)

    async def test_asks_nothing_of_the_source_for_what_is_fresh(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        async with stage.cache():
            first, second = a_gather(), a_gather(lens=Lens(sector="limpeza_higiene"))
            await stage.ask(first)
            await stage.gathered(first)
            claims = len(world.claims)
            second = second.model_copy(update={"asked_at": datetime.now(UTC)})
            await stage.ask(second)
            facts = await stage.gathered(second)
        assert len(world.claims) == claims
        assert stage.bids_of(second.search_id) == ids(world, UF.SP, UF.RJ)
        assert {run.live for fact in facts.values() for run in fact.runs} == {False}
        assert not any(each.live for c in stage.judged if c.search_id == second.search_id for each in c.bids)

    async def test_fetches_again_what_is_fresh_when_told_to(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        async with stage.cache():
            first = a_gather(ufs=(UF.SP,))
            await stage.ask(first)
            await stage.gathered(first)
            second = a_gather(ufs=(UF.SP,), force_refresh=True)
            await stage.ask(second)
            facts = await stage.gathered(second)
        assert {run.live for run in facts[UF.SP].runs} == {True}
        assert len(world.claims) == 2
        assert stage.bids_of(second.search_id) == ids(world, UF.SP)

    async def test_fetches_each_page_once_for_searches_at_the_same_time(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        world.pace = 0.1
        same, wider = a_gather(ufs=(UF.SP,)), a_gather(lens=Lens(sector="limpeza_higiene"))
        async with stage.cache():
            await asyncio.gather(stage.ask(same), stage.ask(wider))
            await asyncio.gather(stage.gathered(same), stage.gathered(wider))
        assert set(world.requests.values()) == {1}
        assert stage.bids_of(same.search_id) == ids(world, UF.SP)
        assert stage.bids_of(wider.search_id) == ids(world, UF.SP, UF.RJ)

    async def test_keeps_the_pages_of_a_cut_uf_tries_it_once_more_and_says_so(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        world.cut = {UF.SP}
        gather = a_gather()
        async with stage.cache():
            await stage.ask(gather)
            facts = await stage.gathered(gather)
        assert statuses(facts[UF.RJ]) == {SliceStatus.COMPLETE}
        assert {(run.status, run.why) for run in facts[UF.SP].runs} == {(SliceStatus.PARTIAL, "timeout.modalidade")}
        assert len(stage.bids_of(gather.search_id, facts[UF.SP].batches)) == facts[UF.SP].records == 4
        assert Counter(claim.uf for claim in world.claims) == {UF.SP: 2, UF.RJ: 1}

    async def test_gives_up_a_dead_uf_after_two_fetches(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        world.dead = {UF.SP, UF.RJ}
        gather = a_gather()
        async with stage.cache():
            await stage.ask(gather)
            facts = await stage.gathered(gather)
        for fact in facts.values():
            assert {(run.status, run.why, run.fetched_at) for run in fact.runs} == {
                (SliceStatus.FAILED, "http.503", None)
            }
            assert (fact.batches, fact.records, fact.pages) == ((), 0, 0)
        assert Counter(claim.uf for claim in world.claims) == {UF.SP: 2, UF.RJ: 2}

    async def test_reports_in_time_when_nobody_fetches(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        world.silent = True
        gather = a_gather(deadline=datetime.now(UTC) + timedelta(seconds=9))
        async with stage.cache():
            await stage.ask(gather)
            facts = await stage.gathered(gather)
            assert datetime.now(UTC) < gather.deadline
            world.silent = False
        assert {(run.status, run.why) for fact in facts.values() for run in fact.runs} == {
            (SliceStatus.NEVER, "timeout.source")
        }

    async def test_emits_stored_bids_that_the_dead_source_cannot_renew(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather], make: Any
    ) -> None:
        ago = datetime.now(UTC) - timedelta(days=3)
        database = Database.of(SCHEMA, None, stage.data_dir)
        memory = SqlMemory(database)
        stored = [bid for bid in world.bids if bid.uf is UF.SP and bid.modalidade is PREGAO]
        plain = {"range": FetchRange(modalidade=PREGAO, day_from=DAYS[0], day_to=DAYS[-1])}
        page = make.page(*stored, fetched_at=ago, **plain)
        await memory.store(page)
        await memory.store(make.end(page, started_at=ago, ended_at=ago, **plain))
        await database.close()
        world.dead = {UF.SP}
        gather = a_gather(ufs=(UF.SP,))
        async with stage.cache():
            await stage.ask(gather)
            facts = await stage.gathered(gather)
        (kept,) = [run for run in facts[UF.SP].runs if run.modalidade is PREGAO]
        assert (kept.status, kept.why, kept.fetched_at, kept.live) == (SliceStatus.COMPLETE, "http.503", ago, False)
        assert stage.bids_of(gather.search_id, facts[UF.SP].batches) == {bid.id for bid in stored}

    async def test_ends_the_same_when_its_process_is_replaced_on_the_way(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        world.pace = 0.3
        gather = a_gather()
        async with stage.cache():
            await stage.ask(gather)
            await until(lambda: bool(stage.judged))
        async with stage.cache():
            facts = await stage.gathered(gather)
        for uf, fact in facts.items():
            assert stage.bids_of(gather.search_id, fact.batches) == ids(world, uf)
            assert statuses(fact) == {SliceStatus.COMPLETE}
            assert fact.records == 10

    async def test_stops_when_the_search_is_cancelled(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        world.silent = True
        gather = a_gather()
        async with stage.cache():
            await stage.ask(gather)
            await until(lambda: bool(world.claims))
            wish = Cancelled(search_id=gather.search_id, at=datetime.now(UTC))
            await stage.bus.publish(CANCELLED.message(wish, search_id=gather.search_id))
            async with asyncio.timeout(20):
                while await stage.messages("WORK"):  # noqa: ASYNC110 - the server's own count
                    await asyncio.sleep(0.05)
        assert [each.subject.split(".")[3] for each in await stage.bus.history(gather.search_id)] == ["cancelled"]


class TestGatherOfWhatIsOpen:
    async def test_brings_what_the_source_lists_whenever_it_was_published(
        self, stage: Stage, world: World, make: Any, a_gather: Callable[..., Gather]
    ) -> None:
        old = make.bid(900, uf=UF.SP, day=TODAY - timedelta(days=200))
        world.bids = [*world.bids, old]
        async with stage.cache():
            first = a_gather(days=(), scope="open")
            await stage.ask(first)
            facts = await stage.gathered(first)
            asked = dict(world.requests)
            second = a_gather(days=(), scope="open")
            await stage.ask(second)
            again = await stage.gathered(second)
        assert stage.bids_of(first.search_id) == stage.bids_of(second.search_id) == ids(world, UF.SP, UF.RJ)
        assert all(each.ranges[0].open_today for each in world.claims)
        assert dict(world.requests) == asked, "what was read half an hour ago is fresh"
        for fact in (*facts.values(), *again.values()):
            assert [(run.status, run.day_from, run.days) for run in fact.runs] == [(SliceStatus.COMPLETE, TODAY, 1)] * 2


class TestGatherWithSqlAway:
    async def test_goes_on_by_what_the_bells_carry_and_stores_it_later(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        (stage.data_dir / "cache.db").mkdir()
        gather = a_gather()
        async with stage.cache():
            await stage.ask(gather)
            facts = await stage.gathered(gather)
            for uf, fact in facts.items():
                assert stage.bids_of(gather.search_id, fact.batches) == ids(world, uf)
                assert statuses(fact) == {SliceStatus.COMPLETE}
                assert all(run.live for run in fact.runs)
            assert await stage.messages("PAGES"), "what could not be stored waits"

            (stage.data_dir / "cache.db").rmdir()
            async with asyncio.timeout(60):
                while await stage.messages("PAGES"):  # noqa: ASYNC110 - the server's own count
                    await asyncio.sleep(0.1)
            claims = len(world.claims)
            again = a_gather()
            await stage.ask(again)
            await stage.gathered(again)
        assert len(world.claims) == claims
        assert stage.bids_of(again.search_id) == ids(world, UF.SP, UF.RJ)


class TestNationalGather:
    async def test_makes_one_claim_and_reports_bids_without_a_uf_with_the_last_one(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather], make: Any
    ) -> None:
        homeless = [make.bid(n, source=Source.PCP, uf=UF.XX, modalidade=Modalidade.OUTRA) for n in (901, 902)]
        homeless = [bid.model_copy(update={"data_publicacao": datetime.now(UTC)}) for bid in homeless]
        local = [make.bid(800 + n, source=Source.PCP, uf=uf, day=DAYS[1]) for n, uf in enumerate(UFS)]
        world.bids = [*homeless, *local]
        gather = a_gather(source=Source.PCP, ufs=UFS, modalidades=(Modalidade.OUTRA, PREGAO))
        async with stage.cache():
            await stage.ask(gather)
            facts = await stage.gathered(gather)
        assert [claim.uf for claim in world.claims] == [None]
        assert stage.bids_of(gather.search_id) == {bid.id for bid in world.bids}
        naming = [fact for fact in facts.values() if any("-XX-" in batch for batch in fact.batches)]
        assert len(naming) == 1
        named = {batch for fact in facts.values() for batch in fact.batches}
        assert named == {command.batch for command in stage.judged}
        assert sum(fact.records for fact in facts.values()) == 29
        assert {fact.pages for fact in facts.values()} == {15}

    async def test_leaves_bids_without_a_uf_to_searches_of_the_whole_country(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather], make: Any
    ) -> None:
        world.bids = [make.bid(900 + n, source=Source.PCP, uf=uf, day=DAYS[1]) for n, uf in enumerate((UF.XX, UF.SP))]
        gather = a_gather(source=Source.PCP, ufs=(UF.SP,), modalidades=(PREGAO,))
        async with stage.cache():
            await stage.ask(gather)
            await stage.gathered(gather)
        assert stage.bids_of(gather.search_id) == ids(world, UF.SP)


class TestAnswers:
    async def test_tells_a_stored_bid_and_keeps_the_log_of_a_closed_search(
        self, stage: Stage, world: World, a_gather: Callable[..., Gather]
    ) -> None:
        gather = a_gather(ufs=(UF.SP,))
        patience = timedelta(seconds=5)
        async with stage.cache():
            await stage.ask(gather)
            await stage.gathered(gather)
            some = next(bid for bid in world.bids if bid.uf is UF.SP)
            known = await stage.bus.request(STORED_BID, BidQuery(id=some.id), timeout=patience)
            unknown = await stage.bus.request(STORED_BID, BidQuery(id="PCP-404"), timeout=patience)
            closed = Archive(search_id=gather.search_id, closed_at=datetime.now(UTC))
            await stage.bus.publish(ARCHIVE.message(closed, dedup=gather.search_id))
            log = await self._archived(stage, gather.search_id)
        assert known.bid == some
        assert unknown.bid is None
        assert [(line["subject"], line["body"]["records"]) for line in log] == [
            (GATHERED.subject(search_id=gather.search_id, source="pncp", uf="SP"), 10)
        ]

    async def _archived(self, stage: Stage, search_id: str) -> list[dict[str, Any]]:
        store = await stage.bus.connection.js.object_store(ANSWERS_BUCKET)
        async with asyncio.timeout(10):
            while True:
                try:
                    found = await store.get(f"archives/{search_id}")
                except ObjectNotFoundError:
                    await asyncio.sleep(0.05)
                else:
                    break
        assert found.data is not None
        return [json.loads(line) for line in gzip.decompress(found.data).splitlines()]
