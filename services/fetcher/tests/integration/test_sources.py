"""The engine and both adapters over real HTTP, against the simulators and every fault that they know."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import date, datetime, timedelta
from typing import Any, Self

import pytest
import pytest_asyncio

from contracts.fetch import FetchClaim, FetchRange, PageFetched, RangeEnded, SliceStatus
from contracts.places import UF
from contracts.values import Licitacao, Modalidade, Source
from contracts.when import days_between
from fetcher.adapters.http import SourceHttp
from fetcher.adapters.pcp import PcpReader
from fetcher.adapters.pncp import PncpReader
from fetcher.asking import Asker
from fetcher.clocks import Limits
from fetcher.domain.retries import RetryBudget
from fetcher.engine import Engine
from fetcher.guard import Guard
from fetcher.lane import Lane
from servicekit.clock import utc_now
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Policy
from servicekit.shared.rate import SourceRate
from simulators.faults import Fault, Kind, RateLimit
from simulators.faults import Source as SimulatedSource
from simulators.server import Simulator

TODAY = date(2026, 11, 20)
FROM = TODAY - timedelta(days=19)
MODALIDADES = (4, 5, 6, 7, 8)
PATIENT = Limits(timedelta(seconds=90), "timeout.uf", timedelta(seconds=60), timedelta(seconds=30))
BRISK = Limits(timedelta(seconds=12), "timeout.uf", timedelta(seconds=8), timedelta(seconds=2))
"""For sources that hang: the real thirty seconds would be waited in earnest."""


TRUSTING = Policy(least_calls=10**6)
"""What is tested here is how each fault is taken, not when a source that has many is left alone."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Simulator]:
    async with Simulator(today=TODAY) as simulator:
        yield simulator


@pytest_asyncio.fixture(loop_scope="module")
async def sim(shared: Simulator) -> Simulator:
    """Loading the records takes a second: one simulator serves all tests, healthy and forgetful for each."""
    shared.set_faults()
    shared.set_rates()
    shared.hits.clear()
    return shared


class Bench:
    """One engine per source over real connections."""

    def __init__(self, sim: Simulator, *, rate: float = 200, limits: Limits = PATIENT) -> None:
        self._sim = sim
        self._rate = rate
        self._limits = limits
        self._stack = AsyncExitStack()
        self.engines: dict[Source, Engine] = {}

    async def __aenter__(self) -> Self:
        pncp = await self._stack.enter_async_context(SourceHttp(self._sim.pncp_consulta_url))
        pcp = await self._stack.enter_async_context(SourceHttp(self._sim.pcp_url))
        for reader in (PncpReader(pncp), PcpReader(pcp)):
            self.engines[reader.source] = Engine(
                reader=reader,
                asker=Asker(
                    lane=Lane(SourceRate(reader.source, self._rate)),
                    guard=Guard(Breaker(reader.source, policy=TRUSTING, part_policy=TRUSTING, tell=lambda _: None)),
                    chance=lambda: 0.05,
                    retries=RetryBudget(share=10, reserve=100),
                ),
                limits=self._limits,
                now=utc_now,
            )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def fetch(
        self, source: Source, ranges: Sequence[FetchRange], uf: UF | None, seconds: float = 30
    ) -> tuple[list[PageFetched], dict[int | None, RangeEnded]]:
        now = utc_now()
        claim = FetchClaim(
            source=source, uf=uf, ranges=tuple(ranges), not_after=now + timedelta(seconds=seconds), claimed_at=now
        )
        run = self.engines[source].begin(claim, fetch_id=1, ranges=claim.ranges, claim_ranges=len(claim.ranges))
        facts = [fact async for fact in self.engines[source].fetch(run)]
        pages = [fact for fact in facts if isinstance(fact, PageFetched)]
        ends = [fact for fact in facts if isinstance(fact, RangeEnded)]
        return pages, {end.range.modalidade: end for end in ends}


def pncp_ranges(*modalidades: int) -> list[FetchRange]:
    return [FetchRange(modalidade=Modalidade(m), day_from=FROM, day_to=TODAY) for m in modalidades]


def expected(sim: Simulator, uf: UF, *modalidades: int) -> set[str]:
    return {
        sim.world.bid(compra)["numeroControlePNCP"]
        for modalidade in modalidades
        for compra in sim.world.published_between(FROM, TODAY, uf=uf.value, modalidade=modalidade)
    }


def bids_of(pages: Sequence[PageFetched]) -> list[Licitacao]:
    return [bid for page in pages for bid in page.bids]


