"""What ships, as its tests see it: rendered manifests, and a bus with the shipped configuration."""

import base64
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import nkeys
import pytest
import yaml

from servicekit.embedded_nats import binary, die_with_parent, free_port

DEPLOY = Path(__file__).resolve().parents[1]
ROOT = DEPLOY.parent
START_WITHIN = 30.0


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"deploy_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def deploy() -> Path:
    return DEPLOY


@pytest.fixture(scope="session")
def permissions() -> ModuleType:
    return _module(DEPLOY / "nats" / "permissions.py")


@pytest.fixture(scope="session")
def probe() -> ModuleType:
    return _module(DEPLOY / "probe.py")


@pytest.fixture(scope="session")
def make_secrets() -> ModuleType:
    return _module(DEPLOY / "make_secrets.py")


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """A program beside this Python, else on the PATH; a missing one fails, it does not skip."""

    def find(name: str) -> str:
        places = (Path(sys.executable).with_name(name), ROOT / ".tools" / "bin" / name)
        found = next((str(each) for each in places if each.exists()), shutil.which(name))
        assert found, f"{name} is missing: `make test` installs it"
        return found

    return find


@pytest.fixture(scope="session")
def manifests(tool: Callable[[str], str]) -> dict[str, list[dict[str, Any]]]:
    """What each overlay comes to."""
    return {
        name: list(
            yaml.safe_load_all(
                subprocess.run(
                    [tool("kubectl"), "kustomize", str(DEPLOY / "k8s" / "overlays" / name)],
                    check=True,
                    capture_output=True,
                    timeout=60,
                ).stdout
            )
        )
        for name in ("dev", "prod")
    }


@dataclass
class ShippedBus:
    """nats-server with the configuration that ships; only its addresses are those of this test."""

    directory: Path
    passwords: dict[str, str]
    size: int
    ports: list[int] = field(default_factory=list)
    monitors: list[int] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        routes = [free_port() for _ in range(self.size)]
        route_password = self.passwords["NATS_PASSWORD_ROUTE"]
        for number in range(self.size):
            self.ports.append(free_port())
            self.monitors.append(free_port())
            home = self.directory / f"nats-{number}"
            shutil.copytree(DEPLOY / "nats", home / "etc")
            self._readdress(home / "etc" / "server.conf", "listen: 0.0.0.0:4222", f"listen: 127.0.0.1:{self.ports[-1]}")
            self._readdress(home / "etc" / "server.conf", "http: 0.0.0.0:8222", f"http: 127.0.0.1:{self.monitors[-1]}")
            self._readdress(
                home / "etc" / "cluster.conf", "listen: 0.0.0.0:6222", f"listen: 127.0.0.1:{routes[number]}"
            )
            name = "cluster.conf" if self.size > 1 else "single.conf"
            self.processes.append(
                subprocess.Popen(
                    [str(binary()), "-c", str(home / "etc" / name), "-l", str(home / "nats.log")],
                    env={
                        **{name: value for name, value in self.passwords.items() if "SEED" not in name},
                        "NATS_SERVER_NAME": f"nats-{number}",
                        "NATS_STORE_DIR": str(home / "data"),
                        "NATS_ROUTES": json.dumps(
                            [f"nats-route://route:{route_password}@127.0.0.1:{port}" for port in routes]
                        ),
                    },
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl, no locks
                )
            )
        end = time.monotonic() + START_WITHIN
        while not all(self._well(port) for port in self.monitors):
            assert time.monotonic() < end, self.logs()[-3000:]
            time.sleep(0.05)

    def url(self, user: str, *, port: int | None = None) -> str:
        """The first server as this user, or whoever answers at that port."""
        return f"nats://{self.passwords[f'NATS_SEED_{user.upper()}']}@127.0.0.1:{port or self.ports[0]}"

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.directory.glob("nats-*/nats.log")))

    def refusals(self) -> list[str]:
        """What a server told a client that it may not do."""
        return [line for line in self.logs().splitlines() if "Violation" in line or "authorization" in line.lower()]

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].wait()

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    @staticmethod
    def _well(port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    @staticmethod
    def _readdress(path: Path, shipped: str, here: str) -> None:
        text = path.read_text()
        assert text.count(shipped) == 1
        path.write_text(text.replace(shipped, here))


@pytest.fixture(scope="module")
def passwords(make_secrets: ModuleType) -> dict[str, str]:
    lines = make_secrets.compose("full").splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("NATS_"))


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory, passwords: dict[str, str]) -> Iterator[ShippedBus]:
    bus = ShippedBus(tmp_path_factory.mktemp("single"), passwords, 1)
    try:
        bus.start()
        yield bus
    finally:
        bus.stop()


@pytest.fixture(scope="module")
def three_servers(tmp_path_factory: pytest.TempPathFactory, passwords: dict[str, str]) -> Iterator[ShippedBus]:
    bus = ShippedBus(tmp_path_factory.mktemp("cluster"), passwords, 3)
    try:
        bus.start()
        yield bus
    finally:
        bus.stop()


@dataclass
class Speaker:
    """One client that says what it wants in the plain protocol and hears what it may not."""

    port: int
    user: str
    seed: str

    def refused(self, *, publish: list[str] = [], subscribe: list[str] = []) -> set[str]:  # noqa: B006 - never changed
        """Of these subjects, those that the server refuses to this user."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            lines = connection.makefile("rb")
            word, told = lines.readline().split(b" ", 1)
            assert word == b"INFO"
            pair = nkeys.from_seed(self.seed.encode())
            signed = base64.urlsafe_b64encode(pair.sign(json.loads(told)["nonce"].encode())).decode().rstrip("=")
            key = pair.public_key.decode()
            who = {"nkey": key, "sig": signed, "verbose": False, "pedantic": False, "headers": True}
            wishes = [f"CONNECT {json.dumps(who)}", "PING"]
            wishes += [f"PUB {subject} 0\r\n" for subject in publish]
            wishes += [f"SUB {subject} {number}" for number, subject in enumerate(subscribe, 1)]
            connection.sendall("".join(f"{wish}\r\n" for wish in wishes).encode())
            connection.sendall(b"PING\r\n")
            refused, pongs = set(), 0
            while pongs < 2:
                line = lines.readline().decode()
                assert line, f"{self.user} was cut off"
                assert "Authorization Violation" not in line, self.user
                pongs += line.startswith("PONG")
                if line.startswith("-ERR"):
                    refused.add(line.split('"')[1])
            return refused


@pytest.fixture
def speak(one_server: ShippedBus) -> Callable[[str], Speaker]:
    def speaker(user: str) -> Speaker:
        return Speaker(one_server.ports[0], user, one_server.passwords[f"NATS_SEED_{user.upper()}"])

    return speaker


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """What a container's process has at least."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
    return {name: os.environ[name] for name in kept if name in os.environ}
