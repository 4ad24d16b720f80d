"""The engine on virtual time, against a source that does as it is told."""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.fetch import FetchClaim, FetchRange, PageFetched, RangeEnded, SliceStatus
from contracts.places import UF, UFS
from contracts.values import Licitacao, Modalidade, Priority, Source
from fetcher.asking import Asker
from fetcher.clocks import Limits
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.drift import Drift
from fetcher.domain.listing import Listing, PageAsk
from fetcher.domain.retries import RetryBudget
from fetcher.engine import Engine, Fact, Run
from fetcher.guard import Guard
from fetcher.lane import Lane
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Change, Policy
from servicekit.shared.rate import SourceRate

DAY = date(2026, 11, 19)
SIZE = 10
Behaviour = Callable[[PageAsk, timedelta], Awaitable[None]]
LIMITS = Limits(
    claim=timedelta(seconds=90),
    claim_code="timeout.uf",
    modalidade=timedelta(seconds=60),
    attempt=timedelta(seconds=30),
    claim_degraded=timedelta(seconds=120),
)
PATIENT = replace(LIMITS, claim=timedelta(minutes=10), modalidade=timedelta(minutes=9))
AMPLE = {"share": 100.0, "reserve": 1000.0}
"""For tests of what a retry is for, not of what it may cost."""


def bid(uf: UF | None, modalidade: int, number: int, *, text: str = "Objeto") -> Licitacao:
    return Licitacao(
        id=f"PCP-{number}{modalidade:02}{list(UF).index(uf or UF.XX):02}",
        source=Source.PNCP,
        uf=uf or UF.XX,
        orgao="Prefeitura",
        modalidade=Modalidade(modalidade),
        modalidade_nome="x",
        objeto=text,
        data_publicacao=datetime(2026, 11, 19, 12, tzinfo=UTC),
    )


class FakeSource:
    """Lists of `records` records a range; each page takes `latency` seconds; `behave` may fail or dawdle first."""

    source = Source.PNCP

    def __init__(self, *, records: int = 25, latency: float = 0.5, text: str = "Objeto") -> None:
        self.records = records
        self.latency = latency
        self.text = text
        self.page_size_told = SIZE
        self.behave: Behaviour | None = None
        self.asked: list[tuple[float, PageAsk]] = []
        self.under_way = 0

    async def read(self, ask: PageAsk, *, within: timedelta) -> Listing:
        self.asked.append((asyncio.get_running_loop().time(), ask))
        self.under_way += 1
        try:
            async with asyncio.timeout(within.total_seconds()):
                if self.behave is not None:
                    await self.behave(ask, within)
                await asyncio.sleep(self.latency)
        except TimeoutError:
            raise AttemptFailed("timeout.http", again=True) from None
        finally:
            self.under_way -= 1
        shown = range(self.records)[(ask.page - 1) * SIZE : ask.page * SIZE]
        return Listing(
            bids=tuple(bid(ask.uf, int(ask.range.modalidade or 0), number, text=self.text) for number in shown),
            total_records=self.records,
            total_pages=math.ceil(self.records / SIZE),
            page_size=self.page_size_told,
        )


def claim(
    now: datetime, *, uf: UF = UF.SP, modalidades: Sequence[int] = (6,), seconds: float = 300, **more: Any
) -> FetchClaim:
    return FetchClaim(
        source=Source.PNCP,
        uf=uf,
        ranges=tuple(FetchRange(modalidade=Modalidade(m), day_from=DAY, day_to=DAY) for m in modalidades),
        not_after=now + timedelta(seconds=seconds),
        claimed_at=now,
        **more,
    )


def engine(
    source: FakeSource,
    virtual: Any,
    *,
    rate: float = 10,
    limits: Limits = LIMITS,
    at_once: int = 128,
    policy: Policy | None = None,
    budget: dict[str, float] | None = None,
) -> Engine:
    """Its breaker opens only with a policy that says when, its budget is ample unless told."""
    changes: list[Change] = []
    policy = policy or Policy(least_calls=10**6)
    breaker = Breaker("pncp", policy=policy, part_policy=replace(policy, least_calls=10), tell=changes.append)
    if policy.least_calls == 10**6:
        breaker = Breaker("pncp", policy=policy, part_policy=policy, tell=changes.append)
    return Engine(
        reader=source,
        asker=Asker(
            lane=Lane(SourceRate("pncp", rate), at_once=at_once),
            guard=Guard(breaker),
            chance=lambda: 0.5,
            retries=RetryBudget(**(AMPLE if budget is None else budget)),
        ),
        limits=limits,
        now=virtual.now,
    )


