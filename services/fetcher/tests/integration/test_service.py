"""The whole fetcher on a real bus, with the memory played by the test and the sources by the simulators."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import pytest
import pytest_asyncio

from contracts.fetch import (
    Bell,
    BellKind,
    DetailsQuery,
    FetchClaim,
    FetchItems,
    FetchRange,
    ItemsFetched,
    NeededQuery,
    NeededReply,
    PageFetched,
    RangeEnded,
    SliceStatus,
)
from contracts.places import NATIONAL, UF
from contracts.sources import SourceSeen
from contracts.subjects import (
    BELL,
    CACHE_PAGES,
    CLAIM,
    DETAILS,
    FETCH_ITEMS,
    ITEMS_FETCHED,
    NEEDED,
    SOURCE_SEEN,
    Outgoing,
)
from contracts.values import Modalidade, Priority, Source
from fetcher.app import build
from fetcher.settings import FetcherSettings
from servicekit.bus import Bus, Delivery
from servicekit.chain import TimeoutChain
from servicekit.clock import utc_now
from servicekit.errors import AlreadyInFlight
from servicekit.service import Service
from simulators.faults import Endpoint, Fault, Kind
from simulators.itens import pncp_itens
from simulators.server import Simulator
from simulators.world import Compra

TODAY = date(2026, 11, 20)
FROM = TODAY - timedelta(days=19)
IMPATIENT = TimeoutChain(
    per_source=timedelta(seconds=60),
    per_uf=timedelta(seconds=30),
    per_modality=timedelta(seconds=6),
    http=timedelta(seconds=4),
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Simulator]:
    async with Simulator(today=TODAY) as simulator:
        yield simulator


@pytest_asyncio.fixture(loop_scope="module")
async def sim(shared: Simulator) -> Simulator:
    shared.set_faults()
    shared.set_rates()
    shared.hits.clear()
    return shared


class PlayedMemory:
    """Takes pages and ends as the memory would, and rings `ended` when all ends of a claim are there."""

    def __init__(self, url: str, *, needed: Sequence[FetchRange] | None = None, rings: bool = True) -> None:
        self.bus = Bus(url=url, service="cache")
        self.pages: list[PageFetched] = []
        self.ends: list[RangeEnded] = []
        self.bells: list[Bell] = []
        self.largest = 0
        self._rings = rings
        self._needed = needed
        for source in Source:
            self.bus.handle(CACHE_PAGES[source], self._take, workers=1)
        self.bus.listen(BELL, self._hear)
        if needed is not None:
            self.bus.answer(NEEDED, self._answer)

    async def _take(self, message: PageFetched | RangeEnded, delivery: Delivery) -> AsyncIterator[Outgoing]:
        self.largest = max(self.largest, len(message.to_json()))
        if isinstance(message, PageFetched):
            self.pages.append(message)
            return
        self.ends.append(message)
        mine = {(end.range.modalidade, end.range.day_from) for end in self.ends if end.fetch_id == message.fetch_id}
        if self._rings and len(mine) == message.claim_ranges:
            bell = Bell(
                kind=BellKind.ENDED,
                source=message.source,
                uf=message.uf,
                fetch_id=message.fetch_id,
                claim_done=True,
            )
            await self.bus.ring(BELL.message(bell, source=message.source, uf=message.uf or NATIONAL))
        return
        yield  # a handler is a generator, also one that sends nothing

    async def _hear(self, bell: Bell) -> None:
        self.bells.append(bell)

    async def _answer(self, query: NeededQuery) -> NeededReply:
        return NeededReply(ranges=tuple(self._needed or ()))

    async def claim(self, claim: FetchClaim) -> int:
        return (await self.bus.publish(CLAIM.message(claim, source=claim.source, uf=claim.uf or NATIONAL))).sequence

    async def free(self, claim: FetchClaim) -> bool:
        """Whether the claim's place can be claimed again."""
        try:
            await self.claim(claim.model_copy(update={"not_after": claim.claimed_at}))
        except AlreadyInFlight:
            return False
        return True

    def bids(self) -> set[str]:
        return {bid.id for page in self.pages for bid in page.bids}


