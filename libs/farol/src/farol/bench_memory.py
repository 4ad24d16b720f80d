"""`farol bench memory`: a stored answer's p99 against that of a bare health request on the same server."""

import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import httpx

from contracts.places import UF
from farol.bench_fetch import Figure, at_most
from farol.logfile import stdout_to
from farol.place import Place
from farol.searching import Wish
from farol.settings import new_api_key, tell_services
from farol.up import Wanted, running
from servicekit.embedded_redis import RedisServer
from servicekit.logs import configure

CALLS: Final = 400
"""Of each kind in a round, one after the other: the issue's 2,000 in five rounds."""
WARM_UP: Final = 100
MOST: Final = {"SQLite": 5.0, "Redis": 3.0}
WAIT: Final = {"Prefer": "wait=60"}
ENOUGH: Final = "10000000"


async def measure(*, today: date, runs: int) -> AsyncIterator[Figure]:
    """The ratio of each round, with L2 in the process and with L2 in Redis."""
    for store, bound in MOST.items():
        yield at_most(f"stored / health, p99, {store}", await _ratios(store, today=today, runs=runs), bound)


async def _ratios(store: str, *, today: date, runs: int) -> list[float]:
    async with AsyncExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="farol-bench-"))
        redis = (await stack.enter_async_context(RedisServer())).url if store == "Redis" else ""
        place = Place(Path(root))
        wanted = Wanted(place=place, sources="recorded", port=0, key=new_api_key())
        stack.enter_context(place.held())
        stack.enter_context(stdout_to(place.log, turning=False))
        configure("ERROR", "farol")
        tell_services({"REDIS_URL": redis, "GATEWAY_REQUESTS_PER_MINUTE": ENOUGH})
        endpoint = await stack.enter_async_context(running(wanted, place.prepare("recorded", today)))
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=endpoint.url, headers={"Authorization": f"Bearer {wanted.key}"}, timeout=90, trust_env=False
            )
        )
        body = Wish(ufs=(UF.SP,), sector="vestuario").body(today=today)
        await _until_stored(http, body)
        return await _rounds(http, body, runs=runs)


async def _until_stored(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """Have it made, then asked for until it comes from memory."""
    (await http.post("/v1/searches", json=body, headers=WAIT)).raise_for_status()
    for _ in range(WARM_UP):
        reply = await http.post("/v1/searches", json=body, headers=WAIT)
        if reply.json()["response_state"] == "cached" and not reply.json()["live_fetch_in_progress"]:
            return
    raise TimeoutError("nothing was stored")


async def _rounds(http: httpx.AsyncClient, body: dict[str, Any], *, runs: int) -> list[float]:
    async def stored() -> None:
        reply = await http.post("/v1/searches", json=body)
        if reply.json().get("response_state") != "cached":
            raise RuntimeError(f"not from memory: {reply.status_code}")

    async def health() -> None:
        (await http.get("/v1/health")).raise_for_status()

    ratios = []
    for _ in range(runs):
        bare = await _p99(health)
        ratios.append(round(await _p99(stored) / bare, 3))
    return ratios


async def _p99(call: Callable[[], Awaitable[None]]) -> float:
    """Seconds. The client shares the server's loop, so that what a hit leaves to be done afterwards counts too."""
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - began)
    return quantiles(taken, n=100)[-1]