def begun(an_engine: Engine, a_claim: FetchClaim, fetch_id: int = 1) -> Run:
    return an_engine.begin(a_claim, fetch_id=fetch_id, ranges=a_claim.ranges, claim_ranges=len(a_claim.ranges))


async def everything(an_engine: Engine, a_claim: FetchClaim) -> list[Fact]:
    return [fact async for fact in an_engine.fetch(begun(an_engine, a_claim))]


def pages(facts: list[Fact]) -> list[PageFetched]:
    return [fact for fact in facts if isinstance(fact, PageFetched)]


def ends(facts: list[Fact]) -> dict[int, RangeEnded]:
    return {int(fact.range.modalidade or 0): fact for fact in facts if isinstance(fact, RangeEnded)}


async def hang(_: PageAsk, within: timedelta) -> None:
    await asyncio.sleep(within.total_seconds() + 1)


class TestFetch:
    def test_brings_every_record_once_and_one_end_per_range(self, virtual: Any) -> None:
        source = FakeSource(records=25)
        facts = virtual.run(everything(engine(source, virtual), claim(virtual.now(), modalidades=(6, 8))))
        ids = [one.id for page in pages(facts) for one in page.bids]
        assert len(ids) == len(set(ids)) == 50
        assert {m: end.status for m, end in ends(facts).items()} == dict.fromkeys((6, 8), SliceStatus.COMPLETE)
        assert ends(facts)[6].page_keys == ("1.1", "2.1", "3.1")
        assert (ends(facts)[6].records, ends(facts)[6].pages_total, ends(facts)[6].claim_ranges) == (25, 3, 2)
        assert ends(facts)[6].inner_from is None

    def test_tells_the_end_of_a_range_after_its_pages(self, virtual: Any) -> None:
        facts = virtual.run(everything(engine(FakeSource(), virtual), claim(virtual.now(), modalidades=(6, 8))))
        for modalidade in (6, 8):
            mine = [fact for fact in facts if fact.range.modalidade == modalidade]
            assert [fact.kind for fact in mine] == ["page", "page", "page", "end"]

    def test_asks_the_first_pages_of_all_modalidades_before_any_other_page(self, virtual: Any) -> None:
        source = FakeSource(records=40, latency=0.05)
        virtual.run(everything(engine(source, virtual), claim(virtual.now(), modalidades=(4, 5, 6, 7, 8))))
        assert [ask.page for _, ask in source.asked[:5]] == [1] * 5

    def test_keeps_the_pace_of_its_bucket_and_wastes_none_of_it(self, virtual: Any) -> None:
        source = FakeSource(records=1000, latency=2.5)
        virtual.run(everything(engine(source, virtual), claim(virtual.now())))
        moments = [moment for moment, ask in source.asked if ask.page > 1]
        assert len(moments) == 99
        assert (len(moments) - 1) / (moments[-1] - moments[0]) > 9.7
        assert all(beyond - first >= 1.0 for first, beyond in zip(moments, moments[10:], strict=False))

    def test_sends_each_page_when_it_arrives(self, virtual: Any) -> None:
        async def slow_third(ask: PageAsk, _: timedelta) -> None:
            await asyncio.sleep(20 if ask.page == 3 else 0)

        async def first_two() -> list[tuple[int, float]]:
            source = FakeSource(records=30)
            source.behave = slow_third
            an_engine = engine(source, virtual)
            run = begun(an_engine, claim(virtual.now()))
            return [
                (fact.page, asyncio.get_running_loop().time())
                async for fact in an_engine.fetch(run)
                if isinstance(fact, PageFetched)
            ]

        arrivals = virtual.run(first_two())
        assert [page for page, _ in arrivals] == [1, 2, 3]
        assert arrivals[1][1] < 3
        assert arrivals[2][1] > 20

    def test_splits_a_page_too_large_for_one_message_and_names_all_parts(self, virtual: Any) -> None:
        facts = virtual.run(
            everything(engine(FakeSource(records=10, text="x" * 60_000), virtual), claim(virtual.now()))
        )
        assert [(page.page, page.part, page.parts) for page in pages(facts)] == [(1, n, 4) for n in (1, 2, 3, 4)]
        assert all(len(page.to_json()) < 200_000 for page in pages(facts))
        assert ends(facts)[6].page_keys == ("1.1", "1.2", "1.3", "1.4")

    def test_asks_for_nothing_more_while_the_bus_does_not_take_what_it_has(self, virtual: Any) -> None:
        async def stalled() -> int:
            source = FakeSource(records=5000, latency=0.01)
            an_engine = engine(source, virtual, rate=1000)
            facts = an_engine.fetch(begun(an_engine, claim(virtual.now())))
            await anext(facts)
            await asyncio.sleep(30)
            asked = len(source.asked)
            await facts.aclose()
            return asked

        assert virtual.run(stalled()) < 150

    def test_stops_every_request_when_it_is_left(self, virtual: Any) -> None:
        async def left() -> tuple[int, int, int]:
            source = FakeSource(records=500, latency=5)
            an_engine = engine(source, virtual)
            facts = an_engine.fetch(begun(an_engine, claim(virtual.now())))
            await anext(facts)
            await facts.aclose()
            asked = len(source.asked)
            await asyncio.sleep(60)
            return source.under_way, asked, len(source.asked)

        under_way, asked, later = virtual.run(left())
        assert under_way == 0
        assert asked == later