class TestPncp:
    async def test_brings_exactly_what_the_source_holds(self, sim: Simulator) -> None:
        async with Bench(sim) as bench:
            pages, ends = await bench.fetch(Source.PNCP, pncp_ranges(*MODALIDADES), UF.SP)
        ids = [bid.id for bid in bids_of(pages)]
        assert set(ids) == expected(sim, UF.SP, *MODALIDADES)
        assert len(ids) == len(set(ids)) > 200
        assert {end.status for end in ends.values()} == {SliceStatus.COMPLETE}
        assert sum(end.skipped for end in ends.values()) == 0
        assert {bid.uf for bid in bids_of(pages)} == {UF.SP}
        assert all(bid.day in days_between(FROM, TODAY) for bid in bids_of(pages))

    async def test_asks_for_no_page_twice_and_none_in_vain(self, sim: Simulator) -> None:
        async with Bench(sim) as bench:
            _, ends = await bench.fetch(Source.PNCP, pncp_ranges(*MODALIDADES), UF.SP)
        assert sim.hits.answered_twice() == []
        assert sim.hits.total == sum(max(1, end.pages_total) for end in ends.values())

    async def test_breaks_no_limit_of_the_source(self, sim: Simulator) -> None:
        sim.set_rates(RateLimit(source=SimulatedSource.PNCP, requests=20))
        async with Bench(sim, rate=10, limits=PATIENT) as bench:
            _, ends = await bench.fetch(Source.PNCP, pncp_ranges(*MODALIDADES), UF.SP, seconds=60)
        assert sim.hits.of(status=429) == []
        assert {end.status for end in ends.values()} == {SliceStatus.COMPLETE}

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": Kind.LATENCY, "seconds": 0.2, "spread": 0.3},
            {"kind": Kind.RATE_LIMITED, "times_each": 1, "page": 2, "retry_after": 1},
            {"kind": Kind.RATE_LIMITED, "times": 1, "retry_after": 1},
            {"kind": Kind.HTML_200, "times_each": 1},
            {"kind": Kind.EMPTY_200, "times_each": 2},
            {"kind": Kind.SPURIOUS_422, "times_each": 2},
            {"kind": Kind.JSON_500, "times_each": 1},
            {"kind": Kind.TEXT_500, "times_each": 1, "seconds": 0.2},
            {"kind": Kind.HTML_503, "times_each": 1},
            {"kind": Kind.HTML_504, "times_each": 1},
            {"kind": Kind.RESET, "times_each": 1},
            {"kind": Kind.TRUNCATED, "times_each": 1},
            {"kind": Kind.DRIP, "times_each": 1, "seconds": 20, "page": 2},
            {"kind": Kind.HANG, "times_each": 1, "page": 2},
            {"kind": Kind.NO_CONTENT, "times_each": 1, "page": 2},
            {"kind": Kind.BAD_REQUEST, "times_each": 1, "page": 2},
            {"kind": Kind.REPEATED, "count": 7},
            {"kind": Kind.SHIFTED, "count": 3, "times": 1, "page": 2},
            {"kind": Kind.SITUACAO_TEXT},
            {"kind": Kind.BAD_LINKS},
            {"kind": Kind.VALOR_ZERO},
        ],
        ids=lambda fault: f"{fault['kind']}-{fault.get('times_each', fault.get('times', 'always'))}",
    )
    async def test_loses_nothing_to_a_passing_fault(self, sim: Simulator, fault: dict[str, Any]) -> None:
        sim.set_faults(Fault(source=SimulatedSource.PNCP, **fault))
        hangs = fault["kind"] in {Kind.HANG, Kind.DRIP}
        async with Bench(sim, limits=BRISK if hangs else PATIENT) as bench:
            pages, ends = await bench.fetch(Source.PNCP, pncp_ranges(6, 8), UF.SP)
        assert {bid.id for bid in bids_of(pages)} == expected(sim, UF.SP, 6, 8)
        assert len(bids_of(pages)) == len(expected(sim, UF.SP, 6, 8))
        assert {end.status for end in ends.values()} == {SliceStatus.COMPLETE}
        assert all(hit.asked.uf == "SP" for hit in sim.hits)

    async def test_ends_although_the_totals_grow_from_page_to_page(self, sim: Simulator) -> None:
        sim.set_faults(Fault(kind=Kind.TOTALS, count=4))
        async with Bench(sim) as bench:
            pages, _ = await bench.fetch(Source.PNCP, pncp_ranges(6, 8), UF.SP)
        assert {bid.id for bid in bids_of(pages)} == expected(sim, UF.SP, 6, 8)

    @pytest.mark.parametrize(
        ("kind", "why"),
        [
            (Kind.RATE_LIMITED, {"http.429", "timeout.modalidade", "timeout.uf"}),
            (Kind.HTML_200, {"body.html"}),
            (Kind.EMPTY_200, {"body.empty"}),
            (Kind.SPURIOUS_422, {"http.422.spurious"}),
            (Kind.JSON_500, {"http.500"}),
            (Kind.HTML_503, {"http.503"}),
            (Kind.HTML_504, {"http.504"}),
            (Kind.BAD_REQUEST, {"http.400"}),
            (Kind.RESET, {"net.broken"}),
            (Kind.TRUNCATED, {"body.broken"}),
            (Kind.HANG, {"timeout.http", "timeout.modalidade"}),
            (Kind.DRIP, {"timeout.http", "timeout.modalidade"}),
        ],
    )
    async def test_says_that_a_lasting_fault_is_no_empty_list(self, sim: Simulator, kind: Kind, why: set[str]) -> None:
        sim.set_faults(Fault(kind=kind))
        async with Bench(sim, limits=BRISK) as bench:
            pages, ends = await bench.fetch(Source.PNCP, pncp_ranges(6, 8), UF.SP)
        assert pages == []
        assert {end.status for end in ends.values()} == {SliceStatus.FAILED}
        assert {end.why for end in ends.values()} <= why
        assert sim.hits.total <= 3 * 2

    async def test_says_so_when_nobody_listens_at_all(self, sim: Simulator) -> None:
        sim.set_faults(Fault(kind=Kind.REFUSED, source=SimulatedSource.PNCP))
        async with Bench(sim) as bench:
            pages, ends = await bench.fetch(Source.PNCP, pncp_ranges(6), UF.SP)
        assert pages == []
        assert (ends[6].status, ends[6].why) == (SliceStatus.FAILED, "net.connect")

    async def test_cuts_a_hanging_modalidade_keeps_its_pages_and_completes_the_others(self, sim: Simulator) -> None:
        sim.set_faults(Fault(kind=Kind.HANG, modalidade=6, page=2))
        impatient = Limits(timedelta(seconds=20), "timeout.uf", timedelta(seconds=5), timedelta(seconds=4))
        async with Bench(sim, limits=impatient) as bench:
            pages, ends = await bench.fetch(Source.PNCP, pncp_ranges(4, 6, 8), UF.SP)
        assert (ends[6].status, ends[4].status, ends[8].status) == (
            SliceStatus.PARTIAL,
            SliceStatus.COMPLETE,
            SliceStatus.COMPLETE,
        )
        assert ends[6].why == "timeout.modalidade"
        kept = {bid.id for bid in bids_of(pages) if bid.modalidade == 6}
        missing = expected(sim, UF.SP, 6) - kept
        assert 0 < len(missing) <= 50
        assert kept <= expected(sim, UF.SP, 6)

    async def test_begins_no_request_after_the_deadline(self, sim: Simulator) -> None:
        sim.set_faults(Fault(kind=Kind.LATENCY, seconds=0.4))
        async with Bench(sim, rate=4) as bench:
            _, ends = await bench.fetch(Source.PNCP, pncp_ranges(*MODALIDADES), UF.SP, seconds=1.5)
        assert {end.why for end in ends.values()} & {"timeout.claim"}
        assert 0 < sim.hits.total <= 7


