"""What an operator sets wins over the circuit, and takes effect on what waits."""

import asyncio
from datetime import timedelta

import pytest

from contracts.control import Forced, SourceLevers
from fetcher.domain.attempts import AttemptFailed
from fetcher.guard import PAUSED, REFUSED, Guard
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Policy
from servicekit.shared.rate import SourceRate

FRAIL = Policy(least_calls=1, error_rate=0.1)


def _guard() -> Guard:
    return Guard(Breaker("pncp", policy=FRAIL, part_policy=FRAIL, tell=lambda _: None))


async def _fails() -> str:
    raise AttemptFailed("http.500", again=False)


async def _works() -> str:
    return "a page"


async def _settled(guard: Guard) -> None:
    while guard._telling:
        await asyncio.gather(*guard._telling)


class TestGuard:
    @pytest.mark.parametrize(
        ("levers", "code"), [(SourceLevers(paused=True), PAUSED), (SourceLevers(breaker=Forced.OPEN), REFUSED)]
    )
    async def test_lets_nothing_through_a_source_that_is_shut(self, levers: SourceLevers, code: str) -> None:
        guard = _guard()
        guard.levers = levers
        assert guard.refuses("SP")
        assert not guard.closed
        with pytest.raises(AttemptFailed) as refused:
            await guard.call("SP", _works)
        assert refused.value.code == code

    async def test_lets_calls_through_a_circuit_that_is_forced_closed(self) -> None:
        guard = _guard()
        for _ in range(3):
            with pytest.raises(AttemptFailed):
                await guard.call("SP", _fails)
            await _settled(guard)
        assert guard.refuses("SP")
        guard.levers = SourceLevers(breaker=Forced.CLOSED)
        assert not guard.refuses("SP")
        assert await guard.call("SP", _works) == "a page"
        await _settled(guard)
        guard.levers = SourceLevers()
        assert guard.refuses("SP")


class TestRate:
    async def test_is_changed_and_given_back_and_never_passes_the_new_one_in_any_second(self) -> None:
        moment = 100.0
        rate = SourceRate("pncp", 10, clock=lambda: moment)
        assert (await rate.take()).granted
        rate.configure(2)
        grants: list[float] = []
        while moment < 110:
            if (await rate.take()).granted:
                grants.append(moment)
            moment += 0.01
        assert 17 <= len(grants) <= 19
        assert all(sum(start <= each < start + 1 for each in grants) <= 2 for start in grants)
        rate.configure(None)
        assert rate.rate == 10
        assert rate.silence() == timedelta(0)