class TestTimeouts:
    def test_cut_a_hanging_modalidade_and_keep_its_pages_while_the_others_complete(self, virtual: Any) -> None:
        async def hang_on_page_3_of_pregoes(ask: PageAsk, within: timedelta) -> None:
            if ask.range.modalidade == 6 and ask.page == 3:
                await hang(ask, within)

        source = FakeSource(records=40)
        source.behave = hang_on_page_3_of_pregoes
        facts = virtual.run(everything(engine(source, virtual), claim(virtual.now(), modalidades=(4, 6, 8))))
        end = ends(facts)
        assert (end[6].status, end[6].why, end[6].records) == (SliceStatus.PARTIAL, "timeout.modalidade", 30)
        assert {end[4].status, end[8].status} == {SliceStatus.COMPLETE}
        assert timedelta(seconds=59) < end[6].ended_at - end[6].started_at < timedelta(seconds=61)

    def test_fail_a_modalidade_of_which_no_page_came(self, virtual: Any) -> None:
        source = FakeSource()
        source.behave = hang
        facts = virtual.run(everything(engine(source, virtual), claim(virtual.now())))
        assert (ends(facts)[6].status, ends(facts)[6].why) == (SliceStatus.FAILED, "timeout.modalidade")
        assert len(source.asked) == 2

    def test_cut_the_claim_at_its_own_end(self, virtual: Any) -> None:
        source = FakeSource(records=1000, latency=1)
        facts = virtual.run(everything(engine(source, virtual, rate=2), claim(virtual.now(), seconds=20)))
        end = ends(facts)[6]
        assert (end.status, end.why) == (SliceStatus.PARTIAL, "timeout.claim")
        assert len(pages(facts)) > 30

    def test_cut_the_uf_before_a_modalidade_that_began_late(self, virtual: Any) -> None:
        limits = Limits(timedelta(seconds=15), "timeout.uf", timedelta(seconds=12), timedelta(seconds=5))
        source = FakeSource(records=1000, latency=0.1)
        facts = virtual.run(
            everything(engine(source, virtual, rate=0.2, limits=limits), claim(virtual.now(), modalidades=(4, 6, 8)))
        )
        assert {end.why for end in ends(facts).values()} == {"timeout.modalidade", "timeout.uf"}

    def test_begin_no_request_after_the_deadline(self, virtual: Any) -> None:
        source = FakeSource(records=1000, latency=1)
        virtual.run(everything(engine(source, virtual), claim(virtual.now(), seconds=7)))
        assert max(moment for moment, _ in source.asked) < 7

    def test_report_a_claim_that_comes_too_late_without_asking_anything(self, virtual: Any) -> None:
        source = FakeSource()
        facts = virtual.run(everything(engine(source, virtual), claim(virtual.now(), seconds=-1)))
        assert (ends(facts)[6].status, ends(facts)[6].why) == (SliceStatus.FAILED, "timeout.claim")
        assert source.asked == []

    def test_do_not_count_what_is_spent_in_the_queue(self, virtual: Any) -> None:
        async def two() -> list[Fact]:
            source = FakeSource(records=10, latency=0.1)
            an_engine = engine(source, virtual, rate=0.1)
            first = asyncio.create_task(
                everything(an_engine, claim(virtual.now(), modalidades=range(1, 13), tenant="a", seconds=900))
            )
            second = asyncio.create_task(
                everything(
                    an_engine, claim(virtual.now(), uf=UF.AC, priority=Priority.REFRESH, tenant="b", seconds=900)
                )
            )
            await first
            return await second

        assert ends(virtual.run(two()))[6].status is SliceStatus.COMPLETE

    def test_are_lengthened_by_someone_who_wants_the_claim_longer(self, virtual: Any) -> None:
        async def lengthened() -> list[Fact]:
            source = FakeSource(records=200, latency=1)
            an_engine = engine(source, virtual)
            run = begun(an_engine, claim(virtual.now(), seconds=2))
            asyncio.get_running_loop().call_later(1.5, run.clock.lengthen, virtual.now() + timedelta(seconds=60))
            return [fact async for fact in an_engine.fetch(run)]

        assert ends(virtual.run(lengthened()))[6].status is SliceStatus.COMPLETE


