import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000 10001        0 111 1 0 100 0 0 10 0
   1: 0100007F:9C40 0200000A:107E 01 00000000:00000000 00:00000000 00000000 10001        0 222 1 0 20 4 30 10 -1
   2: 0100007F:9C41 0200000A:107E 06 00000000:00000000 00:00000000 00000000 10001        0 333 1 0 20 4 30 10 -1
   3: 0100007F:9C42 0200000A:01BB 01 00000000:00000000 00:00000000 00000000 10001        0 444 1 0 20 4 30 10 -1
"""


class TestDockerfile:
    def test_has_nothing_that_hadolint_minds(self, deploy: Path, tool: Callable[[str], str]):
        found = subprocess.run(
            [tool("hadolint"), "--format", "json", str(deploy / "Dockerfile")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert json.loads(found.stdout) == []

    def test_is_watched_by_hadolint(self, tmp_path: Path, tool: Callable[[str], str]):
        bad = tmp_path / "Dockerfile"
        bad.write_text("FROM debian\nRUN apt-get install nginx\n")
        assert subprocess.run([tool("hadolint"), str(bad)], capture_output=True, timeout=60, check=False).returncode

    def test_ends_as_a_user_without_rights(self, deploy: Path):
        instructions = (deploy / "Dockerfile").read_text().splitlines()
        users = [line for line in instructions if line.startswith("USER")]
        assert users == ["USER 10001:10001"]
        assert instructions.index(users[0]) > max(n for n, line in enumerate(instructions) if line.startswith("RUN"))

    def test_context_is_a_list_of_what_is_let_in(self, deploy: Path):
        rules = [
            line
            for line in (deploy.parent / ".dockerignore").read_text().splitlines()
            if line and not line.startswith("#")
        ]
        assert rules[0] == "*"
        assert {rule for rule in rules if rule.startswith("!")} == {
            "!pyproject.toml", "!uv.lock", "!libs", "!services", "!deploy", "!deploy/probe.py",
        }  # fmt: skip
        assert "**/.env*" in rules


class TestProbe:
    def test_counts_established_connections_to_the_bus_only(self, probe: ModuleType):
        assert probe.connected_sockets([TABLE], {4222}) == {"222"}

    @pytest.mark.parametrize(
        ("urls", "ports"),
        [
            ("nats://a:b@nats:4333", {4333}),
            ("nats://nats", {4222}),
            ("nats://u:p@x:4222, nats://u:p@y:4223", {4222, 4223}),
        ],
    )
    def test_takes_the_port_from_the_url(self, probe: ModuleType, urls: str, ports: set[int]):
        assert probe.bus_ports(urls) == ports

    def test_is_well_while_a_connection_stands_and_not_after(self, deploy: Path):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert self._probe(deploy, port) == 1
            with socket.create_connection(("127.0.0.1", port)):
                accepted, _ = server.accept()
                assert self._probe(deploy, port) == 0
                accepted.close()
            assert self._probe(deploy, port) == 1

    @staticmethod
    def _probe(deploy: Path, port: int) -> int:
        return subprocess.run(
            [sys.executable, "-I", "-S", str(deploy / "probe.py")],
            env={"NATS_URL": f"nats://u:p@127.0.0.1:{port}", "PATH": os.defpath},
            capture_output=True,
            timeout=20,
            check=False,
        ).returncode
