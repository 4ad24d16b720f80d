"""Every service in a process of its own, on three servers with the shipped configuration, each as its own user."""

import asyncio
import contextlib
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import nats
import pytest
import pytest_asyncio

from servicekit.embedded_nats import die_with_parent, free_port
from servicekit.entry import entry
from servicekit.provision import provision
from simulators.server import Simulator

SERVICES = ("cache", "classifier", "coordinator", "fetcher", "gateway", "reporter")
WITHIN = 60.0
ENDED = {"completed", "degraded", "empty_failure", "cancelled"}


@contextlib.asynccontextmanager
async def one_name(ports: Sequence[int]) -> AsyncIterator[int]:
    """What the platform gives clients: one address, behind it whoever of the servers takes the connection."""
    turn = itertools.count()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, writers = next(turn), [writer]
        try:
            for number in range(len(ports)):
                with contextlib.suppress(OSError):
                    there, back = await asyncio.open_connection("127.0.0.1", ports[(first + number) % len(ports)])
                    writers.append(back)
                    pumps = [asyncio.ensure_future(pump(reader, back)), asyncio.ensure_future(pump(there, writer))]
                    try:
                        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for each in pumps:
                            each.cancel()
                        await asyncio.gather(*pumps, return_exceptions=True)
                    return
        finally:
            for each_writer in writers:
                each_writer.close()
            for each_writer in writers:
                with contextlib.suppress(OSError):
                    await each_writer.wait_closed()

    connections: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(
        lambda reader, writer: connections.add(asyncio.create_task(serve(reader, writer))), "127.0.0.1", free_port()
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


class RunningServices:
    """Six processes, and the HTTP client of one caller."""

    def __init__(self, http: httpx.AsyncClient, logs: Path, nats_port: int) -> None:
        self.http = http
        self._logs = logs
        self.nats_port = nats_port

    async def search(self, **body: Any) -> dict[str, Any]:
        """Ask, wait for the answer and for its spreadsheet."""
        async with asyncio.timeout(WITHIN):
            asked = await self.http.post("/v1/searches", json=body)
            while asked.status_code == 503:  # the servers choose a leader: come back when told, as a client does
                await asyncio.sleep(float(asked.headers["Retry-After"]))
                asked = await self.http.post("/v1/searches", json=body)
            assert asked.status_code in {200, 202}, asked.text
            state: dict[str, Any] = asked.json()
            while state["status"] not in ENDED or state["excel_status"] == "processing":
                await asyncio.sleep(0.1)
                state = (await self.http.get(f"/v1/searches/{state['search_id']}")).json()
        return state

    def said(self) -> str:
        return "".join(path.read_text()[-1500:] for path in sorted(self._logs.glob("*.log")))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(
    three_servers: Any, make_secrets: ModuleType, clean_environment: dict[str, str], tmp_path_factory: Any
) -> AsyncIterator[RunningServices]:
    home, port, key = tmp_path_factory.mktemp("services"), free_port(), make_secrets.api_key()
    async with contextlib.AsyncExitStack() as stack:
        nats_port = await stack.enter_async_context(one_name(three_servers.ports))
        await provision(three_servers.url("provision", port=nats_port), replicas=3)
        processes: list[subprocess.Popen[bytes]] = []
        sources = await stack.enter_async_context(Simulator())
        for service in SERVICES:
            process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                [sys.executable, "-m", service],
                cwd=home,
                env={
                    **clean_environment,
                    "NATS_URL": three_servers.url(service, port=nats_port),
                    "FAROL_DATA_DIR": str(home / service),
                    "FAROL_API_KEY": key,
                    "GATEWAY_KEYS_SECRET": make_secrets.password(),
                    "FAROL_HTTP_PORT": str(port),
                    "PNCP_CONSULTA_URL": sources.pncp_consulta_url,
                    "PNCP_API_URL": sources.pncp_api_url,
                    "PCP_API_URL": sources.pcp_url,
                },
                stdout=stack.enter_context((home / f"{service}.log").open("wb")),
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl, no locks
            )
            processes.append(process)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        headers = {"Authorization": f"Bearer {key}"}
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30, trust_env=False)
        )
        services = RunningServices(http, home, nats_port)
        try:
            async with asyncio.timeout(WITHIN):
                while not await _ready(http):
                    assert all(process.poll() is None for process in processes), services.said()
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(services.said())
        yield services


async def _ready(http: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await http.get("/v1/health/ready")).status_code == 200
    return False


@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_scope="module")
class TestCluster:
    async def test_keeps_three_copies_of_every_stream(self, running: RunningServices, three_servers: Any):
        way = entry(three_servers.url("operator", port=running.nats_port), user="operator")
        client = await nats.connect(list(way.servers), **way.options)
        try:
            streams = await client.jetstream().streams_info()
        finally:
            await client.close()
        assert len(streams) == 9
        assert {each.config.num_replicas for each in streams} == {3}

    async def test_answers_a_search_with_what_each_service_may_do(self, running: RunningServices, three_servers: Any):
        state = await running.search(ufs=["SP"], sector="vestuario", sources=["pncp", "pcp"])
        assert state["status"] == "completed", (state, running.said())
        assert state["counts"]["fetched"] > 0
        assert state["excel_status"] == "ready", (state, running.said())
        file = await running.http.get(f"/v1/searches/{state['search_id']}/spreadsheet")
        assert file.content.startswith(b"PK")
        assert three_servers.refusals() == []

    async def test_answers_while_one_of_three_servers_is_gone(self, running: RunningServices, three_servers: Any):
        three_servers.kill(0)
        state = await running.search(ufs=["RJ"], sector="vestuario", sources=["pncp"])
        assert state["status"] == "completed", (state, running.said())
        assert state["excel_status"] == "ready", (state, running.said())
        assert three_servers.refusals() == []