class TestRetries:
    def failing(self, code: str, times: int, *, again: bool = True, after: float | None = None) -> FakeSource:
        source = FakeSource(records=25)
        left = [times]

        async def behave(ask: PageAsk, _: timedelta) -> None:
            if ask.page == 2 and left[0]:
                left[0] -= 1
                raise AttemptFailed(code, again=again, retry_after=timedelta(seconds=after) if after else None)

        source.behave = behave
        return source

    def test_ask_again_for_a_page_that_may_come(self, virtual: Any) -> None:
        source = self.failing("http.503", 2)
        facts = virtual.run(everything(engine(source, virtual), claim(virtual.now())))
        assert ends(facts)[6].status is SliceStatus.COMPLETE
        assert [ask.page for _, ask in source.asked].count(2) == 3

    def test_give_a_page_up_after_three_tries_and_keep_the_others(self, virtual: Any) -> None:
        source = self.failing("http.503", 99)
        facts = virtual.run(everything(engine(source, virtual), claim(virtual.now())))
        end = ends(facts)[6]
        assert (end.status, end.why, end.records) == (SliceStatus.PARTIAL, "http.503", 15)
        assert [ask.page for _, ask in source.asked].count(2) == 3

    def test_do_not_ask_again_what_is_refused_for_good(self, virtual: Any) -> None:
        source = self.failing("http.404", 99, again=False)
        facts = virtual.run(everything(engine(source, virtual), claim(virtual.now())))
        assert ends(facts)[6].why == "http.404"
        assert [ask.page for _, ask in source.asked].count(2) == 1

    def test_let_the_whole_source_rest_as_long_as_it_asks_for(self, virtual: Any) -> None:
        source = self.failing("http.429", 1, after=7)
        facts = virtual.run(everything(engine(source, virtual), claim(virtual.now(), modalidades=(4, 6))))
        moments = sorted(moment for moment, _ in source.asked)
        assert max(later - earlier for earlier, later in itertools.pairwise(moments)) >= 7
        assert ends(facts)[6].status is SliceStatus.COMPLETE

    def test_take_a_turn_each(self, virtual: Any) -> None:
        source = FakeSource()

        async def fail(_: PageAsk, __: timedelta) -> None:
            raise AttemptFailed("net.connect", again=True)

        source.behave = fail
        virtual.run(everything(engine(source, virtual, rate=0.5), claim(virtual.now())))
        moments = [moment for moment, _ in source.asked]
        assert len(moments) == 3
        assert all(later - earlier >= 1.5 for earlier, later in itertools.pairwise(moments))

    def test_end_before_the_deadline_rather_than_after_it(self, virtual: Any) -> None:
        source = self.failing("http.503", 99)
        facts = virtual.run(everything(engine(source, virtual), claim(virtual.now(), seconds=1.2)))
        assert ends(facts)[6].status is SliceStatus.PARTIAL
        assert max(moment for moment, _ in source.asked) < 1.2


