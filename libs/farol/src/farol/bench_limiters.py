"""What limiters on one Redis use of a rate together, and the most that any sliding second saw of their grants."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from farol.bench_rate import most_in_a_second
from servicekit.embedded_redis import RedisServer
from servicekit.shared.link import RedisLink
from servicekit.shared.rate import SourceRate

LIMITERS: Final = 8
RATE: Final = 10.0
SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Limited:
    """One run."""

    used_share: float
    """(grants - 1) / seconds between the first and the last / rate."""
    fullest_second: float
    """Grants of the fullest sliding second / rate."""


async def limited() -> Limited:
    """Eight take every token that they can get; each is counted on Redis's clock, at its grant."""
    async with RedisServer() as server, AsyncExitStack() as links:
        rates = [
            SourceRate("bench", RATE, link=await links.enter_async_context(RedisLink(server.url)), processes=LIMITERS)
            for _ in range(LIMITERS)
        ]
        grants: list[float] = []
        takers = [asyncio.create_task(_take(rate, grants)) for rate in rates]
        await asyncio.wait(takers, timeout=SECONDS, return_when=asyncio.FIRST_EXCEPTION)
        for taker in takers:
            taker.cancel()
        ended = await asyncio.gather(*takers, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException) and not isinstance(each, asyncio.CancelledError):
            raise each
    grants.sort()
    return Limited(
        used_share=round((len(grants) - 1) / (grants[-1] - grants[0]) / RATE, 4),
        fullest_second=round(most_in_a_second(grants) / RATE, 4),
    )


async def _take(rate: SourceRate, grants: list[float]) -> None:
    while True:
        turn = await rate.take()
        if not rate.shared:
            raise RuntimeError("a limiter has lost its Redis: that is no measure of sharing")
        if turn.granted:
            grants.append(turn.at)
        await asyncio.sleep(turn.wait)
