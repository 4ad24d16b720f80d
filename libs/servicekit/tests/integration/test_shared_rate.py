"""The rate of one source: the same promises with Redis and without, and what happens in between."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Self

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from structlog.testing import capture_logs

from servicekit.shared.bucket import STEP_EVERY
from servicekit.shared.link import RedisLink
from servicekit.shared.rate import SourceRate
from servicekit.testing import RedisServer

RATE = 10


def most_in_a_second(moments: list[float]) -> int:
    moments = sorted(moments)
    return max(sum(1 for other in moments[at:] if other - first < 1.0) for at, first in enumerate(moments))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - it is the other side's doing
            await asyncio.sleep(0.05)


class Told:
    """A clock that stands still until it is told; both modes are driven by it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture(params=["redis", "alone"])
async def paced(request: pytest.FixtureRequest) -> AsyncIterator[tuple[SourceRate, Told]]:
    """A rate of ten on a clock that is told; with Redis the second of an unknown past is over."""
    told = Told()
    if request.param == "alone":
        yield SourceRate("pncp", RATE, clock=told), told
        return
    async with RedisServer() as server, RedisLink(server.url) as link:
        rate = SourceRate("pncp", RATE, link=link, clock=told)
        assert not (await rate.take()).granted
        told.now += 1.0
        yield rate, told


async def taken(rate: SourceRate, told: Told, seconds: float, *, late: float = 0.0) -> list[float]:
    """The moments of all tokens of so many seconds, each asked for when it was said to be due, and so much later."""
    moments, end = [], told.now + seconds
    while told.now < end:
        turn = await rate.take()
        if turn.granted:
            moments.append(told.now)
        told.now += turn.wait + (late if turn.granted else 1e-4)
    return moments


@pytest.mark.parametrize("late", [0.0, 0.01, 0.05, 0.3])
class TestSourceRate:
    async def test_never_grants_more_than_the_rate_in_any_sliding_second(self, paced, late):
        moments = await taken(*paced, 20, late=late)
        assert most_in_a_second(moments) <= RATE
        if late <= 0.01:
            assert len(moments) >= 0.97 * RATE * 20


class TestRefused:
    async def test_silences_and_halves_and_recovers_step_by_step(self, paced):
        rate, told = paced
        await taken(rate, told, 2)
        await rate.refused(timedelta(seconds=7))
        assert (rate.rate, rate.reduced) == (5, True)
        silent_until = told.now + 7
        turn = await rate.take()
        assert (turn.granted, turn.wait) == (False, pytest.approx(7, abs=0.01))
        first, *others = await taken(rate, told, 17)
        assert first == pytest.approx(silent_until, abs=0.01)
        assert most_in_a_second([first, *others]) <= 5
        rates = []
        for _ in range(6):
            told.now += STEP_EVERY
            await rate.take()
            rates.append(rate.rate)
        assert rates == [6, 7, 8, 9, 10, 10]
        assert not rate.reduced

    async def test_halves_once_for_all_refusals_of_one_silence(self, paced):
        rate, told = paced
        with capture_logs() as lines:
            for _ in range(5):
                await rate.refused(timedelta(seconds=5))
                told.now += 0.1
        assert rate.rate == 5
        assert [line["event"] for line in lines] == ["rate.reduced"]


class TestSharing:
    async def test_tells_other_processes_what_one_has_learned(self, redis):
        async with RedisLink(redis.url) as one, RedisLink(redis.url) as two:
            told = Told()
            first, second = (SourceRate("pncp", RATE, link=link, clock=told) for link in (one, two))
            await first.take()
            told.now += 2
            await first.refused(timedelta(seconds=5))
            turn = await second.take()
        assert (turn.granted, second.rate, second.reduced) == (False, 5, True)

    async def test_keeps_what_was_learned_when_redis_is_flushed(self, redis):
        async with RedisLink(redis.url) as link, Redis.from_url(redis.url) as admin:
            told = Told()
            rate = SourceRate("pncp", RATE, link=link, clock=told)
            await rate.take()
            told.now += 2
            await rate.refused(timedelta(seconds=1))
            told.now += 2
            await admin.flushall()
            turn = await rate.take()
        assert (turn.granted, turn.wait, rate.rate) == (False, pytest.approx(1.0), 5)

    async def test_is_not_silenced_for_ever_by_a_server_clock_that_went_back(self, redis):
        async with RedisLink(redis.url) as link:
            told = Told()
            rate = SourceRate("pncp", RATE, link=link, clock=told)
            await rate.take()
            told.now += 1
            assert (await rate.take()).granted
            told.now -= 3600
            turn = await rate.take()
        assert turn.wait <= 1.0


class TestAway:
    async def test_asks_for_its_share_after_one_second_and_says_so_once(self, redis):
        async with RedisLink(redis.url) as link:
            rate = SourceRate("pncp", RATE, link=link, processes=4)
            await rate.take()
            await redis.kill()
            with capture_logs() as lines:
                first = await rate.take()
                second = await rate.take()
        assert not rate.shared
        assert (first.granted, second.granted) == (False, False)
        assert first.wait == pytest.approx(1.0, abs=0.2)
        assert [line["event"] for line in lines] == ["redis.away"]

    async def test_starts_without_redis_and_finds_it_later(self, redis):
        await redis.kill()
        async with RedisLink(redis.url) as link:
            assert not link.connected
            await redis.start()
            await until(lambda: link.connected)

    async def test_takes_a_redis_that_does_not_answer_for_one_that_is_away(self, redis):
        async with RedisLink(redis.url) as link:
            rate = SourceRate("pncp", RATE, link=link)
            await rate.take()
            redis.pause()
            assert not (await rate.take()).granted
            assert not rate.shared
            redis.resume()
            await until(lambda: link.connected)
            await rate.take()
            assert rate.shared