class TestRetryBudget:
    def test_costs_no_more_than_ten_per_cent_when_everything_fails(self, virtual: Any) -> None:
        source = FakeSource(records=25)

        async def fail(_: PageAsk, __: timedelta) -> None:
            raise AttemptFailed("http.503", again=True)

        source.behave = fail
        an_engine = engine(source, virtual, rate=100, budget={})
        run = virtual.run(everything(an_engine, claim(virtual.now(), modalidades=range(1, 13), seconds=60)))
        asked = {(ask.range.modalidade, ask.page) for _, ask in source.asked}
        assert {end.status for end in ends(run).values()} == {SliceStatus.FAILED}
        assert len(source.asked) <= 1.10 * len(asked)
        assert an_engine.counted["given_up.budget"] >= 10

    def test_lets_a_small_search_through_a_bad_minute(self, virtual: Any) -> None:
        source = TestRetries().failing("http.503", 2)
        facts = virtual.run(everything(engine(source, virtual, budget={}), claim(virtual.now())))
        assert ends(facts)[6].status is SliceStatus.COMPLETE

    def test_counts_each_rule_by_its_name(self, virtual: Any) -> None:
        source = TestRetries().failing("body.html", 1)
        an_engine = engine(source, virtual)
        virtual.run(everything(an_engine, claim(virtual.now())))
        assert an_engine.counted == {"failed.body.html": 1, "again.body.html": 1}


async def down(_: PageAsk, __: timedelta) -> None:
    raise AttemptFailed("http.503", again=True)


class TestSecondTry:
    """T04.3: a failed UF is tried once more from the retry budget, and only while the circuit is closed."""

    def test_is_paid_from_the_budget_request_by_request(self, virtual: Any) -> None:
        source = FakeSource(records=95)
        an_engine = engine(source, virtual, rate=100, budget={"share": 0.1, "reserve": 5})

        async def first_and_again() -> list[Fact]:
            await everything(an_engine, claim(virtual.now(), modalidades=(4,)))
            before = len(source.asked)
            facts = await everything(an_engine, claim(virtual.now(), again=True))
            assert len(source.asked) - before == 5 + 1  # the reserve, and a tenth of ten first tries
            return facts

        end = ends(virtual.run(first_and_again()))[6]
        assert (end.status, end.why, end.records) == (SliceStatus.PARTIAL, "retry.budget", 60)
        assert an_engine.counted["again.claim"] == 6

    def test_brings_what_the_first_did_not_when_the_budget_is_there(self, virtual: Any) -> None:
        source = FakeSource(records=25)
        an_engine = engine(source, virtual)

        async def first_and_again() -> list[Fact]:
            await everything(an_engine, claim(virtual.now(), modalidades=(4,)))
            return await everything(an_engine, claim(virtual.now(), again=True))

        assert ends(virtual.run(first_and_again()))[6].status is SliceStatus.COMPLETE

    def test_asks_nothing_without_budget(self, virtual: Any) -> None:
        source = FakeSource()
        an_engine = engine(source, virtual, budget={})
        facts = virtual.run(everything(an_engine, claim(virtual.now(), again=True)))
        assert (ends(facts)[6].status, ends(facts)[6].why) == (SliceStatus.FAILED, "retry.budget")
        assert source.asked == []

    def test_probes_no_circuit_that_is_not_closed(self, virtual: Any) -> None:
        source = FakeSource()
        an_engine = engine(source, virtual, rate=100, policy=Policy(least_calls=5), budget={"reserve": 100})

        async def opened_then_back() -> tuple[list[Fact], list[Fact]]:
            source.behave = down
            await everything(an_engine, claim(virtual.now(), modalidades=range(1, 13)))
            source.behave = None
            await asyncio.sleep(61)
            before = len(source.asked)
            second = await everything(an_engine, claim(virtual.now(), again=True))
            assert len(source.asked) == before
            return second, await everything(an_engine, claim(virtual.now()))

        second, first = virtual.run(opened_then_back())
        assert (ends(second)[6].status, ends(second)[6].why) == (SliceStatus.FAILED, "breaker.open")
        assert ends(first)[6].status is SliceStatus.COMPLETE

    def test_is_no_probe_and_a_probe_is_no_retry(self, virtual: Any) -> None:
        source = FakeSource(records=25)
        an_engine = engine(source, virtual, rate=100, policy=Policy(least_calls=5, probes=2), budget={})

        async def opened_then_back() -> None:
            source.behave = down
            await everything(an_engine, claim(virtual.now(), modalidades=range(1, 13)))
            source.behave = None
            await asyncio.sleep(61)
            spent = an_engine.counted["again.http.503"]
            await everything(an_engine, claim(virtual.now()))
            assert an_engine.counted["again.http.503"] == spent

        virtual.run(opened_then_back())
        assert an_engine.probes == 2


