"""Both sources on loopback, in the caller's event loop: `async with Simulator() as sim: sim.pncp_consulta_url`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from types import TracebackType
from typing import Final, Self

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulators.desk import Conduct, application
from simulators.faults import Fault, Kind, RateLimit, Scenario, Source
from simulators.hits import HitLog
from simulators.listener import Listener
from simulators.pcp import Pcp
from simulators.pncp import Pncp
from simulators.reply import JSON, json_reply
from simulators.world import World

BRASILIA: Final = timezone(timedelta(hours=-3))  # no summer time since 2019
HITS_KEPT: Final = 100_000


def today_in_brasilia() -> date:
    """The current day in America/Sao_Paulo."""
    return datetime.now(UTC).astimezone(BRASILIA).date()


class Simulator:
    """PNCP and PCP v2 over real HTTP; `today`, `seed` and `scale` fix every byte, a scenario fixes every fault."""

    def __init__(
        self,
        *,
        today: date | None = None,
        seed: int = 0,
        scale: int = 1,
        faults: Iterable[Fault] = (),
        rates: Iterable[RateLimit] = (),
        proposta_needs_modalidade: bool = True,
        port: int = 0,
        hits_kept: int = HITS_KEPT,
    ) -> None:
        self.today = today or today_in_brasilia()
        self.seed, self.scale = seed, scale
        self.hits = HitLog(hits_kept)
        self._scenario = Scenario(
            faults=tuple(faults), rates=tuple(rates), proposta_needs_modalidade=proposta_needs_modalidade
        )
        self._port = port
        self._world: World | None = None
        self._conduct: Conduct | None = None
        self._listeners: dict[Source, Listener] = {}
        self._control: Listener | None = None

    async def __aenter__(self) -> Self:
        """Load the records and listen on three ports: PNCP, PCP and control."""
        self._world = await asyncio.to_thread(World, today=self.today, seed=self.seed, scale=self.scale)
        await asyncio.to_thread(self._world.warm)
        self._conduct = Conduct(self._scenario, seed=self.seed, hits=self.hits)
        routes = {Source.PNCP: Pncp(self._world).routes(), Source.PCP: Pcp(self._world).routes()}
        ports = (self._port, self._port + 1, self._port + 2) if self._port else (0, 0, 0)
        self._listeners = {
            source: Listener(application(source, routes[source], self._conduct), port)
            for source, port in zip(Source, ports, strict=False)
        }
        self._control = Listener(_control(self), ports[2])
        try:
            for listener in (*self._listeners.values(), self._control):
                await listener.start()
            self._open_or_refuse()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, whatever is still open."""
        await self.stop()

    async def stop(self) -> None:
        """End hanging and dripping answers at once and free the ports; well under a second."""
        if self._conduct is not None:
            self._conduct.stopping.set()
        listeners = (*self._listeners.values(), *((self._control,) if self._control else ()))
        await asyncio.gather(*(listener.stop() for listener in listeners))

    @property
    def world(self) -> World:
        """The records served, for a test that wants to know what is right."""
        if self._world is None:
            raise RuntimeError("the simulator is not running")
        return self._world

    @property
    def pncp_url(self) -> str:
        """The origin of PNCP."""
        return self._listeners[Source.PNCP].url

    @property
    def pncp_consulta_url(self) -> str:
        """What PNCP_CONSULTA_URL is set to."""
        return f"{self.pncp_url}/api/consulta"

    @property
    def pncp_api_url(self) -> str:
        """What PNCP_API_URL is set to."""
        return f"{self.pncp_url}/api/pncp"

    @property
    def pcp_url(self) -> str:
        """What PCP_API_URL is set to."""
        return self._listeners[Source.PCP].url

    @property
    def control_url(self) -> str:
        """The base of `/_sim/...`, on a port of its own so that it answers when a source does not."""
        if self._control is None:
            raise RuntimeError("the simulator is not running")
        return self._control.url

    @property
    def scenario(self) -> Scenario:
        """What is switched on now."""
        return self._scenario

    def set_faults(self, *faults: Fault) -> None:
        """Replace all faults, leaving the limits; none given means none."""
        self.set_scenario(self._scenario.model_copy(update={"faults": faults}))

    def set_rates(self, *rates: RateLimit) -> None:
        """Replace all rate limits, leaving the faults."""
        self.set_scenario(self._scenario.model_copy(update={"rates": rates}))

    def set_scenario(self, scenario: Scenario) -> None:
        """Put another scenario to work from the next request on; counters of faults and limits start anew."""
        self._scenario = scenario
        if self._conduct is not None:
            self._conduct.set(scenario)
            self._open_or_refuse()

    def _open_or_refuse(self) -> None:
        dead = {fault.source for fault in self._scenario.faults if fault.kind is Kind.REFUSED}
        for source, listener in self._listeners.items():
            if source in dead or None in dead:
                listener.refuse()
            else:
                listener.accept()


def _control(sim: Simulator) -> Starlette:
    async def faults(request: Request) -> Response:
        if request.method == "PUT":
            try:
                sim.set_scenario(Scenario.model_validate_json(await request.body()))
            except ValidationError as error:
                return Response(error.json(include_url=False, include_input=False), 422, media_type=JSON)
        return Response(sim.scenario.model_dump_json(), media_type=JSON)

    async def hits(request: Request) -> Response:
        if request.method == "DELETE":
            sim.hits.clear()
        body = json_reply({"total": sim.hits.total, "hits": [hit.as_json() for hit in sim.hits]}).body
        return Response(body, media_type=JSON)

    async def about(_: Request) -> Response:
        urls = {"pncp_consulta_url": sim.pncp_consulta_url, "pncp_api_url": sim.pncp_api_url, "pcp_url": sim.pcp_url}
        state = {"today": sim.today.isoformat(), "seed": sim.seed, "scale": sim.scale, **urls}
        return Response(json_reply(state).body, media_type=JSON)

    return Starlette(
        routes=[
            Route("/_sim", about),
            Route("/_sim/faults", faults, methods=["GET", "PUT"]),
            Route("/_sim/hits", hits, methods=["GET", "DELETE"]),
        ]
    )
