"""What `farol up` starts before the services: the recorded sources, NATS, and what the services are told of both."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx

from servicekit.embedded_nats import NatsServer
from servicekit.logs import log
from simulators.server import Simulator

READY_WITHIN: Final = timedelta(seconds=60)
LOOK_EVERY: Final = timedelta(milliseconds=100)
_PORTS: Final = (12_000, 32_000)
"""Below the ephemeral range, so that no client's own port is in the way."""


class StartFailedError(Exception):
    """Farol could not start, in words for people."""


@dataclass(frozen=True, slots=True)
class RecordedSources:
    """Where the recorded sources answer."""

    pncp_consulta_url: str
    pncp_api_url: str
    pcp_api_url: str
    control_url: str

    @classmethod
    def at(cls, port: int) -> "RecordedSources":
        """Those of a simulator on three ports in a row."""
        first, second, third = (f"http://127.0.0.1:{port + n}" for n in range(3))
        return cls(f"{first}/api/consulta", f"{first}/api/pncp", second, third)

    @property
    def environment(self) -> dict[str, str]:
        """What the fetcher is told."""
        return {
            "PNCP_CONSULTA_URL": self.pncp_consulta_url,
            "PNCP_API_URL": self.pncp_api_url,
            "PCP_API_URL": self.pcp_api_url,
        }


@asynccontextmanager
async def recorded_sources() -> AsyncIterator[RecordedSources]:
    """The recorded sources in this event loop."""
    async with Simulator() as simulator:
        yield RecordedSources(
            simulator.pncp_consulta_url, simulator.pncp_api_url, simulator.pcp_url, simulator.control_url
        )


@asynccontextmanager
async def kept_nats(directory: Path, *, restarted: Callable[[int], None]) -> AsyncIterator[NatsServer]:
    """A NATS server of our own that is started again, on its port and store, when it dies."""
    try:
        server = NatsServer(directory)
        await server.start()
    except (FileNotFoundError, RuntimeError) as exc:
        raise StartFailedError(f"O servidor NATS não iniciou: {exc}") from exc
    restarted(server.pid or 0)
    keeper = asyncio.create_task(_keep(server, restarted), name="keep-nats")
    try:
        yield server
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await server.stop()


async def _keep(server: NatsServer, restarted: Callable[[int], None]) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY.total_seconds())
        if server.pid is not None:
            continue
        log.warning("nats_died")
        try:
            await server.restart()
        except RuntimeError:
            log.exception("nats_restart_failed")
            continue
        log.info("nats_restarted", pid=server.pid)
        restarted(server.pid or 0)


async def until_ready(url: str) -> None:
    """Until the gateway takes searches."""
    async with httpx.AsyncClient(base_url=url, timeout=2, trust_env=False) as http:
        try:
            async with asyncio.timeout(READY_WITHIN.total_seconds()):
                while not await _is_ready(http):  # noqa: ASYNC110 - another process cannot set our event
                    await asyncio.sleep(LOOK_EVERY.total_seconds())
        except TimeoutError as exc:
            raise StartFailedError(f"{url} não ficou pronto em {READY_WITHIN.seconds} s; veja farol.log.") from exc


async def _is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/v1/health/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def until_listening(port: int) -> None:
    """Until something accepts connections there."""
    async with asyncio.timeout(READY_WITHIN.total_seconds()):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(LOOK_EVERY.total_seconds())
            else:
                writer.close()
                return


def http_port(asked: int) -> int:
    """The port itself if it can be had, a free one for 0; raises StartFailedError that says what to do."""
    if asked == 0:
        return free_ports(1)[0]
    if not can_listen(asked):
        raise StartFailedError(f"A porta {asked} está ocupada. Escolha outra: farol up --port 8001 (0 = uma livre).")
    return asked


def free_ports(count: int) -> Sequence[int]:
    """So many free ports in a row."""
    for _ in range(200):
        first = random.randint(*_PORTS)  # noqa: S311 - no secret
        if all(can_listen(first + n) for n in range(count)):
            return range(first, first + count)
    raise StartFailedError("Não há portas livres em 127.0.0.1.")


def can_listen(port: int) -> bool:
    """Whether a server could take this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
