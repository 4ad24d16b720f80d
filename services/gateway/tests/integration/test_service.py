"""The gateway as a service and as a process: it starts, it drains, it tells what it lacks."""

import asyncio
import signal
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from gateway.app import build
from gateway.settings import GatewaySettings
from servicekit.testing import NatsServer

KEY = "farol_test_0123456789abcdef"
BODY = {"ufs": ["SP"], "sector": "vestuario"}
BEARER = {"Authorization": f"Bearer {KEY}"}


def _settings(url: str, data_dir: Path, *, port: int = 0, key: str = KEY) -> GatewaySettings:
    return GatewaySettings(nats_url=url, data_dir=data_dir, api_key=SecretStr(key), http_port=port)


class TestService:
    async def test_serves_between_start_and_stop(self, bus_url: str, tmp_path: Path) -> None:
        service = build(_settings(bus_url, tmp_path))
        await service.start()
        url = service.parts[-1].url  # type: ignore[attr-defined]  # the socket is the last part
        async with httpx.AsyncClient(base_url=url, headers=BEARER) as client:
            assert (await client.post("/v1/searches", json=BODY)).status_code == 202
            await service.stop()
            with pytest.raises(httpx.TransportError):
                await client.get("/v1/health/live")

    async def test_does_not_start_on_a_port_that_is_taken(self, bus_url: str, tmp_path: Path) -> None:
        first = build(_settings(bus_url, tmp_path))
        await first.start()
        second = build(_settings(bus_url, tmp_path, port=first.parts[-1].port))  # type: ignore[attr-defined]  # as above
        with pytest.raises(OSError, match="in use"):
            await second.start()
        await first.stop()


class TestSettings:
    @pytest.mark.parametrize("key", ["", "secret", "farol_x_short", "farol_test_with space in it"])
    def test_refuse_a_key_that_is_none(self, key: str) -> None:
        with pytest.raises(ValidationError, match="farol_<id>_<secret>"):
            _settings("nats://127.0.0.1:4222", Path(".farol"), key=key)


class TestProcess:
    async def test_ends_within_seconds_of_sigterm_though_a_stream_is_open(
        self, nats: NatsServer, bus_url: str, tmp_path: Path
    ) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", stdout=asyncio.subprocess.PIPE,
            env={"NATS_URL": bus_url, "FAROL_API_KEY": KEY, "FAROL_HTTP_PORT": "0", "FAROL_DATA_DIR": str(tmp_path)},
        )  # fmt: skip
        assert process.stdout is not None
        try:
            async with asyncio.timeout(30):
                while b"http_listening" not in (line := await process.stdout.readline()):
                    assert line, "it ended before it listened"
            url = line.decode().partition('"url":"')[2].partition('"')[0]
            async with httpx.AsyncClient(base_url=url, headers=BEARER) as client:
                events = (await client.post("/v1/searches", json=BODY)).json()["links"]["events"]
                async with client.stream("GET", events) as reply:
                    chunks = reply.aiter_bytes()
                    body = await anext(chunks)
                    process.send_signal(signal.SIGTERM)
                    async with asyncio.timeout(10):
                        body += b"".join([chunk async for chunk in chunks])
                        rest = await process.stdout.read()
                        code = await process.wait()
            assert body.split(b"\n\n")[-2].startswith(b"event: reconnect")
            assert (code, KEY.encode() in rest, b"Traceback" in rest) == (0, False, False)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
