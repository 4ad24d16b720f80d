"""`farol bench fetch`: how well the sources are asked, by the simulator's own log of hits, against what is aimed at."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx

from contracts.places import UF, UFS
from farol.bench_limiters import LIMITERS, Limited, limited
from farol.bench_rate import MODALIDADES, RATES, TODAY, First, Played, Used, first_result, simulator, used_share, warm
from farol.board import TERMINAL_EVENTS
from farol.client import FarolClient
from farol.logfile import stdout_to
from farol.place import Place
from farol.settings import new_api_key, tell_services
from farol.up import Wanted, running
from servicekit.logs import configure

TOGETHER: Final = 100
SMALL: Final = (UF.ES, UF.MS, UF.SC)
SCALE: Final = 16
"""Copies of each record: the country's ten days become more than 400 pages."""
LEAST_PAGES: Final = 400
LIMIT: Final = timedelta(minutes=8)
QUICK: Final = "200"
"""Requests a second where what counts is how many there are."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: what was measured, what is aimed at, and whether it was reached."""

    what: str
    value: float
    aim: str
    reached: bool
    runs: tuple[float, ...]
    """Every run's value; `value` is their median, or the worst where one alone would be too many."""

    @property
    def fields(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def at_least(what: str, runs: Sequence[float], bound: float) -> Figure:
    """The median is to be no less."""
    value = median(runs)
    return Figure(what, value, f">= {bound:g}", value >= bound, tuple(runs))


def at_most(what: str, runs: Sequence[float], bound: float, *, each: bool = False) -> Figure:
    """The median, or `each` run, is to be no more."""
    value = max(runs) if each else median(runs)
    return Figure(what, value, f"<= {bound:g}", value <= bound, tuple(runs))


async def measure(*, runs: int, rates: Sequence[float] = RATES) -> AsyncIterator[Figure]:
    """Each figure as soon as its runs are over; the longest take minutes, since a rate of 2 a second does."""
    configure("ERROR", "farol")
    async with simulator() as played:
        await warm(played)
        used: list[Used] = []
        for rate in rates:
            of_rate = [await used_share(played, rate=rate) for _ in range(runs)]
            used += of_rate
            yield at_least(f"share of {rate:g} requests/s used", [each.used_share for each in of_rate], 0.97)
        yield at_most("requests / pages needed", [each.requests_per_page for each in used], 1.01, each=True)
        yield at_most("429s", [each.refused for each in used], 0, each=True)
        yield at_least("slices read to their end", [float(each.complete) for each in used], 1)
        first: list[First] = [await first_result(played) for _ in range(runs)]
        yield at_most("first result, round trips", [each.round_trips for each in first], 2.2)
        together = [await _together(played) for _ in range(runs)]
        yield at_most("requests of 100 searches / of one", together, 1.0, each=True)
    shared: list[Limited] = [await limited() for _ in range(runs)]
    yield at_most(f"{LIMITERS} limiters, fullest second / rate", [each.fullest_second for each in shared], 1, each=True)
    yield at_least(f"{LIMITERS} limiters, share of the rate used", [each.used_share for each in shared], 0.9)
    async with simulator(scale=SCALE) as played:
        syncs = [await _synced_twice(played) for _ in range(runs)]
    yield at_least("requests of the first sync", [float(first_sync) for first_sync, _ in syncs], LEAST_PAGES)
    yield at_most("requests of the second sync / of the first", [again / once for once, again in syncs], 0.02)


async def _together(played: Played) -> float:
    """Requests of a hundred identical searches at once over those of one, each of a Farol that knows nothing."""
    await _plain(played)
    asked = _body(SMALL, "alimentacao")
    async with _farol(played) as farol:
        one = await farol.requests_of(asked)
    async with _farol(played) as farol:
        return await farol.requests_of(asked, times=TOGETHER) / one


async def _synced_twice(played: Played) -> tuple[int, int]:
    """Requests of a search of the whole country, and of the same for another sector once that is over."""
    await _plain(played)
    async with _farol(played) as farol:
        return await farol.requests_of(_body(UFS, "alimentacao")), await farol.requests_of(_body(UFS, "vestuario"))


async def _plain(played: Played) -> None:
    """No faults and no limits from here on."""
    async with httpx.AsyncClient(base_url=played.control, trust_env=False, timeout=30) as control:
        (await control.put("/_sim/faults", json={})).raise_for_status()


def _body(ufs: Sequence[UF], sector: str) -> dict[str, Any]:
    return {
        "ufs": list(ufs),
        "sector": sector,
        "sources": ["pncp"],
        "modalidades": list(MODALIDADES),
        "date_from": (TODAY - timedelta(days=9)).isoformat(),
        "date_to": TODAY.isoformat(),
    }


@dataclass(frozen=True)
class _Farol:
    client: FarolClient
    control: httpx.AsyncClient

    async def requests_of(self, body: dict[str, Any], *, times: int = 1) -> int:
        """What these searches, all at once, made the sources answer; one at least has to read all that it asked."""
        before = await self._hits()
        completed = await asyncio.gather(*(self._search(body) for _ in range(times)))
        if not any(completed):
            raise RuntimeError("no search was completed: what it asked is no measure")
        return await self._hits() - before

    async def _search(self, body: dict[str, Any]) -> bool:
        view = await self.client.ask(body)
        until = datetime.now(UTC) + LIMIT
        events = self.client.follow(view.search_id, until=until, now=lambda: datetime.now(UTC))
        try:
            async for event in events:
                if event.name in TERMINAL_EVENTS:
                    return event.name == "completed"
        finally:
            await events.aclose()
        raise TimeoutError(f"{view.search_id} had no end")

    async def _hits(self) -> int:
        return int((await self.control.get("/_sim/hits")).raise_for_status().json()["total"])


@asynccontextmanager
async def _farol(played: Played) -> AsyncIterator[_Farol]:
    """A whole Farol that knows nothing yet, in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="farol-bench-") as root:
        place = Place(Path(root))
        wanted = Wanted(place=place, sources="live", port=0, key=new_api_key())
        with place.held(), stdout_to(place.log, turning=False):
            configure("WARNING", "farol")
            tell_services(
                {
                    "PNCP_CONSULTA_URL": played.consulta,
                    "PNCP_API_URL": played.pncp,
                    "PCP_API_URL": played.pcp,
                    "PNCP_RATE_PER_SECOND": QUICK,
                    "PCP_RATE_PER_SECOND": QUICK,
                    "GATEWAY_RUNNING_SEARCHES": str(TOGETHER),
                    "GATEWAY_LONGEST_WAIT": "PT10M",
                    "GATEWAY_STREAMS_PER_TENANT": "2000",
                }
            )
            control = httpx.AsyncClient(base_url=played.control, trust_env=False, timeout=30)
            async with (
                running(wanted, place.prepare("live", TODAY)) as endpoint,
                control,
                FarolClient(endpoint.url, wanted.key) as client,
            ):
                yield _Farol(client, control)
