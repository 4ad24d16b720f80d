"""What a NATS server says of itself to somebody who takes no part: an operator who looks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import nats
import nats.errors
import orjson

from servicekit.entry import entry
from servicekit.errors import Unavailable

Ask = Callable[[str], Awaitable[dict[str, Any] | None]]
"""A question of JetStream's API, for instance `STREAM.INFO.SEARCH`; None when there is no such stream or consumer."""

NOT_FOUND = 404


@asynccontextmanager
async def asking(url: str, *, user: str, within: timedelta) -> AsyncIterator[Ask]:
    """One connection to ask by; raises Unavailable when the server does not let in, or does not answer in time."""
    seconds = within.total_seconds()
    way = entry(url, user=user)
    try:
        async with asyncio.timeout(seconds):  # the client itself tries for minutes
            client = await nats.connect(list(way.servers), allow_reconnect=False, error_cb=_quiet, **way.options)
    except (nats.errors.Error, OSError, TimeoutError) as exc:
        raise Unavailable("bus.refused", type(exc).__name__) from exc

    async def ask(api: str) -> dict[str, Any] | None:
        reply = await client.request(f"$JS.API.{api}", b"", timeout=seconds)
        told: dict[str, Any] = orjson.loads(reply.data)
        error = told.get("error")
        if error is None:
            return told
        if error["code"] == NOT_FOUND:
            return None
        raise Unavailable("bus.error", str(error.get("description")))

    try:
        yield ask
    except (nats.errors.Error, TimeoutError) as exc:
        raise Unavailable("bus.silent", type(exc).__name__) from exc
    finally:
        await client.close()


async def _quiet(_error: Exception) -> None:
    """Who asks is told by an exception."""
