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

from contracts.subjects import STREAMS
from servicekit.embedded_nats import die_with_parent, free_port
from servicekit.entry import entry
from servicekit.provision import BUCKETS, provision
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


Environments = dict[str, dict[str, str]]


class RunningServices:
    """A process of each service, two of the gateway, and the HTTP client of one caller."""

    def __init__(self, http: httpx.AsyncClient, logs: Path, nats_port: int, environments: Environments) -> None:
        self.http = http
        self._logs = logs
        self.nats_port = nats_port
        self._environments = environments
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """`gateway-2` is the gateway in a second process."""
        with (self._logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", name.removesuffix("-2")],
                cwd=self._logs,
                env=self._environments[name],
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl, no locks
            )

    async def restart(self, name: str) -> None:
        """As a rolling update does it: asked to go, waited for, begun anew, and on once it is at work."""
        process = self.processes[name]
        process.terminate()
        async with asyncio.timeout(WITHIN):
            while process.poll() is None:  # noqa: ASYNC110 - a process has no event
                await asyncio.sleep(0.05)
        before = self.said_by(name).count("service.started")
        self.start(name)
        async with asyncio.timeout(WITHIN):
            while self.said_by(name).count("service.started") == before:
                assert self.processes[name].poll() is None, self.said()
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        """End every process."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait()

    def said_by(self, name: str) -> str:
        return (self._logs / f"{name}.log").read_text()

    async def follow(self, search_id: str) -> list[str]:
        """The ids of every event of a search's stream until `closed`, over as many connections as it takes."""
        seen: list[str] = []
        async with asyncio.timeout(WITHIN * 3):
            while True:
                headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": seen[-1]} if seen else {})
                with contextlib.suppress(httpx.TransportError):  # cut: that is what `Last-Event-ID` is for
                    async with self.http.stream("GET", f"/v1/searches/{search_id}/events", headers=headers) as stream:
                        assert stream.status_code in {200, 204}
                        if stream.status_code == 204:
                            return seen
                        async for line in stream.aiter_lines():
                            if line.startswith("id:"):
                                seen.append(line[3:].strip())
                            if line == "event: closed":
                                return seen

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
    home, key = tmp_path_factory.mktemp("services"), make_secrets.api_key()
    async with contextlib.AsyncExitStack() as stack:
        nats_port = await stack.enter_async_context(one_name(three_servers.ports))
        await provision(three_servers.url("provision", port=nats_port), replicas=3)
        sources = await stack.enter_async_context(Simulator())
        shared = {
            **clean_environment,
            "FAROL_API_KEY": key,
            "GATEWAY_KEYS_SECRET": make_secrets.password(),
            "PNCP_CONSULTA_URL": sources.pncp_consulta_url,
            "PNCP_API_URL": sources.pncp_api_url,
            "PCP_API_URL": sources.pcp_url,
        }
        ports = {"gateway": free_port(), "gateway-2": free_port()}
        environments = {
            name: {
                **shared,
                "NATS_URL": three_servers.url(name.removesuffix("-2"), port=nats_port),
                "FAROL_DATA_DIR": str(home / name),
                "FAROL_HTTP_PORT": str(ports.get(name, 0)),
            }
            for name in (*SERVICES, "gateway-2")
        }
        port = await stack.enter_async_context(one_name(list(ports.values())))
        headers = {"Authorization": f"Bearer {key}"}
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30, trust_env=False,
                limits=httpx.Limits(max_keepalive_connections=0),  # as a balancer: each request to whoever is there
            )
        )  # fmt: skip
        services = RunningServices(http, home, nats_port, environments)
        stack.callback(services.stop)
        for name in environments:
            services.start(name)
        try:
            async with asyncio.timeout(WITHIN):
                while not all("service.started" in services.said_by(name) for name in environments):
                    assert all(process.poll() is None for process in services.processes.values()), services.said()
                    await asyncio.sleep(0.1)
                while not await _ready(http):  # noqa: ASYNC110 - another process has no event
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
        assert len(streams) == len(STREAMS) + len(BUCKETS)
        assert {each.config.num_replicas for each in streams} == {3}

    async def test_answers_a_search_with_what_each_service_may_do(self, running: RunningServices, three_servers: Any):
        state = await running.search(ufs=["SP"], sector="vestuario", sources=["pncp", "pcp"])
        assert state["status"] == "completed", (state, running.said())
        assert state["counts"]["fetched"] > 0
        assert state["excel_status"] == "ready", (state, running.said())
        file = await running.http.get(f"/v1/searches/{state['search_id']}/spreadsheet")
        assert file.content.startswith(b"PK")
        assert three_servers.refusals() == []

    async def test_loses_nothing_while_some_are_restarted(self, running: RunningServices, three_servers: Any):
        await self._is_updated_without_loss(running, three_servers, ("coordinator", "gateway"), users=("SP",))

    @pytest.mark.soak
    @pytest.mark.timeout(900)
    async def test_loses_nothing_while_each_is_restarted_in_turn(self, running: RunningServices, three_servers: Any):
        await self._is_updated_without_loss(running, three_servers, (*SERVICES, "gateway-2"), users=("SP", "RJ", "RS"))

    @staticmethod
    async def _is_updated_without_loss(
        running: RunningServices, three_servers: Any, names: Sequence[str], *, users: Sequence[str]
    ) -> None:
        """No request fails, no search is lost, and every stream is told every event once."""
        over = asyncio.Event()
        ends: list[dict[str, Any]] = []

        async def keep_searching(first: str) -> None:
            for uf in itertools.cycle((first, "MG", "BA", "PR")):
                asked = await running.http.post(
                    "/v1/searches", json={"ufs": [uf], "sector": "vestuario", "force_refresh": True}
                )
                assert asked.status_code in {200, 202}, asked.text
                search_id = asked.json()["search_id"]
                seen = await running.follow(search_id)
                assert len(seen) == len(set(seen)) > 0
                ends.append((await running.http.get(f"/v1/searches/{search_id}")).json())
                if over.is_set():
                    return

        searching = [asyncio.create_task(keep_searching(uf)) for uf in users]
        for name in names:
            await running.restart(name)
        over.set()
        await asyncio.gather(*searching)
        assert len(ends) >= len(users)
        assert {each["status"] for each in ends} == {"completed"}, running.said()
        assert {each["excel_status"] for each in ends} == {"ready"}, running.said()
        assert three_servers.refusals() == []

    async def test_answers_while_one_of_three_servers_is_gone(self, running: RunningServices, three_servers: Any):
        three_servers.kill(0)
        state = await running.search(ufs=["RJ"], sector="vestuario", sources=["pncp"])
        assert state["status"] == "completed", (state, running.said())
        assert state["excel_status"] == "ready", (state, running.said())
        assert three_servers.refusals() == []
