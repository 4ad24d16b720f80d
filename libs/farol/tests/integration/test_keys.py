"""`farol keys` against a gateway as it is built for production."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest_asyncio
from pydantic import SecretStr

from gateway.app import build
from gateway.settings import GatewaySettings

KEY = "farol_test_0123456789abcdef"


@pytest_asyncio.fixture
async def url(bus_url: str, tmp_path: Path) -> AsyncIterator[str]:
    settings = GatewaySettings(nats_url=bus_url, data_dir=tmp_path, api_key=SecretStr(KEY), http_port=0)
    service = build(settings)
    await service.start()
    yield service.parts[-1].url  # type: ignore[attr-defined]
    await service.stop()


async def farol(*arguments: str, key: str = KEY) -> tuple[int, str]:
    command = (sys.executable, "-m", "farol", "keys", *arguments)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={"FAROL_API_KEY": key}
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


class TestKeys:
    async def test_are_made_listed_and_revoked(self, url: str) -> None:
        code, output = await farol("create", "--tenant", "acme", "--name", "erp", "--url", url, "--json")
        made = orjson.loads(output)
        assert (code, made["tenant"], made["scopes"]) == (0, "acme", ["search"])
        code, listed = await farol("list", "--url", url)
        assert (code, made["id"] in listed, "ativa  erp" in listed, made["key"] in listed) == (0, True, True, False)
        assert await farol("revoke", made["id"], "--url", url) == (0, f"Chave {made['id']} revogada.\n")
        _, listed = await farol("list", "--url", url)
        assert "revogada em" in listed

    async def test_are_shown_to_admins_only_and_the_refusal_is_in_words(self, url: str) -> None:
        _, output = await farol("create", "--tenant", "acme", "--url", url, "--json")
        code, output = await farol("list", "--url", url, key=orjson.loads(output)["key"])
        assert (code, "não tem permissão" in output) == (1, True)
        code, output = await farol("revoke", "nobody", "--url", url)
        assert (code, "Não há chave" in output) == (1, True)
        code, output = await farol("create", "--tenant", "A B", "--url", url)
        assert (code, "#/tenant" in output) == (1, True)
