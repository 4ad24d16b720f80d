"""What the fetch engine makes of its rate, as the source counts it: a simulator in a process of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import httpx

from contracts.fetch import FetchClaim, FetchRange, PageFetched, RangeEnded, SliceStatus
from contracts.places import UF, UFS
from contracts.values import Modalidade, Source
from fetcher.adapters.http import SourceHttp
from fetcher.adapters.pncp import PncpReader
from fetcher.asking import Asker
from fetcher.clocks import Limits
from fetcher.engine import Engine, Fact
from fetcher.guard import Guard
from fetcher.lane import Lane
from servicekit.clock import utc_now
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Policy
from servicekit.shared.link import RedisLink
from servicekit.shared.rate import SourceRate

TODAY: Final = date(2026, 11, 20)
RATES: Final = (2.0, 10.0, 50.0)
DAYS: Final = 20
"""Of all UFs and five modalidades: 161 pages."""
MODALIDADES: Final = (4, 5, 6, 7, 8)
LIMITS: Final = Limits(timedelta(minutes=10), "timeout.uf", timedelta(minutes=9), timedelta(seconds=30))
ROUND_TRIP: Final = 0.2
"""Seconds that the simulated source takes for the figure of the first result."""


@dataclass(frozen=True, slots=True)
class Used:
    """One run at one rate."""

    rate: float
    requests: int
    pages_needed: int
    seconds: float
    used_share: float
    """(requests - 1) / seconds between the first and the last / rate, as they arrived."""
    requests_per_page: float
    refused: int
    most_in_a_second: int
    complete: bool


@dataclass(frozen=True, slots=True)
class First:
    """The first result of a search of the whole country, in round trips of the source."""

    round_trips: float


@dataclass(frozen=True, slots=True)
class Played:
    """Where a simulator answers."""

    consulta: str
    pncp: str
    pcp: str
    control: str


@asynccontextmanager
async def simulator(*, scale: int = 1) -> AsyncIterator[Played]:
    """A simulator in a process of its own, whose collector does not stop it while it is measured."""
    code = (
        "import asyncio, sys, datetime\n"
        "from simulators.server import Simulator\n"
        "async def main():\n"
        f"    async with Simulator(today=datetime.date.fromisoformat({TODAY.isoformat()!r}), scale={scale}) as s:\n"
        "        import gc; gc.collect(); gc.freeze()\n"
        "        print(s.pncp_consulta_url, s.pncp_api_url, s.pcp_url, s.control_url, flush=True)\n"
        "        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    if process.stdout is None or process.stdin is None:
        raise RuntimeError("no pipes")
    try:
        yield Played(*(await process.stdout.readline()).decode().split())
    finally:
        process.stdin.close()
        await process.wait()


async def warm(played: Played) -> None:
    """A source that has just been started writes each record for the first time: that is not its round trip."""
    await _fetch(played, rate=max(RATES) * 4, ufs=UFS, days=DAYS, link=None)


async def used_share(played: Played, *, rate: float, link: RedisLink | None = None) -> Used:
    """Fetch at least 150 pages as fast as the rate allows; the source's own limit is the rate."""
    async with httpx.AsyncClient(base_url=played.control, timeout=30) as control:
        limit = {"source": "pncp", "requests": int(rate), "retry_after": 1}
        (await control.put("/_sim/faults", json={"rates": [limit]})).raise_for_status()
        await control.delete("/_sim/hits")
        facts = await _fetch(played, rate=rate, ufs=UFS, days=DAYS, link=link)
        hits = (await control.get("/_sim/hits")).json()["hits"]
    arrivals = sorted(hit["at"] for hit in hits)
    seconds = arrivals[-1] - arrivals[0]
    ends = [fact for fact in facts if isinstance(fact, RangeEnded)]
    needed = sum(max(1, end.pages_total) for end in ends)
    return Used(
        rate=rate,
        requests=len(hits),
        pages_needed=needed,
        seconds=round(seconds, 3),
        used_share=round((len(hits) - 1) / seconds / rate, 4),
        requests_per_page=round(len(hits) / needed, 4),
        refused=sum(hit["status"] == 429 for hit in hits),  # noqa: PLR2004 - Too Many Requests
        most_in_a_second=most_in_a_second(arrivals),
        complete=all(end.status is SliceStatus.COMPLETE for end in ends),
    )


async def first_result(played: Played) -> First:
    """From the claims to the first page, while all UFs are asked for."""
    async with httpx.AsyncClient(base_url=played.control, timeout=30) as control:
        slow = {"faults": [{"kind": "latency", "seconds": ROUND_TRIP}]}
        (await control.put("/_sim/faults", json=slow)).raise_for_status()
        loop = asyncio.get_running_loop()
        async with SourceHttp(played.consulta) as http:
            engine = _engine(http, rate=max(RATES), link=None)
            began = loop.time()
            streams = [asyncio.create_task(_first_of(engine, uf)) for uf in UFS]
            await asyncio.wait(streams, return_when=asyncio.FIRST_COMPLETED)
            took = loop.time() - began
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
    return First(round_trips=round(took / ROUND_TRIP, 3))


async def _first_of(engine: Engine, uf: UF) -> None:
    stream = engine.fetch(_run(engine, uf, days=10))
    try:
        async for fact in stream:
            if isinstance(fact, PageFetched):
                return
    finally:
        await stream.aclose()


async def _fetch(played: Played, *, rate: float, ufs: Sequence[UF], days: int, link: RedisLink | None) -> list[Fact]:
    async with SourceHttp(played.consulta) as http:
        engine = _engine(http, rate=rate, link=link)
        every = await asyncio.gather(*(_all_of(engine, uf, days) for uf in ufs))
    return [fact for facts in every for fact in facts]


async def _all_of(engine: Engine, uf: UF, days: int) -> list[Fact]:
    facts = []
    async for fact in engine.fetch(_run(engine, uf, days=days)):
        if isinstance(fact, PageFetched):
            fact.to_json()  # what the bus would cost this process
        facts.append(fact)
    return facts


def _engine(http: SourceHttp, *, rate: float, link: RedisLink | None) -> Engine:
    policy = Policy()
    return Engine(
        reader=PncpReader(http),
        asker=Asker(
            lane=Lane(SourceRate("pncp", rate, link=link)),
            guard=Guard(Breaker("pncp", policy=policy, part_policy=policy, tell=lambda _: None, link=link)),
            chance=lambda: 0.5,
        ),
        limits=LIMITS,
        now=utc_now,
    )


def _run(engine: Engine, uf: UF, *, days: int) -> Any:
    now = utc_now()
    first = TODAY - timedelta(days=days - 1)
    ranges = tuple(FetchRange(modalidade=Modalidade(m), day_from=first, day_to=TODAY) for m in MODALIDADES)
    claim = FetchClaim(source=Source.PNCP, uf=uf, ranges=ranges, not_after=now + timedelta(minutes=10), claimed_at=now)
    return engine.begin(claim, fetch_id=1, ranges=claim.ranges, claim_ranges=len(claim.ranges))


def most_in_a_second(arrivals: Sequence[float]) -> int:
    """The most moments, in order, that lie in any one sliding second."""
    return max(sum(1 for other in arrivals[at:] if other - first < 1.0) for at, first in enumerate(arrivals))
