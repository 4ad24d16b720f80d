"""The whole gateway, as it is built for production, on a real bus, a real socket and a real database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from contracts.subjects import Outgoing
from gateway.app import build
from gateway.settings import GatewaySettings
from servicekit.bus import Bus

KEY = "farol_test_0123456789abcdef"


@dataclass
class Built:
    """One gateway with its local key, and the hand that plays the other services."""

    url: str
    bus: Bus
    client: httpx.AsyncClient

    async def tell(self, *facts: Outgoing) -> list[int]:
        return [(await self.bus.publish(fact)).sequence for fact in facts]

    async def key(self, tenant: str, *scopes: str) -> tuple[str, dict[str, str]]:
        """The id of a new key, and the header that shows it."""
        body = {"tenant": tenant, "scopes": scopes or ("search",)}
        made = (await self.client.post("/v1/admin/keys", json=body)).json()
        return made["id"], {"Authorization": f"Bearer {made['key']}"}


@asynccontextmanager
async def built(bus_url: str, data_dir: Path, **settings: Any) -> AsyncIterator[Built]:
    """A gateway until the end of the block."""
    chosen = {"longest_wait": timedelta(hours=1), **settings}
    service = build(GatewaySettings(nats_url=bus_url, data_dir=data_dir, api_key=SecretStr(KEY), http_port=0, **chosen))
    async with AsyncExitStack() as stack:
        await service.start()
        stack.push_async_callback(service.stop)
        url = service.parts[-1].url  # type: ignore[attr-defined]  # the socket is the last part
        client = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)
        yield Built(url, service.bus, await stack.enter_async_context(client))


async def until(met: Callable[[], Awaitable[Any]]) -> Any:
    """What `met` gives once it gives something."""
    async with asyncio.timeout(20):
        while not (found := await met()):  # noqa: ASYNC110 - the other side is another process, without an event
            await asyncio.sleep(0.01)
    return found


@pytest.fixture(name="built")
def _built(bus_url: str, tmp_path: Path) -> Callable[..., Any]:
    """`async with built(...) as gateway:`; all of one test share a database and a bus."""
    return lambda **settings: built(bus_url, tmp_path, **settings)


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until