class TestBreaker:
    POLICY = Policy()

    def broken(self, code: str = "http.503") -> FakeSource:
        source = FakeSource(records=1000, latency=0.1)

        async def fail(ask: PageAsk, _: timedelta) -> None:
            if ask.page > 1:
                await asyncio.sleep(0.1)
                raise AttemptFailed(code, again=True)

        source.behave = fail
        return source

    def test_ends_what_waits_and_what_comes_quickly_with_its_own_code(self, virtual: Any) -> None:
        async def scenario() -> tuple[list[Fact], float, list[Fact], float, int]:
            loop, source = asyncio.get_running_loop(), self.broken()
            an_engine = engine(source, virtual, policy=self.POLICY, budget={})
            first = await everything(an_engine, claim(virtual.now()))
            took, asked = loop.time(), len(source.asked)
            again = await everything(an_engine, claim(virtual.now(), modalidades=(4, 6, 8)))
            return first, took, again, loop.time() - took, len(source.asked) - asked

        first, took, again, took_again, asked_again = virtual.run(scenario())
        assert (ends(first)[6].status, ends(first)[6].records) == (SliceStatus.PARTIAL, SIZE)
        assert {end.why for end in ends(again).values()} == {"breaker.open"}
        assert took < 5
        assert (took_again, asked_again) == (0, 0)

    def test_sends_away_at_once_whoever_waits_for_a_turn(self, virtual: Any) -> None:
        async def scenario() -> float:
            source = FakeSource(records=25, latency=0.1)

            async def fail(_: PageAsk, __: timedelta) -> None:
                raise AttemptFailed("net.connect", again=True)

            source.behave = fail
            an_engine = engine(source, virtual, rate=1, policy=self.POLICY, budget={})
            all_ufs = [everything(an_engine, claim(virtual.now(), uf=uf, modalidades=(4, 5, 6, 7, 8))) for uf in UFS]
            every = [end for facts in await asyncio.gather(*all_ufs) for end in ends(facts).values()]
            assert len(every) == 27 * 5
            assert {end.status for end in every} == {SliceStatus.FAILED}
            assert [end.why for end in every].count("breaker.open") > 100
            return asyncio.get_running_loop().time()

        assert virtual.run(scenario()) < 30

    def test_notices_within_its_pause_that_the_source_is_back(self, virtual: Any) -> None:
        async def scenario() -> list[SliceStatus]:
            source = self.broken()
            an_engine = engine(source, virtual, policy=self.POLICY, budget={})
            await everything(an_engine, claim(virtual.now()))
            source.behave = None
            source.records = 30
            await asyncio.sleep(60)
            first = await everything(an_engine, claim(virtual.now(), modalidades=(4, 6, 8)))
            second = await everything(an_engine, claim(virtual.now(), uf=UF.RJ, modalidades=(4, 6, 8)))
            return [end.status for facts in (first, second) for end in ends(facts).values()]

        assert virtual.run(scenario())[-3:] == [SliceStatus.COMPLETE] * 3

    def test_asks_nothing_twice_while_it_is_not_closed(self, virtual: Any) -> None:
        source = self.broken()
        an_engine = engine(source, virtual, rate=1000, policy=self.POLICY)
        virtual.run(everything(an_engine, claim(virtual.now())))
        pages_asked = [ask.page for _, ask in source.asked]
        assert len(pages_asked) == len(set(pages_asked)) > 20

    def test_keeps_a_sick_uf_from_closing_the_source(self, virtual: Any) -> None:
        async def scenario() -> tuple[list[Fact], list[Fact]]:
            source = FakeSource(records=200, latency=0.2)

            async def fail_in_sp(ask: PageAsk, _: timedelta) -> None:
                if ask.uf is UF.SP and ask.page > 1:
                    raise AttemptFailed("http.500", again=True)

            source.behave = fail_in_sp
            an_engine = engine(source, virtual, rate=50, policy=self.POLICY, budget={})
            sp, rj = await asyncio.gather(
                everything(an_engine, claim(virtual.now())), everything(an_engine, claim(virtual.now(), uf=UF.RJ))
            )
            return sp, rj

        sp, rj = virtual.run(scenario())
        assert ends(sp)[6].status is SliceStatus.PARTIAL
        assert ends(rj)[6].status is SliceStatus.COMPLETE


