"""The breaker: one suite for Redis and for the stand-in, and what happens in between."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Change, Outcome, Policy, State
from servicekit.shared.link import RedisLink
from servicekit.testing import RedisServer

POLICY = Policy()
PART = replace(POLICY, least_calls=10)


class Told:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """One breaker on a clock that is told, and what it said."""

    def __init__(self, link: RedisLink | None, told: Told) -> None:
        self.told = told
        self.changes: list[Change] = []
        self.link = link

    def breaker(self, **policy: Any) -> Breaker:
        return Breaker(
            "pncp",
            policy=replace(POLICY, **policy),
            part_policy=replace(PART, **policy),
            tell=self.changes.append,
            link=self.link,
            clock=self.told,
        )

    @property
    def moves(self) -> list[tuple[str, State]]:
        return [(change.circuit, change.after) for change in self.changes]


@pytest_asyncio.fixture(params=["redis", "alone"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "alone":
        yield Bench(None, Told())
        return
    async with RedisServer() as server, RedisLink(server.url) as link:
        yield Bench(link, Told())


async def calls(
    breaker: Breaker, count: int, outcome: Outcome, *, part: str | None = None, took: float = 0.1
) -> list[bool]:
    allowed = []
    for _ in range(count):
        admission = await breaker.admit(part)
        allowed.append(admission.allowed)
        if admission.allowed:
            await breaker.record(admission, outcome, took)
    return allowed


class TestOpening:
    @pytest.mark.parametrize("outcome", [Outcome.SERVER, Outcome.NETWORK, Outcome.LIMITED])
    async def test_comes_with_enough_failures(self, bench, outcome):
        breaker = bench.breaker()
        assert await calls(breaker, 25, outcome) == [True] * 20 + [False] * 5
        assert bench.moves == [("pncp", State.OPEN)]
        assert (bench.changes[0].reason, bench.changes[0].failures, bench.changes[0].pause) == ("error_rate", 1, 60)
        assert breaker.refuses()
        assert breaker.state is State.OPEN

    async def test_needs_the_least_number_of_calls(self, bench):
        breaker = bench.breaker()
        assert all(await calls(breaker, 19, Outcome.SERVER))
        assert breaker.state is State.CLOSED

    async def test_needs_the_rate_of_errors(self, bench):
        breaker = bench.breaker()
        for _ in range(60):
            assert all(await calls(breaker, 2, Outcome.OK) + await calls(breaker, 1, Outcome.SERVER))
        assert bench.moves == []

    async def test_forgets_what_is_older_than_the_window(self, bench):
        breaker = bench.breaker()
        await calls(breaker, 19, Outcome.SERVER)
        bench.told.now += 61
        assert all(await calls(breaker, 19, Outcome.SERVER))

    async def test_looks_at_the_last_calls_only(self, bench):
        breaker = bench.breaker()
        await calls(breaker, 500, Outcome.OK)
        await calls(breaker, 50, Outcome.SERVER)
        assert bench.moves == [("pncp", State.OPEN)]

    @pytest.mark.parametrize(("on", "opens"), [(False, False), (True, True)])
    async def test_counts_4xx_only_when_told_to(self, bench, on, opens):
        breaker = bench.breaker(count_4xx=on)
        await calls(breaker, 50, Outcome.CLIENT)
        assert (breaker.state is State.OPEN) is opens

    @pytest.mark.parametrize(("on", "opens"), [(False, False), (True, True)])
    async def test_comes_with_timeouts_only_by_the_slow_call_rule(self, bench, on, opens):
        breaker = bench.breaker(slow_call_rule=on)
        await calls(breaker, 100, Outcome.TIMEOUT, took=30)
        assert (breaker.state is State.OPEN) is opens
        assert [change.reason for change in bench.changes] == ["slow_call_rate"] * opens

    @pytest.mark.parametrize(("on", "opens"), [(False, False), (True, True)])
    async def test_comes_with_slow_answers_by_the_slow_call_rule(self, bench, on, opens):
        breaker = bench.breaker(slow_call_rule=on)
        await calls(breaker, 30, Outcome.OK, took=16)
        assert (breaker.state is State.OPEN) is opens


class TestPause:
    async def test_doubles_with_each_failed_probe_up_to_the_longest_and_starts_anew_after_success(self, bench):
        breaker = bench.breaker()
        await calls(breaker, 20, Outcome.SERVER)
        for _ in range(6):
            bench.told.now += bench.changes[-1].pause + 0.001
            assert await calls(breaker, 1, Outcome.NETWORK) == [True]
        opened = [change.pause for change in bench.changes if change.after is State.OPEN]
        assert opened == [60, 120, 240, 480, 600, 600, 600]
        bench.told.now += 600.001
        assert all(await calls(breaker, 3, Outcome.OK))
        assert bench.changes[-1].after is State.CLOSED
        await calls(breaker, 20, Outcome.SERVER)
        assert (bench.changes[-1].pause, bench.changes[-1].failures) == (60, 1)

    async def test_refuses_until_it_is_over(self, bench):
        breaker = bench.breaker()
        await calls(breaker, 20, Outcome.SERVER)
        bench.told.now += 59
        admission = await breaker.admit()
        assert (admission.allowed, admission.retry_after) == (False, pytest.approx(1, abs=0.001))
        bench.told.now += 1.001
        assert not breaker.refuses()
        assert (await breaker.admit()).allowed


class TestHalfOpen:
    async def half_open(self, bench: Bench, **policy: Any) -> Breaker:
        breaker = bench.breaker(**policy)
        await calls(breaker, 20, Outcome.SERVER)
        bench.told.now += 60.001
        return breaker

    async def test_lets_exactly_its_probes_through_and_closes_when_all_pass(self, bench):
        breaker = await self.half_open(bench)
        admissions = [await breaker.admit() for _ in range(50)]
        assert [each.allowed for each in admissions] == [True] * 3 + [False] * 47
        for probe in admissions[:3]:
            assert breaker.state is State.HALF_OPEN
            await breaker.record(probe, Outcome.OK, 0.1)
        assert breaker.state is State.CLOSED
        assert bench.moves == [("pncp", State.OPEN), ("pncp", State.HALF_OPEN), ("pncp", State.CLOSED)]

    async def test_opens_again_with_one_failed_probe_whatever_the_others_say(self, bench):
        breaker = await self.half_open(bench)
        one, two, three = [await breaker.admit() for _ in range(3)]
        await breaker.record(one, Outcome.OK, 0.1)
        await breaker.record(two, Outcome.SERVER, 0.1)
        await breaker.record(three, Outcome.OK, 0.1)
        assert breaker.state is State.OPEN
        assert [change.after for change in bench.changes].count(State.OPEN) == 2

    async def test_gives_the_place_of_a_hanging_probe_to_another(self, bench):
        breaker = await self.half_open(bench)
        probes = [await breaker.admit() for _ in range(3)]
        await breaker.record(probes[0], Outcome.OK, 0.1)
        bench.told.now += POLICY.probe_time + 0.001
        again = [(await breaker.admit()).allowed for _ in range(5)]
        assert again == [True, True, False, False, False]
        await breaker.record(probes[1], Outcome.SERVER, 36)
        assert breaker.state is State.HALF_OPEN

    async def test_frees_the_place_of_a_probe_that_was_given_up(self, bench):
        breaker = await self.half_open(bench, probes=1)
        probe = await breaker.admit()
        assert not (await breaker.admit()).allowed
        await breaker.release(probe)
        assert (await breaker.admit()).allowed

    @pytest.mark.parametrize(("on", "state"), [(True, State.OPEN), (False, State.HALF_OPEN)])
    async def test_takes_a_probe_that_timed_out_as_the_slow_call_rule_says(self, bench, on, state):
        breaker = await self.half_open(bench, slow_call_rule=on)
        await calls(breaker, 1, Outcome.TIMEOUT, took=30)
        assert breaker.state is state

    async def test_does_not_count_what_began_before(self, bench):
        breaker = bench.breaker()
        early = [await breaker.admit() for _ in range(30)]
        await calls(breaker, 20, Outcome.SERVER)
        bench.told.now += 60.001
        await breaker.admit()
        for each in early:
            await breaker.record(each, Outcome.SERVER, 61)
        assert breaker.state is State.HALF_OPEN


class TestBulkheads:
    async def test_close_one_uf_off_without_the_source(self, bench):
        breaker = bench.breaker()
        assert await calls(breaker, 12, Outcome.SERVER, part="SP") == [True] * 10 + [False] * 2
        assert bench.moves == [("pncp.SP", State.OPEN)]
        assert all(await calls(breaker, 9, Outcome.SERVER, part="RJ"))
        assert breaker.refuses("SP")
        assert not breaker.refuses("RJ")

    async def test_do_not_count_results_of_a_closed_off_uf_against_the_source(self, bench):
        breaker = bench.breaker()
        under_way = [await breaker.admit("SP") for _ in range(60)]
        for each in under_way:
            await breaker.record(each, Outcome.SERVER, 0.1)
        assert bench.moves == [("pncp.SP", State.OPEN)]

    async def test_leave_the_source_to_open_when_many_ufs_fail(self, bench):
        breaker = bench.breaker()
        for part in ("AC", "AL", "AM", "AP", "BA"):
            await calls(breaker, 4, Outcome.SERVER, part=part)
        assert bench.moves == [("pncp", State.OPEN)]
        assert not (await breaker.admit("SP")).allowed

    async def test_take_no_probes_place_when_the_source_refuses(self, bench):
        breaker = bench.breaker(probes=1)
        await calls(breaker, 10, Outcome.SERVER, part="SP")
        await calls(breaker, 10, Outcome.SERVER)
        bench.told.now += 60.001
        probe = await breaker.admit()
        assert probe.allowed
        assert not (await breaker.admit("SP")).allowed
        await breaker.record(probe, Outcome.OK, 0.1)
        assert (await breaker.admit("SP")).allowed


class TestSharing:
    @pytest.mark.parametrize("seed", range(5))
    async def test_lets_exactly_the_probes_of_all_processes_through(self, redis, seed):
        await self.exactly_k_probes(redis, seed)

    @pytest.mark.soak
    @pytest.mark.parametrize("seed", range(5, 100))
    async def test_lets_exactly_the_probes_of_all_processes_through_whatever_the_seed(self, redis, seed):
        await self.exactly_k_probes(redis, seed)

    async def exactly_k_probes(self, redis: RedisServer, seed: int) -> None:
        lot, told = random.Random(seed), Told()  # noqa: S311 - a seed that can be run again
        probes = lot.randint(1, 10)
        async with AsyncExitStack() as stack:
            links = [await stack.enter_async_context(RedisLink(redis.url, patience=60)) for _ in range(8)]
            benches = [Bench(link, told) for link in links]
            breakers = [bench.breaker(probes=probes) for bench in benches]
            await calls(breakers[0], 20, Outcome.SERVER)
            told.now += 60.001
            who = [lot.choice(breakers) for _ in range(1000)]

            async def call(breaker: Breaker) -> bool:
                for _ in range(lot.randint(0, 3)):
                    await asyncio.sleep(0)
                return (await breaker.admit()).allowed

            allowed = await asyncio.gather(*(call(breaker) for breaker in who))
        assert sum(allowed) == probes
        moves = [change.after for bench in benches for change in bench.changes]
        assert moves == [State.OPEN, State.HALF_OPEN]

    async def test_opens_for_all_processes_at_once(self, redis):
        async with RedisLink(redis.url) as first, RedisLink(redis.url) as second:
            told = Told()
            one, two = Bench(first, told), Bench(second, told)
            await calls(one.breaker(), 10, Outcome.SERVER)
            await calls(two.breaker(), 10, Outcome.SERVER)
            assert not (await one.breaker().admit()).allowed
        assert one.moves + two.moves == [("pncp", State.OPEN)]

    async def test_keeps_open_in_each_process_what_was_open_when_redis_went(self, redis):
        async with RedisLink(redis.url) as link:
            bench = Bench(link, Told())
            breaker = bench.breaker()
            await calls(breaker, 20, Outcome.SERVER)
            await redis.kill()
            bench.told.now += 30
            assert not (await breaker.admit()).allowed
            bench.told.now += 31
            assert await calls(breaker, 5, Outcome.OK) == [True] * 5
            assert breaker.state is State.CLOSED

    async def test_goes_on_alone_while_redis_is_away_and_with_all_when_it_is_back(self, redis):
        async with RedisLink(redis.url) as link:
            bench = Bench(link, Told())
            breaker = bench.breaker()
            under_way = await breaker.admit()
            await redis.kill()
            await breaker.record(under_way, Outcome.OK, 0.1)
            assert await calls(breaker, 21, Outcome.SERVER) == [True] * 20 + [False]
            await redis.start()
            await until(lambda: link.connected)
            assert (await breaker.admit()).shared
        assert [change.shared for change in bench.changes] == [False]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - it is the other side's doing
            await asyncio.sleep(0.05)
