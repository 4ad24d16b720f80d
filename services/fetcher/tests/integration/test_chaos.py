"""The engine in simulated time against a source that misbehaves by a seeded lot: adapters and all, without a socket.

A failing seed is run again with `pytest services/fetcher -k "seed-123"`.
"""

import asyncio
import functools
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx
import orjson
import pytest
import pytest_asyncio

from contracts.fetch import FetchClaim, FetchRange, PageFetched, RangeEnded, SliceStatus
from contracts.places import UF, UFS
from contracts.values import Modalidade, Source
from fetcher.adapters.http import SourceHttp
from fetcher.adapters.pncp import PncpReader
from fetcher.asking import Asker
from fetcher.clocks import Limits
from fetcher.engine import Engine
from fetcher.guard import Guard
from fetcher.lane import Lane
from servicekit.clock import Clock, utc_now
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Policy
from servicekit.shared.rate import SourceRate
from simulators.faults import Asked, Endpoint, Fault, Gate, Kind, RateLimit, Strikes
from simulators.faults import Source as SimulatedSource
from simulators.pncp import LIST_PATHS, Answer, Pncp
from simulators.reply import Call, Reply, failure, rate_limited
from simulators.server import Simulator
from simulators.world import World

TODAY = date(2026, 11, 20)
SEEDS = 1000
SAMPLE = 40
LOOPBACK_SEEDS = 20
LOOPBACK_SAMPLE = 2
SHORT = 3.0
"""Seconds of a run in real time."""
SLACK = 8.0
"""Seconds by which a busy machine may notice a deadline late; far below those of a request, whose end it is not."""
BEFORE_THE_END = 1.0
"""Seconds before it in which a page may be answered whose reader is already gone."""
POLICY = Policy()
LIMITS = Limits(
    timedelta(seconds=90),
    "timeout.uf",
    timedelta(seconds=60),
    timedelta(seconds=30),
    claim_degraded=timedelta(seconds=120),
)
TOTAL_FAILURES = (
    Kind.JSON_500, Kind.HTML_503, Kind.HTML_504, Kind.TEXT_500, Kind.RESET, Kind.REFUSED, Kind.HTML_200, Kind.EMPTY_200,
    Kind.HANG, Kind.SPURIOUS_422, Kind.BAD_REQUEST, Kind.RATE_LIMITED,
)  # fmt: skip
MENU = (
    *TOTAL_FAILURES, Kind.TRUNCATED, Kind.CUT_OFF, Kind.NO_CONTENT, Kind.DRIP, Kind.LATENCY, Kind.REPEATED,
    Kind.SHIFTED, Kind.TOTALS, Kind.SITUACAO_TEXT, Kind.BAD_LINKS, Kind.VALOR_ZERO,
)  # fmt: skip
HARMLESS = frozenset({Kind.LATENCY, Kind.SITUACAO_TEXT, Kind.BAD_LINKS, Kind.VALOR_ZERO, Kind.TOTALS, Kind.REPEATED})
"""A page with nothing worse than these is a good one: its records must not be lost."""


@functools.cache
def source() -> tuple[World, Answer]:
    """The records and PNCP's own way to answer; loading them takes a second."""
    world = World(today=TODAY)
    path = LIST_PATHS[Endpoint.PUBLICACAO]
    return world, next(answer for route, _, answer in Pncp(world).routes() if route == path)


@dataclass
class Journal:
    """What happened at the source."""

    asked: Counter[str] = field(default_factory=Counter)
    began: list[float] = field(default_factory=list)
    over: list[float] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    """Ids on pages that were answered whole and rightly."""


class Body(httpx.AsyncByteStream):
    """A body that may take its time or break off."""

    def __init__(self, body: bytes, *, seconds: float = 0.0, breaks: bool = False) -> None:
        self._body, self._seconds, self._breaks = body, seconds, breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if not self._seconds and not self._breaks:
            yield self._body
            return
        half = len(self._body) // 2
        yield self._body[:half]
        await asyncio.sleep(self._seconds)
        if self._breaks:
            raise httpx.RemoteProtocolError("peer closed connection")
        yield self._body[half:]


