"""`farol doctor` against prepared faults: each is found and named, and what is well is called well."""

import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import nats
import pytest
import pytest_asyncio
import sqlalchemy as sa
from pydantic import SecretStr

import classifier
from cache.adapters.sql.schema import SCHEMA
from contracts.subjects import CONSUMERS
from farol import doctor, surroundings
from gateway.app import build
from gateway.settings import GatewaySettings
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.embedded_nats import die_with_parent, free_port
from servicekit.embedded_redis import binary
from servicekit.sql.database import Database

KEY = "farol_test_0123456789abcdef"
EVERYONE = {each.service for each in CONSUMERS}


@pytest.fixture
def guarded_redis() -> Iterator[int]:
    """One that wants the password `certa`."""
    port = free_port()
    process = subprocess.Popen(
        [str(binary()), "--port", str(port), "--bind", "127.0.0.1", "--requirepass", "certa", "--save", ""],
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl, no locks
    )
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
    yield port
    process.kill()
    process.wait()


@pytest_asyncio.fixture
async def at_work(bus_url: str) -> AsyncIterator[dict[str, Bus]]:
    """A worker of every service but the gateway."""

    async def handler(_message: object, _delivery: object) -> AsyncIterator[object]:
        return
        yield

    buses = {name: Bus(url=bus_url, service=name) for name in EVERYONE}
    for consumer in CONSUMERS:
        buses[consumer.service].handle(consumer, handler)  # type: ignore[arg-type]  # it takes anything
    for bus in buses.values():
        await bus.start()
    yield buses
    for bus in buses.values():
        await bus.stop()


class TestDoctor:
    def test_finds_a_port_that_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            found = doctor.port(number)
            assert (found.level, str(number) in found.message, "ocupada" in found.message) == ("error", True, True)
        assert doctor.port(free_port()).level == "ok"

    def test_finds_a_disk_that_is_full(self, tmp_path: Path) -> None:
        found = doctor.data_dir(tmp_path, needed=shutil.disk_usage(tmp_path).total + 1)
        assert (found.level, "MB livres" in found.message) == ("error", True)

    async def test_finds_a_wrong_password_of_redis_and_one_that_is_missing(self, guarded_redis: int) -> None:
        wrong = await surroundings.redis(f"redis://:errada@127.0.0.1:{guarded_redis}/0")
        assert (wrong.level, "recusa a senha" in wrong.message, "errada" in wrong.message) == ("error", True, False)
        none = await surroundings.redis(f"redis://127.0.0.1:{guarded_redis}/0")
        assert (none.level, "pede uma senha" in none.message) == ("error", True)
        assert (await surroundings.redis(f"redis://:certa@127.0.0.1:{guarded_redis}/0")).level == "ok"
        away = await surroundings.redis(f"redis://127.0.0.1:{free_port()}/0")
        assert (away.level, "não respondeu" in away.message) == ("warning", True)

    async def test_finds_an_old_schema_and_one_that_is_too_new(self, tmp_path: Path) -> None:
        assert (await surroundings.database(SCHEMA, None, tmp_path, running=False)).level == "ok"
        async with Database.of(SCHEMA, None, tmp_path) as database:
            await database.migrate()
        assert (await surroundings.database(SCHEMA, None, tmp_path, running=True)).level == "ok"
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'cache.db'}")
        for revision, running, level, words in (
            ("0001", True, "error", "reinicie"),
            ("0001", False, "warning", "atualizadas ao iniciar"),
            ("9999", False, "error", "outra versão (9999)"),
        ):
            with engine.begin() as connection:
                connection.execute(sa.text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
            found = await surroundings.database(SCHEMA, None, tmp_path, running=running)
            assert (found.level, words in found.message) == (level, True), found
        engine.dispose()

    async def test_finds_a_clock_that_is_wrong(self, at_work: dict[str, Bus], bus_url: str) -> None:
        assert at_work
        right = await surroundings.bus(bus_url, now=utc_now)
        assert [each.level for each in right] == ["ok", "ok", "ok"], right
        wrong = await surroundings.bus(bus_url, now=lambda: utc_now() - timedelta(seconds=40))
        found = next(each for each in wrong if each.check == "relógio")
        assert found.level == "error"
        assert re.search(r"(3[5-9]|40) s atrasado", found.message), found

    async def test_finds_a_source_that_cannot_be_reached(self) -> None:
        (found,) = await doctor.source("consulta", f"http://127.0.0.1:{free_port()}/api", now=utc_now)
        assert (found.level, found.check, "não respondeu" in found.message) == ("warning", "fonte (consulta)", True)

    def test_finds_a_bad_catalogue(self, tmp_path: Path) -> None:
        shutil.copytree(Path(str(classifier.__file__)).parent / "catalogue", tmp_path / "c")
        assert doctor.catalogue(tmp_path / "c").level == "ok"
        (tmp_path / "c" / "vestuario.yaml").write_text("sector: vestuario\nstrong: [uniforme, uniforme]\n")
        found = doctor.catalogue(tmp_path / "c")
        assert (found.level, "vestuario" in found.message) == ("error", True)

    async def test_finds_a_stream_and_a_consumer_that_are_missing(self, bus_url: str) -> None:
        client = await nats.connect(bus_url)
        js = client.jetstream()
        kept = (await js.stream_info("CHANGES")).config
        pages = (await js.consumer_info("PAGES", "cache-pages-pcp")).config
        try:
            await js.delete_stream("CHANGES")
            await js.delete_consumer("PAGES", "cache-pages-pcp")
            found = {each.check: each for each in await surroundings.bus(bus_url, now=utc_now)}
        finally:
            await js.add_stream(kept)
            await js.add_consumer("PAGES", pages)
            await client.close()
        assert (found["streams"].level, "CHANGES" in found["streams"].message) == ("error", True)
        assert "cache-pages-pcp" in found["consumidores"].message

    async def test_finds_that_no_reporter_is_at_work(self, at_work: dict[str, Bus], bus_url: str) -> None:
        await at_work["reporter"].stop()
        found = [each for each in await surroundings.bus(bus_url, now=utc_now) if each.level != "ok"]
        assert [(each.check, each.level) for each in found] == [("reporter", "error")]
        assert "não está rodando" in found[0].message

    async def test_finds_a_key_that_does_not_open(self, bus_url: str, tmp_path: Path) -> None:
        service = build(GatewaySettings(nats_url=bus_url, data_dir=tmp_path, api_key=SecretStr(KEY), http_port=0))
        await service.start()
        try:
            url = service.parts[-1].url  # type: ignore[attr-defined]  # the socket is the last part
            assert (await surroundings.key(url, KEY)).level == "ok"
            wrong = await surroundings.key(url, "farol_wrong_0123456789abcdef")
            assert (wrong.level, "não reconhece a chave" in wrong.message) == ("error", True)
        finally:
            await service.stop()

    async def test_finds_a_bus_that_is_away(self) -> None:
        (found,) = await surroundings.bus(f"nats://127.0.0.1:{free_port()}", now=utc_now)
        assert (found.check, found.level) == ("barramento", "error")
