"""`farol dlq` as an operator types it, against a gateway as it is built for production."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contracts.memory import Archive
from contracts.samples import NOW, SEARCH_ID
from contracts.subjects import ARCHIVE, CACHE_ARCHIVE
from farol import dead_letters
from farol.client import FarolClient, FarolError
from gateway.app import build
from gateway.settings import GatewaySettings
from servicekit.bus import Bus
from servicekit.errors import Rejected

KEY = "farol_test_0123456789abcdef"


async def refusing(_command: Any, _delivery: Any) -> AsyncIterator[Any]:
    raise Rejected("test.refused", "nada feito")
    yield


@pytest_asyncio.fixture
async def client(bus_url: str, tmp_path: Path) -> AsyncIterator[FarolClient]:
    service = build(GatewaySettings(nats_url=bus_url, data_dir=tmp_path, api_key=KEY, http_port=0))  # type: ignore[arg-type]  # a secret is made of it
    cache = Bus(url=bus_url, service="cache")
    cache.handle(CACHE_ARCHIVE, refusing)
    await service.start()
    await cache.start()
    await cache.publish(ARCHIVE.message(Archive(search_id=SEARCH_ID, closed_at=NOW)))
    async with FarolClient(service.parts[-1].url, KEY) as client:  # type: ignore[attr-defined]
        yield client
    await cache.stop()
    await service.stop()


async def listed(client: FarolClient) -> list[str]:
    said: list[str] = []
    await dead_letters.show_all(client, said.append, consumer=None, as_json=False)
    return said


async def until_given_up(client: FarolClient) -> str:
    async with asyncio.timeout(30):
        while "cache-archive" not in (row := (await listed(client))[0]):  # noqa: ASYNC110 - another process gives up
            await asyncio.sleep(0.05)
    return row


class TestDeadLetters:
    async def test_are_told_in_words_tried_again_and_discarded(self, client: FarolClient) -> None:
        row = await until_given_up(client)
        assert "test.refused" in row
        assert "nada feito" in row
        sequence = int(re.findall(r"\d+", row)[0])
        said: list[str] = []
        await dead_letters.show(client, said.append, sequence, as_json=False)
        assert SEARCH_ID in said[-1]
        await dead_letters.retry(client, said.append, [sequence])
        again = int(re.findall(r"\d+", await until_given_up(client))[0])  # refused again: another letter
        assert again > sequence
        await dead_letters.discard(client, said.append, [again])
        assert await listed(client) == ["Nenhuma mensagem abandonada."]
        with pytest.raises(FarolError, match="abandonada"):
            await dead_letters.retry(client, said.append, [again])
