"""What the fetcher makes of its rate, counted by the simulator: `python services/fetcher/bench/measure.py [--json]`.

The simulator runs in a process of its own, as a source does; each figure is the median of paired runs.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
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
from servicekit.logs import configure
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Policy
from servicekit.shared.link import RedisLink
from servicekit.shared.rate import SourceRate

TODAY: Final = date(2026, 11, 20)
RATES: Final = (2, 10, 50)
LEAST_PAGES: Final = 150
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


@asynccontextmanager
async def simulator() -> AsyncIterator[dict[str, str]]:
    """The addresses of a simulator in a process of its own."""
    code = (
        "import asyncio, sys, datetime\n"
        "from simulators.server import Simulator\n"
        "async def main():\n"
        f"    async with Simulator(today=datetime.date.fromisoformat({TODAY.isoformat()!r})) as s:\n"
        "        import gc; gc.collect(); gc.freeze()\n"
        "        print(s.pncp_consulta_url, s.control_url, flush=True)\n"
        "        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    if process.stdout is None or process.stdin is None:
        raise RuntimeError("no pipes")
    try:
        consulta, control = (await process.stdout.readline()).decode().split()
        yield {"consulta": consulta, "control": control}
    finally:
        process.stdin.close()
        await process.wait()


async def used_share(places: dict[str, str], *, rate: float, link: RedisLink | None = None) -> Used:
    """Fetch at least 150 pages as fast as the rate allows; the source's own limit is the rate."""
    days = 10 if rate < max(RATES) else 20
    async with httpx.AsyncClient(base_url=places["control"], timeout=30) as control:
        limit = {"source": "pncp", "requests": int(rate)}
        (await control.put("/_sim/faults", json={"rates": [limit]})).raise_for_status()
        await control.delete("/_sim/hits")
        facts = await _fetch(places, rate=rate, ufs=_ufs_for(rate), days=days, link=link)
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
        most_in_a_second=_most_in_a_second(arrivals),
        complete=all(end.status is SliceStatus.COMPLETE for end in ends),
    )


async def first_result(places: dict[str, str]) -> First:
    """From the claims to the first page, while all UFs are asked for."""
    async with httpx.AsyncClient(base_url=places["control"], timeout=30) as control:
        slow = {"faults": [{"kind": "latency", "seconds": ROUND_TRIP}]}
        (await control.put("/_sim/faults", json=slow)).raise_for_status()
        loop = asyncio.get_running_loop()
        async with SourceHttp(places["consulta"]) as http:
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


async def _fetch(
    places: dict[str, str], *, rate: float, ufs: Sequence[UF], days: int, link: RedisLink | None
) -> list[Fact]:
    async with SourceHttp(places["consulta"]) as http:
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


def _ufs_for(rate: float) -> Sequence[UF]:
    return UFS if rate >= max(RATES) else UFS[: LEAST_PAGES // len(MODALIDADES)]


def _most_in_a_second(arrivals: Sequence[float]) -> int:
    return max(sum(1 for other in arrivals[at:] if other - first < 1.0) for at, first in enumerate(arrivals))


async def measure(*, runs: int, rates: Sequence[float] = RATES, redis_url: str = "") -> dict[str, Any]:
    """Every run, and the medians."""
    link = RedisLink(redis_url) if redis_url else None
    async with simulator() as places:
        if link is not None:
            await link.__aenter__()
        try:
            # A source that has just been started writes each record for the first time: that is not its round trip.
            await _fetch(places, rate=max(RATES), ufs=UFS, days=20, link=None)
            used = [await used_share(places, rate=rate, link=link) for rate in rates for _ in range(runs)]
        finally:
            if link is not None:
                await link.__aexit__(None, None, None)
        first = [await first_result(places) for _ in range(runs)]
    return {
        "used_share": {str(r): statistics.median(u.used_share for u in used if u.rate == r) for r in rates},
        "requests_per_page": max(each.requests_per_page for each in used),
        "refused": sum(each.refused for each in used),
        "first_result_round_trips": statistics.median(each.round_trips for each in first),
        "runs": [asdict(each) for each in used],
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES))
    parser.add_argument("--redis", default="", help="redis://...: the shared rate; without it this process's own")
    wanted = parser.parse_args()
    configure("ERROR", "bench")
    figures = asyncio.run(measure(runs=wanted.runs, rates=wanted.rates, redis_url=wanted.redis))
    if wanted.json:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
        return
    for rate, share in figures["used_share"].items():
        sys.stdout.write(f"{rate:>6} requests/s: {share:.1%} of the rate used\n")
    sys.stdout.write(f"requests per page needed: {figures['requests_per_page']}\n429s: {figures['refused']}\n")
    sys.stdout.write(f"first result: {figures['first_result_round_trips']} round trips\n")


if __name__ == "__main__":
    main()
