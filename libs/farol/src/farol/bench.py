"""`farol bench`: what one machine does with the recorded sources. Figures of a moment, never a test."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from contracts.places import UF, UFS
from farol.board import TERMINAL_EVENTS
from farol.client import FarolClient
from farol.logfile import stdout_to
from farol.place import Place
from farol.searching import Wish
from farol.settings import new_api_key, tell_services
from farol.up import Wanted, running
from servicekit.logs import configure

LIMIT: Final = timedelta(minutes=5)
AT_ONCE: Final = 10
THREE: Final = (UF.MG, UF.RS, UF.SP)


@dataclass(frozen=True, slots=True)
class Measured:
    """One line of the benchmark."""

    what: str
    seconds: float
    first_rows_seconds: float | None = None
    """Until the first UF's rows were shown."""
    rows: int | None = None
    requests: int | None = None
    """That the sources were asked."""

    @property
    def fields(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


async def measure(*, today: date, processes: bool) -> AsyncIterator[Measured]:
    """Each figure as it is taken, in a directory of its own that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="farol-bench-") as root:
        place = Place(Path(root))
        wanted = Wanted(place=place, sources="recorded", port=0, key=new_api_key(), processes=processes)
        with place.held(), stdout_to(place.log, turning=False):
            configure("WARNING", "farol")
            tell_services({"GATEWAY_RUNNING_SEARCHES": str(AT_ONCE)})
            began = time.monotonic()
            async with running(wanted, place.prepare("recorded", today)) as endpoint:
                yield Measured("início", time.monotonic() - began)
                async with FarolClient(endpoint.url, wanted.key) as client, _hits(endpoint.simulator_url) as hits:
                    async for each in _searches(client, hits, today=today):
                        yield each


async def _searches(client: FarolClient, hits: httpx.AsyncClient, *, today: date) -> AsyncIterator[Measured]:
    three = Wish(ufs=THREE, sector="alimentacao").body(today=today)
    other = Wish(ufs=THREE, sector="vestuario").body(today=today)
    whole = Wish(ufs=UFS, sector="alimentacao").body(today=today)
    yield await _timed("busca fria, 3 UFs", lambda: _search(client, three), hits)
    yield await _timed("a mesma de novo", lambda: _search(client, three), hits)
    yield await _timed("outro setor, mesmas UFs", lambda: _search(client, other), hits)
    yield await _timed(f"{AT_ONCE} iguais ao mesmo tempo", lambda: _together(client, three), hits)
    yield await _timed("busca fria, 27 UFs", lambda: _search(client, whole), hits)


async def _timed(what: str, work: Callable[[], Any], hits: httpx.AsyncClient) -> Measured:
    before = await _total(hits)
    began = time.monotonic()
    first, rows = await work()
    seconds = time.monotonic() - began
    return Measured(what, seconds, first - began if first else None, rows, await _total(hits) - before)


async def _together(client: FarolClient, body: dict[str, Any]) -> tuple[float | None, int]:
    ended = await asyncio.gather(*(_search(client, body) for _ in range(AT_ONCE)))
    return min((first for first, _ in ended if first), default=None), ended[0][1]


async def _search(client: FarolClient, body: dict[str, Any]) -> tuple[float | None, int]:
    """When the first rows came, and how many there were in the end."""
    view = await client.ask(body)
    first: float | None = None
    events = client.follow(view.search_id, until=datetime.now(UTC) + LIMIT, now=lambda: datetime.now(UTC))
    try:
        async for event in events:
            if event.name == "partial_results" and first is None and event.data["total"]:
                first = time.monotonic()
            if event.name in TERMINAL_EVENTS:
                return first, event.data["total"]
    finally:
        await events.aclose()
    raise TimeoutError(f"{view.search_id} had no end")


def _hits(simulator_url: str | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=simulator_url or "", trust_env=False, timeout=30)


async def _total(hits: httpx.AsyncClient) -> int:
    return int((await hits.get("/_sim/hits")).raise_for_status().json()["total"])