class TestDegradedMode:
    def test_gives_a_uf_more_time_once_the_source_slows_us_down(self, virtual: Any) -> None:
        def refusing(after: float | None) -> FakeSource:
            source = FakeSource(records=2000, latency=0.2)
            left = [0 if after is None else 1]

            async def refuse_once(ask: PageAsk, _: timedelta) -> None:
                if ask.page == 1 and left[0]:
                    left[0] -= 1
                    raise AttemptFailed("http.429", again=True, retry_after=timedelta(seconds=after or 0))

            source.behave = refuse_once
            return source

        limits = replace(LIMITS, modalidade=timedelta(seconds=89))

        def lasted(after: float | None) -> Any:
            facts = virtual.run(
                everything(
                    engine(refusing(after), virtual, rate=0.5, limits=limits),
                    claim(virtual.now(), modalidades=range(1, 13), seconds=900),
                )
            )
            last = max(ends(facts).values(), key=lambda end: end.ended_at)
            first = min(end.started_at for end in ends(facts).values())
            return last.why, (last.ended_at - first).total_seconds()

        assert lasted(None) == ("timeout.uf", pytest.approx(90, abs=0.5))
        assert lasted(1) == ("timeout.uf", pytest.approx(120, abs=0.5))

    def test_is_over_when_the_rate_has_recovered_and_the_circuit_is_long_closed(self, virtual: Any) -> None:
        async def scenario() -> list[bool]:
            source = FakeSource(records=5)
            an_engine = engine(source, virtual)
            seen = [an_engine.degraded]
            source.behave = TestRetries().failing("http.429", 1, after=1).behave
            source.records = 15
            await everything(an_engine, claim(virtual.now()))
            seen.append(an_engine.degraded)
            await asyncio.sleep(200)
            await everything(an_engine, claim(virtual.now()))
            return [*seen, an_engine.degraded]

        assert virtual.run(scenario()) == [False, True, False]


class TestLog:
    def lines(self, virtual: Any, code: str, times: int) -> list[Any]:
        source = TestRetries().failing(code, times)
        with capture_logs() as lines:
            virtual.run(everything(engine(source, virtual), claim(virtual.now(), modalidades=(6, 8))))
        return lines

    def test_says_nothing_of_pages_that_come_at_once(self, virtual: Any) -> None:
        assert self.lines(virtual, "http.503", 0) == []

    def test_tells_once_a_claim_that_asking_again_helped(self, virtual: Any) -> None:
        assert self.lines(virtual, "http.503", 2) == [
            {"event": "fetch_success", "log_level": "info", "source": Source.PNCP, "uf": UF.SP, "retries": 2}
        ]

    def test_tells_once_a_claim_what_asking_again_did_not_help(self, virtual: Any) -> None:
        [line] = self.lines(virtual, "http.503", 99)
        assert (line["event"], line["pages"], line["codes"]) == ("fetch_retry_exhausted", 2, {"http.503": 2})