class Chaos(httpx.AsyncBaseTransport):
    """PNCP in this process, with faults as the simulator's desk applies them."""

    def __init__(self, faults: Sequence[Fault], *, seed: int, limit: RateLimit | None, journal: Journal) -> None:
        self._strikes = Strikes(faults, seed)
        self._refused = any(fault.kind is Kind.REFUSED for fault in faults)
        self._gate = Gate(limit) if limit else None
        self._journal = journal

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        loop = asyncio.get_running_loop()
        self._journal.asked[str(request.url)] += 1
        self._journal.began.append(loop.time())
        try:
            return await self._answered(request)
        finally:
            self._journal.over.append(loop.time())

    async def _answered(self, request: httpx.Request) -> httpx.Response:
        if self._refused:
            raise httpx.ConnectError("connection refused")
        if self._gate and not self._gate.admits(asyncio.get_running_loop().time()):
            return _response(rate_limited(self._gate.limit.retry_after))
        params = dict(parse_qsl(request.url.query.decode()))
        asked = Asked(
            source=SimulatedSource.PNCP,
            endpoint=Endpoint.PUBLICACAO,
            uf=params["uf"],
            modalidade=int(params["codigoModalidadeContratacao"]),
            page=int(params["pagina"]),
            url=str(request.url),
        )
        faults = self._strikes.on(asked)
        kinds = {fault.kind for fault in faults}
        await asyncio.sleep(0.05 + sum(fault.seconds or 0.0 for fault in faults if fault.kind is Kind.LATENCY))
        if Kind.HANG in kinds:
            await asyncio.sleep(45)
            raise httpx.RemoteProtocolError("peer closed connection")
        if Kind.RESET in kinds:
            raise httpx.ReadError("connection reset by peer")
        failed = next((reply for fault in faults if (reply := failure(fault, SimulatedSource.PNCP))), None)
        if failed is not None:
            return _response(failed)
        reply = source()[1](Call(params=params, path={}, faults=faults))
        if Kind.TRUNCATED in kinds:
            reply = replace(reply, body=reply.body[: len(reply.body) // 2])
        if kinds <= HARMLESS and reply.body:
            self._journal.good |= {row["numeroControlePNCP"] for row in orjson.loads(reply.body).get("data", ())}
        return _response(reply, seconds=20.0 if Kind.DRIP in kinds else 0.0, breaks=Kind.CUT_OFF in kinds)


def _response(reply: Reply, *, seconds: float = 0.0, breaks: bool = False) -> httpx.Response:
    headers = [*reply.headers, ("content-type", reply.content_type)]
    return httpx.Response(reply.status, headers=headers, stream=Body(reply.body, seconds=seconds, breaks=breaks))


@dataclass
class Story:
    """One seeded run, from its lot to what came of it."""

    ufs: Sequence[UF]
    modalidades: Sequence[int]
    days: int
    rate: float
    seconds: float
    faults: Sequence[Fault]
    limit: RateLimit | None = None
    journal: Journal = field(default_factory=Journal)
    pages: list[PageFetched] = field(default_factory=list)
    ends: list[RangeEnded] = field(default_factory=list)
    began: float = 0.0
    """When the claims were made, on the loop's clock."""

    @classmethod
    def drawn(cls, seed: int) -> "Story":
        lot = random.Random(seed)  # noqa: S311 - a seed that can be run again
        faults = [
            Fault(
                kind=kind,
                source=SimulatedSource.PNCP,
                probability=lot.choice([0.02, 0.1, 0.3, 1.0]),
                times=lot.choice([None, 1, 5, 30]),
                seconds=lot.choice([0.1, 1.0, 10.0, 40.0]),
                count=lot.randint(1, 7),
                retry_after=lot.choice([None, 1, 5]),
            )
            for kind in lot.sample(MENU, lot.randint(0, 4))
            if kind is not Kind.REFUSED or lot.random() < 0.1
        ]
        rate = lot.choice([2.0, 10.0, 50.0])
        limit = RateLimit(
            source=SimulatedSource.PNCP, requests=max(1, int(rate * lot.choice([0.5, 1.0]))), retry_after=2
        )
        return cls(
            ufs=lot.sample(list(UFS), lot.randint(1, 6)),
            modalidades=sorted(lot.sample(range(1, 13), lot.randint(1, 5))),
            days=lot.randint(1, 31),
            rate=rate,
            seconds=lot.choice([3.0, 30.0, 180.0]),
            faults=faults,
            limit=limit if lot.random() < 0.3 else None,
        )

    def told(self, virtual: Any, seed: int) -> "Story":
        transport = Chaos(self.faults, seed=seed, limit=self.limit, journal=self.journal)
        http = SourceHttp("http://pncp.test/api/consulta", transport=transport)
        virtual.run(self.tell(http, now=virtual.now, seed=seed))
        return self

    async def told_over_loopback(self, sim: Simulator, seed: int) -> "Story":
        """The same in real time, which is why it is short: over sockets, from a simulator with these faults."""
        self.seconds = SHORT
        sim.hits.clear()
        sim.set_faults(*self.faults)
        sim.set_rates(*([self.limit] if self.limit else []))
        try:
            await self.tell(SourceHttp(sim.pncp_consulta_url), now=utc_now, seed=seed)
        finally:
            sim.set_faults()
            sim.set_rates()
        for hit in sim.hits:
            self.journal.asked[hit.asked.url] += 1
            self.journal.began.append(hit.at - self.began)
            ended = hit.at + hit.took - self.began
            if hit.status == 200 and hit.took and ended < SHORT - BEFORE_THE_END and set(hit.faults) <= HARMLESS:
                self.journal.good |= shown(hit.params, [fault for fault in self.faults if fault.kind in hit.faults])
        return self

    async def tell(self, source_http: SourceHttp, *, now: Clock, seed: int) -> None:
        async with source_http as http:
            engine = Engine(
                reader=PncpReader(http),
                asker=Asker(
                    lane=Lane(SourceRate("pncp", self.rate)),
                    guard=Guard(
                        Breaker("pncp", policy=POLICY, part_policy=replace(POLICY, least_calls=10), tell=_unheard)
                    ),
                    chance=random.Random(seed).random,  # noqa: S311 - the same
                ),
                limits=LIMITS,
                now=now,
            )
            self.began = asyncio.get_running_loop().time()
            await asyncio.gather(*(self._fetch(engine, now, uf) for uf in self.ufs))

    async def _fetch(self, engine: Engine, now: Clock, uf: UF) -> None:
        claim = FetchClaim(
            source=Source.PNCP,
            uf=uf,
            ranges=tuple(self.range_of(modalidade) for modalidade in self.modalidades),
            not_after=now() + timedelta(seconds=self.seconds),
            claimed_at=now(),
        )
        run = engine.begin(claim, fetch_id=1, ranges=claim.ranges, claim_ranges=len(claim.ranges))
        async for fact in engine.fetch(run):
            if isinstance(fact, PageFetched):
                self.pages.append(fact)
            else:
                self.ends.append(fact)

    def range_of(self, modalidade: int) -> FetchRange:
        first = TODAY - timedelta(days=self.days - 1)
        return FetchRange(modalidade=Modalidade(modalidade), day_from=first, day_to=TODAY)

    def held(self, end: RangeEnded) -> set[str]:
        """What the source holds of a range."""
        world, uf = source()[0], end.uf
        assert uf is not None
        found = world.published_between(
            end.range.day_from, end.range.day_to, uf=uf.value, modalidade=int(end.range.modalidade or 0)
        )
        return {world.bid(compra)["numeroControlePNCP"] for compra in found}


def shown(params: dict[str, str], faults: Sequence[Fault]) -> set[str]:
    """The ids on a page as the source shows it with these faults."""
    body = source()[1](Call(params=params, path={}, faults=tuple(faults))).body
    return {row["numeroControlePNCP"] for row in orjson.loads(body).get("data", ())} if body else set()


def _unheard(_: object) -> None:
    return None


def proven(story: Story, *, slack: float = 0.001) -> None:
    """Whatever went wrong, these hold; `slack` is how late a deadline of this clock may be noticed."""
    brought = [bid.id for page in story.pages for bid in page.bids]
    assert len(brought) == len(set(brought)), "a record came twice"
    assert story.journal.good <= set(brought), "a good record was lost"
    slices = [(end.uf, end.range.modalidade) for end in story.ends]
    wanted = [(uf, Modalidade(modalidade)) for uf in story.ufs for modalidade in story.modalidades]
    assert sorted(map(str, slices)) == sorted(map(str, wanted)), "the ends are not the ranges asked for"
    begun = max(story.journal.began, default=0)
    assert begun <= story.seconds + max(0, slack - 0.001), "a call was begun after its deadline"
    assert max(story.journal.over, default=0) <= story.seconds + slack, "a call went on after its deadline"
    keys = {(page.uf, page.range, page.key) for page in story.pages}
    assert keys == {(end.uf, end.range, key) for end in story.ends for key in end.page_keys}
    empty_lies = {fault.kind for fault in story.faults} & {Kind.NO_CONTENT, Kind.BAD_REQUEST}
    for end in story.ends:
        if end.status is SliceStatus.COMPLETE and not empty_lies:
            mine = {bid.id for page in story.pages if (page.uf, page.range) == (end.uf, end.range) for bid in page.bids}
            assert mine == story.held(end), "complete, and it is not"


class TestChaos:
    @pytest.mark.parametrize("seed", range(SAMPLE), ids="seed-{}".format)
    def test_loses_doubles_and_oversteps_nothing(self, virtual: Any, seed: int) -> None:
        proven(Story.drawn(seed).told(virtual, seed))

    @pytest.mark.soak
    @pytest.mark.parametrize("seed", range(SAMPLE, SEEDS), ids="seed-{}".format)
    def test_loses_doubles_and_oversteps_nothing_whatever_the_seed(self, virtual: Any, seed: int) -> None:
        proven(Story.drawn(seed).told(virtual, seed))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(today=TODAY) as simulator:
        yield simulator


@pytest.mark.asyncio(loop_scope="module")
class TestChaosOverLoopback:
    @pytest.mark.parametrize("seed", range(LOOPBACK_SAMPLE), ids="loopback-{}".format)
    async def test_loses_doubles_and_oversteps_nothing(self, sim: Simulator, seed: int) -> None:
        proven(await Story.drawn(seed).told_over_loopback(sim, seed), slack=SLACK)

    @pytest.mark.soak
    @pytest.mark.parametrize("seed", range(LOOPBACK_SAMPLE, LOOPBACK_SEEDS), ids="loopback-{}".format)
    async def test_loses_doubles_and_oversteps_nothing_whatever_the_seed(self, sim: Simulator, seed: int) -> None:
        proven(await Story.drawn(seed).told_over_loopback(sim, seed), slack=SLACK)


class TestTotalFailure:
    @pytest.mark.parametrize("kind", TOTAL_FAILURES)
    @pytest.mark.parametrize("ufs", [1, 3, 27])
    def test_costs_ten_per_cent_more_requests_at_most(self, virtual: Any, kind: Kind, ufs: int) -> None:
        story = Story(
            ufs=UFS[:ufs],
            modalidades=(4, 5, 6, 7, 8),
            days=10,
            rate=10,
            seconds=180,
            faults=[Fault(kind=kind, source=SimulatedSource.PNCP)],
        ).told(virtual, seed=0)
        proven(story)
        assert story.pages == []
        assert story.journal.asked.total() <= 1.10 * len(story.journal.asked)
        assert {end.status for end in story.ends} == {SliceStatus.FAILED}
