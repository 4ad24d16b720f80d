import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from servicekit.health import CheckResult, Health, HealthStatus
from servicekit.telemetry.measures import MEASURES, SEARCHES
from servicekit.telemetry.meters import switched_on
from servicekit.telemetry.port import Port

TOKEN = "a-token-of-the-test"


class Fate:
    status = HealthStatus.HEALTHY

    async def ready(self) -> Health:
        return Health(status=self.status, checks={"bus": CheckResult(status=self.status, ms=1.0)})


@pytest.fixture
async def asked() -> AsyncIterator[tuple[httpx.AsyncClient, Fate]]:
    fate = Fate()
    async with (
        Port("127.0.0.1", 0, token=SecretStr(TOKEN), ready=fate.ready) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port.port}", trust_env=False) as http,
    ):
        yield http, fate


class TestPort:
    async def test_tells_what_was_counted_to_whoever_has_the_token(self, asked) -> None:
        http, _ = asked
        with switched_on(MEASURES):
            SEARCHES.add(status="completed")
            assert (await http.get("/metrics")).status_code == 401
            assert (await http.get("/metrics", headers={"Authorization": "Bearer another"})).status_code == 401
            told = await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert told.status_code == 200
        assert 'searches_total{status="completed"} 1.0' in told.text

    async def test_has_no_metrics_while_they_are_off(self, asked) -> None:
        http, _ = asked
        assert (await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 404

    async def test_lives_whatever_it_depends_on_and_is_ready_only_when_it_can_work(self, asked) -> None:
        http, fate = asked
        assert (await http.get("/health/ready")).status_code == 200
        fate.status = HealthStatus.DEGRADED
        assert (await http.get("/health/ready")).status_code == 200
        fate.status = HealthStatus.UNHEALTHY
        away = await http.get("/health/ready")
        assert (away.status_code, away.json()["checks"]["bus"]["status"]) == (503, "unhealthy")
        assert (await http.get("/health/live")).json() == {"status": "alive"}

    async def test_outlives_whoever_sends_nonsense(self, asked) -> None:
        http, _ = asked
        for nonsense in (b"\r\n\r\n", b"POST /metrics HTTP/1.1\r\n\r\n", b"GET /" + b"x" * 10_000, b"\xff\x00\r\n\r\n"):
            reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
            writer.write(nonsense)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        assert (await http.get("/health/live")).status_code == 200
        assert (await http.get("/elsewhere")).status_code == 404