class Client:
    """One process's limiter, taking every token that it can get."""

    def __init__(self, rate: SourceRate) -> None:
        self._rate = rate
        self.shared: list[float] = []
        self.alone: list[float] = []

    async def run(self) -> None:
        while True:
            turn = await self._rate.take()
            if turn.granted:
                # The clock of a server on this machine is this machine's.
                (self.shared if self._rate.shared else self.alone).append(turn.at if self._rate.shared else time.time())
            await asyncio.sleep(turn.wait)


class TestEightClients:
    """Real clocks; nothing is asserted but how many grants lie in any second of the server's time."""

    async def test_never_exceed_the_rate_while_redis_is_killed_flushed_and_back(self, redis):
        async with AsyncExitStack() as stack:
            links = [await stack.enter_async_context(RedisLink(redis.url)) for _ in range(8)]
            clients = [Client(SourceRate("pncp", RATE, link=link, processes=8)) for link in links]
            running = [asyncio.create_task(client.run()) for client in clients]
            await asyncio.sleep(3)
            await redis.kill()
            await asyncio.sleep(2.5)
            await redis.start()
            await asyncio.sleep(3)
            async with Redis.from_url(redis.url) as admin:
                await admin.flushall()
            await asyncio.sleep(2.5)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        shared = [moment for client in clients for moment in client.shared]
        alone = [moment for client in clients for moment in client.alone]
        assert shared
        assert alone
        assert most_in_a_second(shared + alone) <= RATE


PROCESSES = 4
OWN_PROCESS = """
import asyncio, sys, time
from servicekit.shared.link import RedisLink
from servicekit.shared.rate import SourceRate

async def main(url, rate, processes):
    asyncio.get_running_loop().add_reader(sys.stdin, asyncio.current_task().cancel)
    async with RedisLink(url) as link:
        limiter = SourceRate("pncp", rate, link=link, processes=processes)
        while True:
            turn = await limiter.take()
            if turn.granted:
                # The clock of a server on this machine is this machine's.
                print("shared" if limiter.shared else "alone", turn.at if limiter.shared else time.time(), flush=True)
            await asyncio.sleep(turn.wait)

try:
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
except asyncio.CancelledError:
    pass
"""


class OwnProcesses:
    """Limiters in real processes that take every token they can get."""

    def __init__(self, url: str) -> None:
        self._arguments = (sys.executable, "-c", OWN_PROCESS, url, str(RATE), str(PROCESSES))
        self._running: list[asyncio.subprocess.Process] = []
        self._reading: list[asyncio.Task[None]] = []
        self.shared: list[float] = []
        self.alone: list[float] = []

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        for _ in range(PROCESSES):
            process = await asyncio.create_subprocess_exec(*self._arguments, stdin=pipe, stdout=pipe)
            self._running.append(process)
            self._reading.append(asyncio.create_task(self._read(process)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._running:
            assert process.stdin
            process.stdin.close()
        await asyncio.gather(*self._reading, *(process.wait() for process in self._running))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        async for line in process.stdout:
            mode, _, at = line.decode().partition(" ")
            if mode in {"shared", "alone"}:  # else a line of the log
                (self.shared if mode == "shared" else self.alone).append(float(at))


class TestRealProcesses:
    async def told(self, redis: RedisServer, seed: int) -> tuple[OwnProcesses, float]:
        """What they were granted while Redis is well, killed, back and flushed; the share used while it is well."""
        lot = random.Random(seed)  # noqa: S311 - a seed that can be run again
        async with OwnProcesses(redis.url) as processes:
            await until(lambda: len(processes.shared) > RATE)
            well, before = time.time(), len(processes.shared)
            await asyncio.sleep(4)
            used = (len(processes.shared) - before) / (time.time() - well) / RATE
            await redis.kill()
            await until(lambda: bool(processes.alone))
            await asyncio.sleep(lot.uniform(0.3, 3))
            await redis.start()
            again = len(processes.shared)
            await until(lambda: len(processes.shared) > again)
            async with Redis.from_url(redis.url) as admin:
                await admin.flushall()
            await asyncio.sleep(lot.uniform(1, 3))
        return processes, used

    async def test_never_exceed_the_rate_while_redis_is_killed_flushed_and_back(self, redis):
        processes, used = await self.told(redis, seed=0)
        assert most_in_a_second(processes.shared + processes.alone) <= RATE
        assert used > 0

    @pytest.mark.soak
    @pytest.mark.parametrize("seed", [1, 2, 3])
    async def test_use_nine_tenths_of_the_rate_and_never_exceed_it(self, redis, seed):
        processes, used = await self.told(redis, seed)
        assert most_in_a_second(processes.shared + processes.alone) <= RATE
        assert used >= 0.9
