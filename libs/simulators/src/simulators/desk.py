"""Receives each request of a source: logs it, applies limits and faults, answers; stops when the client leaves."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from simulators.faults import Asked, Endpoint, Fault, Gate, Kind, Scenario, Source, Strikes
from simulators.hits import Hit, HitLog
from simulators.pncp import Answer
from simulators.recordings import draw
from simulators.reply import Call, Reply, failure, json_reply, rate_limited

HANG_S: Final = 45.0
DRIP_S: Final = 20.0
DRIP_PIECES: Final = 40
RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


class Conduct:
    """How the sources behave at the moment: the scenario at work, its counters, and whether the server is stopping."""

    def __init__(self, scenario: Scenario, *, seed: int, hits: HitLog) -> None:
        self.seed, self.hits = seed, hits
        self.stopping = asyncio.Event()
        self.set(scenario)

    def set(self, scenario: Scenario) -> None:
        """Put another scenario to work, its counters at zero."""
        self.scenario = scenario
        self.strikes = Strikes(scenario.faults, self.seed)
        self.gates = tuple(Gate(limit) for limit in scenario.rates)

    def limited(self, source: Source, now: float) -> Reply | None:
        """The 429 of the first limit that this request breaks."""
        for gate in self.gates:
            if gate.limit.source is source and not gate.admits(now):
                return rate_limited(gate.limit.retry_after)
        return None


class Desk:
    """The ASGI application of one route."""

    def __init__(self, source: Source, endpoint: Endpoint, answer: Answer, conduct: Conduct) -> None:
        self._source, self._endpoint, self._answer, self._conduct = source, endpoint, answer, conduct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request from log line to last byte."""
        loop = asyncio.get_running_loop()
        params = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        asked = self._asked(scope, params)
        hit = Hit(at=loop.time(), asked=asked, params=params)
        self._conduct.hits.add(hit)
        try:
            await _Exchange(hit, scope, receive, send, self._conduct.stopping).run(self, params)
        except _Gone:
            hit.client_gone = not self._conduct.stopping.is_set()
        finally:
            hit.took = loop.time() - hit.at

    def _asked(self, scope: Scope, params: dict[str, str]) -> Asked:
        query = scope["query_string"].decode("latin-1")
        return Asked(
            source=self._source,
            endpoint=self._endpoint,
            uf=params.get("uf") or None,
            modalidade=_number(params.get("codigoModalidadeContratacao")),
            page=_number(params.get("pagina")),
            url=f"{scope['path']}?{query}" if query else scope["path"],
        )

    def struck(self, asked: Asked, now: float) -> tuple[Reply | None, Sequence[Fault]]:
        """The limit's refusal, else the faults that strike."""
        refused = self._conduct.limited(self._source, now)
        return refused, () if refused else self._conduct.strikes.on(asked)

    def lot(self, asked: Asked, number: int) -> float:
        """The seeded share of a fault's spread that this request waits."""
        return draw(self._conduct.seed, "spread", asked.url, number)

    def reply(self, call: Call) -> Reply:
        """The right answer, or the first failure that struck in its place."""
        for fault in call.faults:
            if (failed := failure(fault, self._source)) is not None:
                return failed
        return self._answer(replace(call, needs_modalidade=self._conduct.scenario.proposta_needs_modalidade))


class _Gone(Exception):
    """Nobody waits for the answer any more."""


class _Exchange:
    """One request on its connection."""

    def __init__(self, hit: Hit, scope: Scope, receive: Receive, send: Send, stopping: asyncio.Event) -> None:
        self._hit, self._scope, self._receive, self._send, self._stopping = hit, scope, receive, send, stopping

    async def run(self, desk: Desk, params: dict[str, str]) -> None:
        refused, faults = desk.struck(self._hit.asked, self._hit.at)
        self._hit.faults = tuple(fault.kind for fault in faults)
        if refused is not None:
            await self._answer(refused)
            return
        for number, fault in enumerate(faults):
            if fault.kind is Kind.LATENCY:
                await self._wait((fault.seconds or 0.0) + fault.spread * desk.lot(self._hit.asked, number))
            elif fault.kind is Kind.HANG:
                await self._wait(HANG_S if fault.seconds is None else fault.seconds)
                await self._hang_up(reset=False)
                return
            elif fault.kind is Kind.RESET:
                await self._hang_up(reset=True)
                return
        call = Call(params=params, path={k: str(v) for k, v in self._scope["path_params"].items()}, faults=faults)
        reply = desk.reply(call)
        if call.fault(Kind.TRUNCATED):
            reply = replace(reply, body=reply.body[: len(reply.body) // 2])
        if call.fault(Kind.CUT_OFF):
            await self._start(reply)
            await self._send(
                {"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True}
            )
            await self._hang_up(reset=False, flush=True)
            return
        drip = call.fault(Kind.DRIP)
        await self._answer(reply, over=None if drip is None else DRIP_S if drip.seconds is None else drip.seconds)

    async def _start(self, reply: Reply) -> None:
        headers = [(name.encode(), value.encode()) for name, value in reply.headers]
        if reply.content_type:
            headers.append((b"content-type", reply.content_type.encode()))
        if reply.status != 204:  # noqa: PLR2004 - No Content carries no length
            headers.append((b"content-length", str(len(reply.body)).encode()))
        self._hit.status = reply.status
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})

    async def _answer(self, reply: Reply, *, over: float | None = None) -> None:
        await self._start(reply)
        if over is not None:
            piece = max(1, -(-len(reply.body) // DRIP_PIECES))
            for start in range(0, len(reply.body), piece):
                await self._wait(over / DRIP_PIECES)
                part = {"type": "http.response.body", "body": reply.body[start : start + piece], "more_body": True}
                await self._send(part)
        await self._send({"type": "http.response.body", "body": b"" if over is not None else reply.body})

    async def _wait(self, seconds: float) -> None:
        """Sleep, unless the client leaves or the server stops; then there is no one to answer."""
        if seconds <= 0:
            return
        leaving = [asyncio.ensure_future(self._departure()), asyncio.ensure_future(self._stopping.wait())]
        try:
            left, _ = await asyncio.wait(leaving, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in leaving:
                future.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
        if left:
            await self._hang_up(reset=False)
            raise _Gone

    async def _departure(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _hang_up(self, *, reset: bool, flush: bool = False) -> None:
        transport = cast("asyncio.Transport", self._scope["state"]["transport"])
        if reset and not transport.is_closing():
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        if flush:
            transport.close()
        else:
            transport.abort()
        await self._departure()


def application(source: Source, routes: Sequence[tuple[str, Endpoint, Answer]], conduct: Conduct) -> Starlette:
    """The ASGI application of one source; what it does not know is logged and answered 404."""
    table = [Route(path, Desk(source, endpoint, answer, conduct)) for path, endpoint, answer in routes]
    unknown = Route("/{path:path}", Desk(source, Endpoint.OTHER, _no_route, conduct))
    return Starlette(routes=[*table, unknown])


def _no_route(call: Call) -> Reply:
    body = {"status": 404, "error": "Not Found", "message": "No message available", "path": f"/{call.path['path']}"}
    return json_reply(body, 404)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