class TestFairness:
    def test_brings_a_small_search_its_first_result_beside_a_national_one(self, virtual: Any) -> None:
        async def first_result() -> float:
            source = FakeSource(records=200, latency=0.2)
            an_engine = engine(source, virtual)
            national = [
                asyncio.create_task(
                    everything(an_engine, claim(virtual.now(), uf=uf, modalidades=(4, 5, 6, 7, 8), search_id="a" * 32))
                )
                for uf in list(UF)[:27]
            ]
            await asyncio.sleep(3)
            asked_at = asyncio.get_running_loop().time()
            run = begun(an_engine, claim(virtual.now(), uf=UF.AC, search_id="b" * 32), fetch_id=2)
            facts = an_engine.fetch(run)
            await anext(facts)
            took = asyncio.get_running_loop().time() - asked_at
            for task in national:
                task.cancel()
            await facts.aclose()
            await asyncio.gather(*national, return_exceptions=True)
            return took

        assert virtual.run(first_result()) <= 3 * 0.3

    def test_does_not_let_a_hanging_uf_slow_the_others(self, virtual: Any) -> None:
        async def others_done() -> float:
            source = FakeSource(records=40, latency=0.2)

            async def hang_in_sp(ask: PageAsk, within: timedelta) -> None:
                if ask.uf is UF.SP:
                    await hang(ask, within)

            source.behave = hang_in_sp
            an_engine = engine(source, virtual)
            stuck = asyncio.create_task(everything(an_engine, claim(virtual.now(), uf=UF.SP, modalidades=(4, 5, 6))))
            await asyncio.gather(*(everything(an_engine, claim(virtual.now(), uf=uf)) for uf in (UF.RJ, UF.MG, UF.BA)))
            took = asyncio.get_running_loop().time()
            stuck.cancel()
            await asyncio.gather(stuck, return_exceptions=True)
            return took

        assert virtual.run(others_done()) < 3.0

    def test_keeps_95_per_cent_of_the_throughput_beside_a_uf_a_hundred_times_slower(self, virtual: Any) -> None:
        async def seconds(*, slow: bool) -> float:
            source = FakeSource(records=95, latency=0.2)

            async def crawl(ask: PageAsk, within: timedelta) -> None:
                if slow and ask.uf is UF.SP:
                    await asyncio.sleep(99 * source.latency)

            source.behave = crawl
            an_engine = engine(source, virtual, rate=10, limits=PATIENT)
            began = asyncio.get_running_loop().time()
            slowest = asyncio.create_task(everything(an_engine, claim(virtual.now(), modalidades=(4, 5, 6, 7, 8))))
            others = (everything(an_engine, claim(virtual.now(), uf=uf)) for uf in UFS if uf is not UF.SP)
            facts = await asyncio.gather(*others)
            took = asyncio.get_running_loop().time() - began
            slowest.cancel()
            await asyncio.gather(slowest, return_exceptions=True)
            assert all(end.status is SliceStatus.COMPLETE for each in facts for end in ends(each).values())
            return took

        even = virtual.run(seconds(slow=False))
        assert even / virtual.run(seconds(slow=True)) >= 0.95

    def test_finds_a_source_that_was_down_for_a_whole_search_with_the_next_one(self, virtual: Any) -> None:
        policy = Policy()

        async def two_searches() -> list[SliceStatus]:
            source = FakeSource(records=25)
            source.behave = down
            an_engine = engine(source, virtual, rate=50, policy=policy, budget={})
            lost = await asyncio.gather(*(everything(an_engine, claim(virtual.now(), uf=uf)) for uf in UFS))
            assert {end.status for facts in lost for end in ends(facts).values()} == {SliceStatus.FAILED}
            source.behave = None
            await asyncio.sleep(policy.first_pause)
            found = await asyncio.gather(*(everything(an_engine, claim(virtual.now(), uf=uf)) for uf in UFS))
            again = await asyncio.gather(*(everything(an_engine, claim(virtual.now(), uf=uf)) for uf in UFS))
            assert SliceStatus.COMPLETE in {end.status for facts in found for end in ends(facts).values()}
            return [end.status for facts in again for end in ends(facts).values()]

        assert set(virtual.run(two_searches())) == {SliceStatus.COMPLETE}


class TestDrift:
    def test_raises_one_alarm_when_a_source_gives_shorter_pages_and_goes_on(self, virtual: Any) -> None:
        source = FakeSource(records=95)
        an_engine = engine(source, virtual)
        raised: list[Drift] = []
        an_engine.alarm = raised.append
        source.page_size_told = 2 * SIZE
        facts = virtual.run(everything(an_engine, claim(virtual.now(), modalidades=(4, 6, 8))))
        assert [drift.kind for drift in raised] == ["page_size"]
        assert an_engine.counted["drift.page_size"] == 1
        assert {end.records for end in ends(facts).values()} == {95}


class TestNationalListing:
    def test_makes_complete_only_the_days_that_were_asked_for(self, virtual: Any) -> None:
        source = FakeSource(records=25)
        wanted = FetchRange(modalidade=None, day_from=DAY, day_to=DAY)
        a_claim = FetchClaim(
            source=Source.PCP,
            uf=None,
            ranges=(wanted,),
            not_after=virtual.now() + timedelta(seconds=60),
            claimed_at=virtual.now(),
        )
        end = ends(virtual.run(everything(engine(source, virtual), a_claim)))[0]
        assert (end.uf, end.range, end.inner_from, end.inner_to) == (None, wanted, DAY, DAY)


@pytest.mark.parametrize("at_once", [1, 4])
class TestLane:
    def test_has_no_more_requests_under_way_than_it_may(self, virtual: Any, at_once: int) -> None:
        most = [0]
        source = FakeSource(records=100, latency=3)

        async def watch(_: PageAsk, __: timedelta) -> None:
            most[0] = max(most[0], source.under_way)

        source.behave = watch
        facts = virtual.run(everything(engine(source, virtual, at_once=at_once), claim(virtual.now())))
        assert most[0] == at_once
        assert ends(facts)[6].status is SliceStatus.COMPLETE
