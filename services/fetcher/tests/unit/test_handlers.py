"""The claim handler, called directly."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.fetch import Bell, BellKind, FetchClaim, FetchRange, RangeEnded, SliceStatus
from contracts.places import UF
from contracts.subjects import CACHE_PAGES, Outgoing
from contracts.values import Licitacao, Modalidade, Priority, Source
from fetcher.asking import Asker
from fetcher.clocks import Limits
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.listing import Listing, PageAsk
from fetcher.engine import Engine
from fetcher.guard import Guard
from fetcher.handlers import OpenClaims, fetch
from fetcher.lane import Lane
from servicekit.bus import Delivery
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Policy
from servicekit.shared.rate import SourceRate

DAY = date(2026, 11, 19)
LIMITS = Limits(timedelta(seconds=90), "timeout.uf", timedelta(seconds=60), timedelta(seconds=30))


class OneBidSource:
    """Every list is one bid; each page takes a second."""

    source = Source.PNCP

    def __init__(self) -> None:
        self.asked: list[PageAsk] = []

    async def read(self, ask: PageAsk, *, within: timedelta) -> Listing:
        self.asked.append(ask)
        await asyncio.sleep(1)
        modalidade = ask.range.modalidade
        if modalidade is None or modalidade is Modalidade.CONCURSO:
            raise AttemptFailed("http.404", again=False)
        bid = Licitacao(
            id=f"PCP-1{int(modalidade):04}",
            source=Source.PNCP,
            uf=UF.SP,
            orgao="Prefeitura",
            modalidade=modalidade,
            modalidade_nome="x",
            objeto="Objeto",
            data_publicacao=datetime(2026, 11, 19, 12, tzinfo=UTC),
        )
        return Listing(bids=(bid,), total_records=1, total_pages=1)


class FakeMemory:
    """Answers what it was told to, and rings `ended` so long after it heard `started`."""

    def __init__(self, open_claims: OpenClaims, *, needed: tuple[FetchRange, ...] | None = None) -> None:
        self._open_claims = open_claims
        self._needed = needed
        self.rung: list[Bell] = []

    async def needed(self, claim: FetchClaim) -> tuple[FetchRange, ...] | None:
        return self._needed

    async def ring(self, bell: Bell) -> None:
        self.rung.append(bell)

    def ended(self, fetch_id: int = 7, *, claim_done: bool = True) -> Bell:
        return Bell(kind=BellKind.ENDED, source=Source.PNCP, uf=UF.SP, fetch_id=fetch_id, claim_done=claim_done)


def ranges(*modalidades: int) -> tuple[FetchRange, ...]:
    return tuple(FetchRange(modalidade=Modalidade(m), day_from=DAY, day_to=DAY) for m in modalidades)


def claim(now: datetime, *modalidades: int, priority: Priority = Priority.REFRESH) -> FetchClaim:
    return FetchClaim(
        source=Source.PNCP,
        uf=UF.SP,
        ranges=ranges(*modalidades),
        priority=priority,
        not_after=now + timedelta(seconds=100),
        claimed_at=now,
    )


def delivery(*, redelivered: bool = False) -> Delivery:
    return Delivery(
        subject="fetch.v1.pncp.SP",
        sequence=7,
        attempt=1,
        correlation_id="c",
        stopping=asyncio.Event(),
        redelivered=redelivered,
    )


class Desk:
    """One handler with everything that it needs."""

    def __init__(self, virtual: Any, *, needed: tuple[FetchRange, ...] | None = None) -> None:
        self.now = virtual.now
        self.source = OneBidSource()
        self.open_claims = OpenClaims()
        self.memory = FakeMemory(self.open_claims, needed=needed)
        self.engine = Engine(
            reader=self.source,
            asker=Asker(
                lane=Lane(SourceRate("pncp", 100)),
                guard=Guard(Breaker("pncp", policy=Policy(), part_policy=Policy(), tell=lambda _: None)),
                chance=lambda: 0.5,
            ),
            limits=LIMITS,
            now=virtual.now,
        )

    def fetch(self, a_claim: FetchClaim, *, redelivered: bool = False) -> AsyncIterator[Outgoing]:
        return fetch(
            a_claim,
            delivery(redelivered=redelivered),
            engine=self.engine,
            memory=self.memory,
            open_claims=self.open_claims,
        )


class TestFetch:
    def test_rings_fetches_and_waits_until_the_memory_has_stored_all_ends(self, virtual: Any) -> None:
        async def scenario() -> tuple[list[Outgoing], list[Bell], float]:
            desk = Desk(virtual)
            asyncio.get_running_loop().call_later(
                3, lambda: asyncio.ensure_future(desk.open_claims.hear(desk.memory.ended()))
            )
            sent = [outgoing async for outgoing in desk.fetch(claim(virtual.now(), 6, 8))]
            return sent, desk.memory.rung, asyncio.get_running_loop().time()

        sent, rung, at = virtual.run(scenario())
        assert [bell.kind for bell in rung] == [BellKind.STARTED]
        assert [outgoing.value.kind for outgoing in sent] == ["page", "end", "page", "end"]
        assert {outgoing.subject for outgoing in sent} == {"pages.v1.pncp"}
        assert {outgoing.value.fetch_id for outgoing in sent} == {7}
        assert at == 3

    def test_gives_up_waiting_once_a_killed_memory_had_time_for_its_pages(self, virtual: Any) -> None:
        async def scenario() -> float:
            desk = Desk(virtual)
            async for _ in desk.fetch(claim(virtual.now(), 6)):
                pass
            return asyncio.get_running_loop().time()

        waited = virtual.run(scenario()) - 1
        assert 2 * CACHE_PAGES[Source.PNCP].ack_wait.total_seconds() < waited < 12.2

    def test_asks_for_nothing_when_nothing_is_needed_and_says_that_it_ended(self, virtual: Any) -> None:
        async def scenario() -> tuple[list[Outgoing], Desk]:
            desk = Desk(virtual, needed=())
            return [outgoing async for outgoing in desk.fetch(claim(virtual.now(), 6))], desk

        sent, desk = virtual.run(scenario())
        assert sent == []
        assert desk.source.asked == []
        assert [(bell.kind, bell.claim_done, bell.fetch_id) for bell in desk.memory.rung] == [(BellKind.ENDED, True, 7)]

    def test_fetches_only_what_the_memory_still_needs(self, virtual: Any) -> None:
        async def scenario() -> tuple[list[Outgoing], Desk]:
            desk = Desk(virtual, needed=ranges(8))
            return [outgoing async for outgoing in desk.fetch(claim(virtual.now(), 6, 8))], desk

        sent, desk = virtual.run(scenario())
        assert {ask.range.modalidade for ask in desk.source.asked} == {Modalidade.DISPENSA}
        assert [o.value.claim_ranges for o in sent if isinstance(o.value, RangeEnded)] == [1]

    def test_counts_all_ranges_of_the_claim_when_it_was_delivered_before(self, virtual: Any) -> None:
        async def scenario() -> list[Outgoing]:
            desk = Desk(virtual, needed=ranges(8))
            return [outgoing async for outgoing in desk.fetch(claim(virtual.now(), 6, 8), redelivered=True)]

        assert [o.value.claim_ranges for o in virtual.run(scenario()) if isinstance(o.value, RangeEnded)] == [2]

    def test_tells_a_range_that_could_not_be_fetched(self, virtual: Any) -> None:
        async def scenario() -> list[Outgoing]:
            return [outgoing async for outgoing in Desk(virtual).fetch(claim(virtual.now(), 3))]

        [end] = [outgoing.value for outgoing in virtual.run(scenario())]
        assert (end.status, end.why) == (SliceStatus.FAILED, "http.404")

    def test_names_a_repeat_like_the_first_so_that_the_stream_keeps_one(self, virtual: Any) -> None:
        async def ids(*, redelivered: bool) -> list[str | None]:
            desk = Desk(virtual)
            return [o.msg_id async for o in desk.fetch(claim(virtual.now(), 6, 8), redelivered=redelivered)]

        first, again = virtual.run(ids(redelivered=False)), virtual.run(ids(redelivered=True))
        assert len(set(first)) == 4
        assert [first[0], first[2]] == [again[0], again[2]]
        assert first[1] == "pages.v1.pncp:7:end:6:2026-11-19"
        assert again[1] not in first

    def test_leaves_no_open_claim_behind_when_it_is_stopped(self, virtual: Any) -> None:
        async def scenario() -> int:
            desk = Desk(virtual)
            facts = desk.fetch(claim(virtual.now(), 6, 8))
            await anext(facts)
            await facts.aclose()  # type: ignore[attr-defined]
            return len(desk.open_claims._runs)

        assert virtual.run(scenario()) == 0


class TestOpenClaims:
    def test_raise_and_lengthen_a_claim_that_is_wanted(self, virtual: Any) -> None:
        async def scenario() -> tuple[Priority, datetime]:
            desk = Desk(virtual)
            a_claim = claim(virtual.now(), 6)
            run = desk.engine.begin(a_claim, fetch_id=7, ranges=a_claim.ranges, claim_ranges=1)
            later = virtual.now() + timedelta(seconds=300)
            with desk.open_claims.opened(run):
                for priority, not_after in ((Priority.USER, later), (Priority.INGEST, virtual.now())):
                    await desk.open_claims.hear(
                        Bell(kind=BellKind.WANTED, source=Source.PNCP, uf=UF.SP, priority=priority, not_after=not_after)
                    )
                await desk.open_claims.hear(
                    Bell(kind=BellKind.WANTED, source=Source.PNCP, uf=UF.RJ, not_after=later + timedelta(seconds=9))
                )
            return run.flow.priority, run.clock.end(None)[0] - timedelta(seconds=300)

        assert virtual.run(scenario()) == (Priority.USER, virtual.now())

    def test_do_not_take_another_claims_end_for_theirs(self, virtual: Any) -> None:
        async def scenario() -> tuple[bool, bool]:
            desk = Desk(virtual)
            a_claim = claim(virtual.now(), 6)
            run = desk.engine.begin(a_claim, fetch_id=7, ranges=a_claim.ranges, claim_ranges=1)
            with desk.open_claims.opened(run) as stored:
                await desk.open_claims.hear(desk.memory.ended(6))
                await desk.open_claims.hear(desk.memory.ended(7, claim_done=False))
                before = stored.is_set()
                await desk.open_claims.hear(desk.memory.ended(7))
                return before, stored.is_set()

        assert virtual.run(scenario()) == (False, True)