async def until(condition: Callable[[], object], *, seconds: float = 30) -> None:
    """Look every 10 ms: what is waited for happens in another task that knows nothing of the test."""
    for _ in range(int(seconds * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never happened")


async def until_free(played: PlayedMemory, claim: FetchClaim, *, seconds: float) -> None:
    for _ in range(int(seconds * 20)):
        if await played.free(claim):
            return
        await asyncio.sleep(0.05)
    pytest.fail("the claim is still held")


@asynccontextmanager
async def fetcher(
    sim: Simulator, url: str, *, rate: float = 200, chain: TimeoutChain | None = None
) -> AsyncIterator[Service]:
    settings = FetcherSettings(
        nats_url=url,
        pncp_consulta_url=sim.pncp_consulta_url,
        pncp_api_url=sim.pncp_api_url,
        pcp_api_url=sim.pcp_url,
        pncp_rate_per_second=rate,
        pcp_rate_per_second=rate,
    )
    service = build(settings, chain=chain or TimeoutChain())
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


@asynccontextmanager
async def memory(url: str, **more: Any) -> AsyncIterator[PlayedMemory]:
    played = PlayedMemory(url, **more)
    await played.bus.start()
    try:
        yield played
    finally:
        await played.bus.stop()


def claim(*modalidades: int, uf: UF = UF.SP, seconds: float = 60, **more: Any) -> FetchClaim:
    now = utc_now()
    return FetchClaim(
        source=Source.PNCP,
        uf=uf,
        ranges=tuple(FetchRange(modalidade=Modalidade(m), day_from=FROM, day_to=TODAY) for m in modalidades),
        not_after=now + timedelta(seconds=seconds),
        claimed_at=now,
        **more,
    )


def expected(sim: Simulator, *modalidades: int, uf: UF = UF.SP) -> set[str]:
    return {
        sim.world.bid(compra)["numeroControlePNCP"]
        for modalidade in modalidades
        for compra in sim.world.published_between(FROM, TODAY, uf=uf.value, modalidade=modalidade)
    }


class TestFetcher:
    async def test_brings_a_claim_whole_and_frees_its_place(self, sim: Simulator, bus_url: str) -> None:
        async with memory(bus_url) as played, fetcher(sim, bus_url):
            a_claim = claim(4, 6, 8)
            fetch_id = await played.claim(a_claim)
            assert not await played.free(a_claim)
            await until(lambda: len(played.ends) == 3)
            assert played.bids() == expected(sim, 4, 6, 8)
            assert {end.status for end in played.ends} == {SliceStatus.COMPLETE}
            assert {end.fetch_id for end in played.ends} == {fetch_id}
            sent = {(page.range.modalidade, page.key) for page in played.pages}
            assert sent == {(end.range.modalidade, key) for end in played.ends for key in end.page_keys}
            assert played.bells[0].kind is BellKind.STARTED
            assert played.bells[0].fetch_id == fetch_id
            await until_free(played, a_claim, seconds=20)
            assert sim.hits.answered_twice() == []

    async def test_brings_the_national_listing(self, sim: Simulator, bus_url: str) -> None:
        now = utc_now()
        day = TODAY - timedelta(days=3)
        listing = FetchClaim(
            source=Source.PCP,
            uf=None,
            ranges=(FetchRange(modalidade=None, day_from=day, day_to=TODAY),),
            not_after=now + timedelta(seconds=20),
            claimed_at=now,
        )
        async with memory(bus_url) as played, fetcher(sim, bus_url):
            await played.claim(listing)
            await until(lambda: played.ends)
            [end] = played.ends
            assert (end.status, end.uf, end.inner_from) == (SliceStatus.COMPLETE, None, day)
            assert len(played.bids()) == end.records > 10

    async def test_sends_no_message_above_200_kilobytes(self, sim: Simulator, bus_url: str) -> None:
        async with memory(bus_url) as played, fetcher(sim, bus_url):
            await played.claim(claim(6))
            await until(lambda: played.ends)
            assert 50_000 < played.largest < 200_000

    async def test_fetches_only_what_the_memory_still_needs(self, sim: Simulator, bus_url: str) -> None:
        a_claim = claim(4, 6, 8)
        async with memory(bus_url, needed=a_claim.ranges[2:]) as played, fetcher(sim, bus_url):
            await played.claim(a_claim)
            await until(lambda: played.ends)
            assert played.bids() == expected(sim, 8)
            assert {hit.asked.modalidade for hit in sim.hits} == {8}

    async def test_rings_ended_at_once_when_nothing_is_needed(self, sim: Simulator, bus_url: str) -> None:
        async with memory(bus_url, needed=()) as played, fetcher(sim, bus_url):
            fetch_id = await played.claim(claim(6))
            await until(lambda: played.bells)
            assert [(bell.kind, bell.fetch_id, bell.claim_done) for bell in played.bells] == [
                (BellKind.ENDED, fetch_id, True)
            ]
            assert sim.hits.total == 0

    async def test_frees_the_place_though_the_memory_never_rings(self, sim: Simulator, bus_url: str) -> None:
        async with memory(bus_url, rings=False) as played, fetcher(sim, bus_url):
            a_claim = claim(8)
            await played.claim(a_claim)
            await until(lambda: played.ends)
            await until_free(played, a_claim, seconds=20)

    async def test_says_which_modalidade_hung_and_keeps_its_pages(self, sim: Simulator, bus_url: str) -> None:
        sim.set_faults(Fault(kind=Kind.HANG, modalidade=6, page=3))
        async with memory(bus_url) as played, fetcher(sim, bus_url, chain=IMPATIENT):
            await played.claim(claim(4, 6, 8))
            await until(lambda: len(played.ends) == 3)
            status = {int(end.range.modalidade or 0): end.status for end in played.ends}
            assert status == {4: SliceStatus.COMPLETE, 6: SliceStatus.PARTIAL, 8: SliceStatus.COMPLETE}
            assert expected(sim, 4, 8) < played.bids() < expected(sim, 4, 6, 8)

    async def test_answers_a_claim_that_comes_too_late(self, sim: Simulator, bus_url: str) -> None:
        async with memory(bus_url) as played, fetcher(sim, bus_url):
            await played.claim(claim(6, seconds=-5))
            await until(lambda: played.ends)
            assert (played.ends[0].status, played.ends[0].why) == (SliceStatus.FAILED, "timeout.claim")
            assert sim.hits.total == 0

    async def test_hands_a_claim_over_when_it_is_stopped_and_nothing_is_lost(
        self, sim: Simulator, bus_url: str
    ) -> None:
        sim.set_faults(Fault(kind=Kind.LATENCY, seconds=0.3))
        async with memory(bus_url) as played:
            async with fetcher(sim, bus_url, rate=2):
                await played.claim(claim(6, 8, seconds=60))
                await until(lambda: played.pages)
            assert len(played.ends) < 2
            sim.set_faults()
            async with fetcher(sim, bus_url):
                await until(lambda: len(played.ends) == 2)
                assert played.bids() == expected(sim, 6, 8)
                assert {end.status for end in played.ends} == {SliceStatus.COMPLETE}
                keys = [(page.range.modalidade, page.key) for page in played.pages]
                assert len(keys) == len(set(keys))

    async def test_goes_on_for_someone_who_wants_it_longer(self, sim: Simulator, bus_url: str) -> None:
        sim.set_faults(Fault(kind=Kind.LATENCY, seconds=2, page=2))
        async with memory(bus_url) as played, fetcher(sim, bus_url):
            a_claim = claim(6, seconds=1.5, priority=Priority.INGEST)
            await played.claim(a_claim)
            await until(lambda: played.bells)
            wanted = Bell(
                kind=BellKind.WANTED,
                source=Source.PNCP,
                uf=UF.SP,
                priority=Priority.USER,
                not_after=utc_now() + timedelta(seconds=20),
            )
            await played.bus.ring(BELL.message(wanted, source=Source.PNCP, uf=UF.SP))
            await until(lambda: played.ends)
            assert played.ends[0].status is SliceStatus.COMPLETE

    async def test_leaves_no_request_behind_when_it_is_stopped(self, sim: Simulator, bus_url: str) -> None:
        sim.set_faults(Fault(kind=Kind.HANG))
        async with memory(bus_url) as played:
            async with fetcher(sim, bus_url):
                await played.claim(claim(4, 6, 8, seconds=60))
                await until(lambda: sim.hits.total)
            asked = sim.hits.total
            await asyncio.sleep(1.5)
            assert sim.hits.total == asked
            await until(lambda: all(hit.client_gone or hit.status for hit in sim.hits), seconds=5)


class TestTelling:
    async def test_says_what_was_learned_of_a_source(self, sim: Simulator, bus_url: str) -> None:
        heard: list[SourceSeen] = []

        async def hear(seen: SourceSeen) -> None:
            heard.append(seen)

        sim.set_faults(Fault(kind=Kind.RATE_LIMITED, times=1, retry_after=1))
        gateway = Bus(url=bus_url, service="gateway")
        gateway.listen(SOURCE_SEEN, hear)
        await gateway.start()
        try:
            async with memory(bus_url) as played, fetcher(sim, bus_url):
                await played.claim(claim(4, 6, 8))
                await until(lambda: played.ends)
                await until(lambda: any(seen.rate < seen.rate_configured for seen in heard))
        finally:
            await gateway.stop()
        last = [seen for seen in heard if seen.source is Source.PNCP][-1]
        assert last.rate == last.rate_configured / 2
        assert last.counted["failed.http.429"] == 1
        assert {seen.source for seen in heard} == set(Source)


class TestDetails:
    async def test_brings_items_of_both_sources_to_the_log_of_the_search(self, sim: Simulator, bus_url: str) -> None:
        search_id = "5" * 32
        long = longest(sim)
        short = {f"PCP-{processo.codigo}" for processo in sim.world.processos_between(FROM, TODAY)[:3]}
        async with memory(bus_url) as coordinator, fetcher(sim, bus_url):
            for source, bid_ids in ((Source.PNCP, {long}), (Source.PCP, short)):
                command = FetchItems(
                    search_id=search_id,
                    source=source,
                    bid_ids=tuple(bid_ids),
                    deadline=utc_now() + timedelta(seconds=30),
                )
                await coordinator.bus.publish(FETCH_ITEMS.message(command, source=source, dedup=search_id))
            facts = await stored(coordinator.bus, search_id, 4)
        assert {fact.bid_id for fact in facts} == {long, *short}
        assert [fact for fact in facts if not fact.items or fact.why or fact.cut] == []
        [whole] = [fact for fact in facts if fact.bid_id == long]
        numbers = [item.numero for item in whole.items or ()]
        assert numbers == [row["numeroItem"] for row in pncp_itens(sim.world, compra_of(sim, long))]
        assert len(numbers) > 20

    async def test_answers_for_a_page_with_items_and_documents(self, sim: Simulator, bus_url: str) -> None:
        async with memory(bus_url) as gateway, fetcher(sim, bus_url):
            query = DetailsQuery(bid_id=longest(sim))
            first = await gateway.bus.request(DETAILS, query, timeout=timedelta(seconds=20))
            asked = sim.hits.total
            again = await gateway.bus.request(DETAILS, query, timeout=timedelta(seconds=20))
        assert first == again
        assert sim.hits.total == asked
        assert len(first.items) > 20
        assert all(document.link.startswith("https://") for document in first.documents)

    async def test_says_why_when_a_source_is_silent(self, sim: Simulator, bus_url: str) -> None:
        sim.set_faults(Fault(kind=Kind.HANG, endpoint=Endpoint.ITENS))
        async with memory(bus_url) as gateway, fetcher(sim, bus_url):
            query = DetailsQuery(bid_id=longest(sim))
            reply = await gateway.bus.request(DETAILS, query, timeout=timedelta(seconds=20))
        assert reply.items is None
        assert reply.items_why.startswith("timeout.")
        assert reply.documents is not None


def longest(sim: Simulator) -> str:
    """The bid with the most items."""
    found = sim.world.published_between(FROM, TODAY, uf="SP", modalidade=6)
    best = max(found, key=lambda compra: len(pncp_itens(sim.world, compra)))
    return str(sim.world.bid(best)["numeroControlePNCP"])


def compra_of(sim: Simulator, bid_id: str) -> Compra:
    cnpj, _, rest = bid_id.split("-")
    sequencial, ano = rest.split("/")
    return sim.world.by_key[cnpj, int(ano), int(sequencial)]


async def stored(bus: Bus, search_id: str, count: int) -> list[ItemsFetched]:
    """So many facts of the search's log, once they are there."""
    for _ in range(600):
        history = await bus.history(search_id)
        if len(history) >= count:
            return [ITEMS_FETCHED.decode(each.body) for each in history]
        await asyncio.sleep(0.05)
    pytest.fail("the facts did not come")
