import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import nkeys
import pytest
import yaml

SERVICES = {"gateway", "coordinator", "cache", "fetcher", "classifier", "reporter"}
Compose = dict[str, Any]


def _command(tool: Callable[[str], str]) -> list[str]:
    """Compose v2 where docker has the plugin, else the program that Debian packages."""
    docker = shutil.which("docker")
    if (
        docker
        and subprocess.run([docker, "compose", "version"], capture_output=True, timeout=20, check=False).returncode == 0
    ):
        return [docker, "compose"]
    return [tool("docker-compose")]


@pytest.fixture(scope="module", params=["minimal", "full"])
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def compose(
    profile: str,
    deploy: Path,
    make_secrets: ModuleType,
    tool: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Compose:
    """The file as compose itself resolves it with what make_secrets.py writes."""
    environment = tmp_path_factory.mktemp("compose") / ".env"
    environment.write_text(make_secrets.compose(profile))
    run = subprocess.run(
        [*_command(tool), "--env-file", str(environment), "-f", str(deploy.parent / "docker-compose.yml"), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    resolved: Compose = yaml.safe_load(run.stdout)
    resolved["services"] = {
        name: service for name, service in resolved["services"].items() if profile in service["profiles"]
    }
    return resolved


class TestCompose:
    def test_starts_every_service_in_each_profile(self, compose: Compose):
        assert compose["services"].keys() >= SERVICES | {"provision"}

    def test_has_in_each_profile_what_it_promises(self, compose: Compose, profile: str):
        beside = set(compose["services"]) - SERVICES - {"provision"}
        assert beside == {
            "minimal": {"nats"},
            "full": {
                "nats-1", "nats-2", "nats-3", "postgres", "redis", "prometheus", "nats-exporter", "grafana", "jaeger"
            },
        }[profile]  # fmt: skip

    def test_depends_on_nothing_that_the_profile_leaves_out(self, compose: Compose):
        for name, service in compose["services"].items():
            assert set(service.get("depends_on", {})) <= set(compose["services"]), name

    def test_lets_services_start_when_the_bus_is_provisioned(self, compose: Compose):
        for name in SERVICES:
            condition = compose["services"][name]["depends_on"]["provision"]["condition"]
            assert condition == "service_completed_successfully", name

    def test_gives_each_service_only_its_own_user(self, compose: Compose):
        server = next(each for name, each in compose["services"].items() if name in {"nats", "nats-1"})
        for name in SERVICES:
            environment = compose["services"][name]["environment"]
            seed = urlsplit(environment["NATS_URL"]).username
            public = nkeys.from_seed(seed.encode()).public_key.decode()
            assert public == server["environment"][f"NATS_NKEY_{name.upper()}"], name
            assert not [each for each in environment if each.startswith(("NATS_PASSWORD", "NATS_SEED"))], name

    def test_hardens_every_container(self, compose: Compose):
        for name, service in compose["services"].items():
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert "privileged" not in service, name

    def test_publishes_ports_on_this_machine_only(self, compose: Compose):
        for service in compose["services"].values():
            for port in service.get("ports", []):
                host = port["host_ip"] if isinstance(port, dict) else port.split(":")[0]
                assert host == "127.0.0.1"

    def test_pins_every_image_that_it_does_not_build(self, compose: Compose):
        for name, service in compose["services"].items():
            if "build" not in service:
                tag = service["image"].rpartition(":")[2]
                assert any(character.isdigit() for character in tag), name
                assert tag != "latest", name

    def test_knows_how_each_long_lived_server_does(self, compose: Compose):
        # The services' own check is in the image; the exporter's image has no program to ask with.
        built_in = (SERVICES - {"gateway"}) | {"provision", "nats-exporter"}
        for name, service in compose["services"].items():
            assert name in built_in or service["healthcheck"]["test"], name

    def test_refuses_to_start_without_passwords(self, deploy: Path, tool: Callable[[str], str], tmp_path: Path):
        empty = tmp_path / ".env"
        empty.write_text("COMPOSE_PROFILES=minimal\n")
        file = deploy.parent / "docker-compose.yml"
        run = subprocess.run(
            [*_command(tool), "--env-file", str(empty), "-f", str(file), "config"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode != 0
        assert "make_secrets.py" in run.stderr
