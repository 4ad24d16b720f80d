"""Real processes: an embedded server and a service, started, stopped and killed."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from servicekit.bus import Bus
from servicekit.embedded_nats import NatsServer
from servicekit.provision import provision

from .conftest import Recorder, Server, StartBus, closed, command, eventually, new_search

PARENT = """
import asyncio, pathlib, sys
from servicekit.embedded_nats import NatsServer
async def main():
    server = NatsServer(pathlib.Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""

SERVICE = """
import asyncio, contextlib
from dataclasses import replace
from datetime import timedelta
from contracts.subjects import CACHE_ARCHIVE
from servicekit.bus import Bus
from servicekit.service import Service, main
from servicekit.settings import ServiceSettings

async def endless(message, delivery):
    print("WORKING", flush=True)
    await asyncio.sleep(3600)
    yield

@contextlib.asynccontextmanager
async def part(name):
    print("ENTER", name, flush=True)
    yield
    print("LEAVE", name, flush=True)

def build():
    bus = Bus(url=ServiceSettings().nats_url, service="cache", grace=timedelta(milliseconds=50))
    bus.handle(replace(CACHE_ARCHIVE, ack_wait=timedelta(seconds=1)), endless)
    return Service(name="cache", bus=bus, parts=[part("a"), part("b")])

main(build)
"""


def run_service(url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", SERVICE], env={"NATS_URL": url}, stdout=subprocess.PIPE, text=True)


def run_parent(data_dir: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", PARENT, str(data_dir)], stdout=subprocess.PIPE, text=True)


async def lines_until(process: "subprocess.Popen[str]", word: str) -> list[str]:
    assert process.stdout is not None
    seen: list[str] = []
    async with asyncio.timeout(30):
        while line := (await asyncio.to_thread(process.stdout.readline)).strip():
            seen.append(line)
            if word in line:
                break
    return seen


def end(process: "subprocess.Popen[str]") -> str:
    out, _ = process.communicate(timeout=20)
    return out


class TestService:
    async def test_hands_its_work_over_on_sigterm_and_leaves_its_parts_in_reverse(
        self, start_bus: StartBus, server: Server
    ) -> None:
        source = await start_bus()
        process = run_service(server.url)
        try:
            assert (await lines_until(process, "service.started"))[:2] == ["ENTER a", "ENTER b"]
            await source.publish(command(new_search()))
            await lines_until(process, "WORKING")
            process.send_signal(signal.SIGTERM)
            rest = await asyncio.to_thread(end, process)
        finally:
            process.kill()
        assert process.returncode == 0
        assert [line for line in rest.splitlines() if "LEAVE" in line] == ["LEAVE b", "LEAVE a"]
        assert json.loads(rest.splitlines()[-1])["event"] == "service.stopped"
        handler = Recorder("done")
        await start_bus(handler)
        await server.settled()
        assert [call.redelivered for call in handler.calls] == [True]

    async def test_that_was_killed_loses_its_work_to_another_after_ack_wait(
        self, start_bus: StartBus, server: Server
    ) -> None:
        source = await start_bus()
        process = run_service(server.url)
        try:
            await lines_until(process, "service.started")
            await source.publish(command(new_search()))
            await lines_until(process, "WORKING")
        finally:
            process.kill()
            await asyncio.to_thread(end, process)
        handler = Recorder("done")
        await start_bus(handler)
        await server.settled()
        assert [call.redelivered for call in handler.calls] == [True]

    async def test_ends_on_sigterm_while_it_still_waits_for_nats(self) -> None:
        process = run_service("nats://127.0.0.1:1")
        try:
            await lines_until(process, "bus.waiting_for_nats")
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(end, process)
        finally:
            process.kill()
        assert process.returncode == 0


class TestNatsServer:
    async def test_keeps_port_and_store_over_a_kill(self, tmp_path: Path) -> None:
        search = new_search()
        async with NatsServer(tmp_path) as server:
            await provision(server.url)
            bus = Bus(url=server.url, service="test")
            await bus.start()
            await bus.publish(closed(search))
            url = server.url
            await server.kill()
            await server.restart()
            assert server.url == url
            assert len(await bus.history(search)) == 1
            await bus.stop()

    async def test_listens_on_loopback_only(self, tmp_path: Path) -> None:
        async with NatsServer(tmp_path) as server:
            listening = psutil.Process(server.pid).net_connections(kind="tcp")
            assert {each.laddr.ip for each in listening if each.status == "LISTEN"} == {"127.0.0.1"}

    async def test_dies_with_the_process_that_started_it(self, tmp_path: Path) -> None:
        parent = run_parent(tmp_path)
        try:
            pid = int((await lines_until(parent, ""))[0])
            assert psutil.pid_exists(pid)
        finally:
            parent.kill()
            await asyncio.to_thread(end, parent)
        await eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")
