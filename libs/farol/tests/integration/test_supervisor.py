import asyncio
import itertools
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from farol.processes import Supervisor
from farol.starting import can_listen, free_ports, kept_nats

PATIENCE = 400
SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


class Started:
    """Every start that a supervisor told of."""

    def __init__(self) -> None:
        self.pids: list[int] = []

    def __call__(self, _name: str, pid: int) -> None:
        self.pids.append(pid)

    async def count(self, wanted: int) -> None:
        for pause in itertools.repeat(0.05, PATIENCE):
            if len(self.pids) >= wanted:
                return
            await asyncio.sleep(pause)
        pytest.fail(f"{len(self.pids)} starts instead of {wanted}")


class TestSupervisor:
    async def test_starts_a_killed_child_again(self) -> None:
        started = Started()
        async with Supervisor(output=None, changed=started) as supervisor:
            supervisor.keep("sleeper", SLEEPER, {})
            await started.count(1)
            os.kill(started.pids[0], signal.SIGKILL)
            await started.count(2)
            assert psutil.pid_exists(started.pids[1])
        assert len(set(started.pids)) == 2
        assert not any(psutil.pid_exists(pid) for pid in started.pids)

    async def test_lets_children_end_by_themselves_when_it_stops(self, tmp_path: Path) -> None:
        started, note = Started(), tmp_path / "note"
        polite = (
            "import pathlib, signal, sys\n"
            "def end(*_):\n    pathlib.Path(sys.argv[1]).write_text('drained'); sys.exit(0)\n"
            "signal.signal(signal.SIGTERM, end); pathlib.Path(sys.argv[1]).write_text('up'); signal.pause()\n"
        )
        async with Supervisor(output=None, changed=started) as supervisor:
            supervisor.keep("polite", (sys.executable, "-c", polite, str(note)), {})
            for pause in itertools.repeat(0.05, PATIENCE):
                if note.exists() and note.read_text() == "up":
                    break
                await asyncio.sleep(pause)
        assert note.read_text() == "drained"
        assert len(started.pids) == 1

    async def test_tells_children_their_environment_and_writes_down_what_they_print(self, tmp_path: Path) -> None:
        started = Started()
        with (tmp_path / "log").open("ab") as output:
            async with Supervisor(output=output, changed=started) as supervisor:
                show = "import os; print(os.environ['NATS_URL'], flush=True); import time; time.sleep(600)"
                supervisor.keep("child", (sys.executable, "-c", show), {"NATS_URL": "nats://here"})
                for pause in itertools.repeat(0.05, PATIENCE):
                    if (tmp_path / "log").read_bytes():
                        break
                    await asyncio.sleep(pause)
        assert (tmp_path / "log").read_text() == "nats://here\n"


class TestKeptNats:
    async def test_starts_a_killed_server_again_on_its_port(self, tmp_path: Path) -> None:
        pids: list[int] = []
        async with kept_nats(tmp_path, restarted=pids.append) as server:
            url = server.url
            os.kill(pids[0], signal.SIGKILL)
            for pause in itertools.repeat(0.05, PATIENCE):
                if len(pids) == 2:
                    break
                await asyncio.sleep(pause)
            assert server.pid == pids[1] != pids[0]
            assert server.url == url
        assert not psutil.pid_exists(pids[1])


class TestFreePorts:
    def test_are_in_a_row_and_can_be_had(self) -> None:
        ports = free_ports(3)
        assert list(ports) == [ports[0], ports[0] + 1, ports[0] + 2]
        assert all(can_listen(port) for port in ports)