class TestPcp:
    async def test_brings_the_inner_days_of_the_national_list_whole(self, sim: Simulator) -> None:
        first = TODAY - timedelta(days=9)
        async with Bench(sim) as bench:
            pages, ends = await bench.fetch(
                Source.PCP, [FetchRange(modalidade=None, day_from=first, day_to=TODAY)], None
            )
        end = ends[None]
        assert (end.status, end.inner_from, end.inner_to) == (SliceStatus.COMPLETE, first, TODAY)
        brought = {bid.id for bid in bids_of(pages) if bid.day in days_between(first, TODAY)}
        held = {
            f"PCP-{processo.codigo}"
            for processo in sim.world.processos
            if (datetime.fromisoformat(processo.published) - timedelta(hours=3)).date() in days_between(first, TODAY)
        }
        assert brought == held
        assert len(held) > 50
        assert len({bid.uf for bid in bids_of(pages)}) > 5
        assert end.skipped == 0

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": Kind.JSON_500, "times_each": 1},
            {"kind": Kind.HTML_503, "times_each": 1},
            {"kind": Kind.HTML_200, "times_each": 1},
            {"kind": Kind.RESET, "times_each": 1},
            {"kind": Kind.TRUNCATED, "times_each": 1},
            {"kind": Kind.REPEATED, "count": 2},
            {"kind": Kind.SHIFTED, "count": 1, "times": 1, "page": 3},
        ],
        ids=lambda fault: str(fault["kind"]),
    )
    async def test_loses_nothing_to_a_passing_fault(self, sim: Simulator, fault: dict[str, Any]) -> None:
        wanted = [FetchRange(modalidade=None, day_from=TODAY - timedelta(days=4), day_to=TODAY)]
        async with Bench(sim) as bench:
            undisturbed, _ = await bench.fetch(Source.PCP, wanted, None)
            sim.set_faults(Fault(source=SimulatedSource.PCP, **fault))
            pages, ends = await bench.fetch(Source.PCP, wanted, None)
        assert ends[None].status is SliceStatus.COMPLETE
        assert {bid.id for bid in bids_of(pages)} == {bid.id for bid in bids_of(undisturbed)}
