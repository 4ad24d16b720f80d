"""One process's link to Redis: it may be away at any moment, says so once, and comes back by itself."""

import asyncio
import random
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from servicekit.logs import log

MOST_CONNECTIONS: Final = 20
CALLS_AT_ONCE: Final = 8
"""More would only wait in Redis; a thousand callers must not be a thousand connects."""
ANSWER_TIME: Final = 1.0
"""Seconds; a Redis that takes longer is away."""
CONNECT_TIME: Final = 0.4
LOOK_EVERY: Final = 0.25
"""Seconds between looks for a Redis that is away. With the connect time well below the second without requests that a
change of mode costs: all processes have noticed its return before the first of them uses it."""


class RedisAway(Exception):
    """Redis did not answer; the stand-in takes over."""


class Script:
    """A Lua script, sent once and called by its hash."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha: str | None = None


class RedisLink:
    """Open it with `async with`; entering never fails. `connected` says whether `run` is worth trying.

    `patience` multiplies how long Redis may take: a proof that counts must not count a slow machine as an outage.
    """

    def __init__(self, url: str, *, patience: float = 1.0) -> None:
        self._connect_time = CONNECT_TIME * patience
        self._client = Redis(
            connection_pool=BlockingConnectionPool.from_url(
                url,
                max_connections=MOST_CONNECTIONS,
                timeout=ANSWER_TIME * patience,
                socket_timeout=ANSWER_TIME * patience,
                socket_connect_timeout=self._connect_time,
                retry=None,
            )
        )
        parts = urlsplit(url)
        self._where = f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
        self._looking: asyncio.Task[None] | None = None
        self._told = False
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)
        self._calls: set[asyncio.Task[Any]] = set()
        self.connected = False

    async def __aenter__(self) -> Self:
        if not await self._answers():
            self._lost()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._calls, return_exceptions=True)
        self.connected = False
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
            self._looking = None
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | float]) -> Any:
        """The script's reply; RedisAway when there is none."""
        if not self.connected:
            raise RedisAway
        # A call of its own: redis-py 8.1 was seen to swallow a cancellation, and what is half sent is better ended.
        call = asyncio.create_task(self._run(script, keys, args))
        self._calls.add(call)
        call.add_done_callback(self._over)
        try:
            return await asyncio.shield(call)
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisAway from error

    def _over(self, call: asyncio.Task[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled() and call.exception() is not None:
            self._lost()

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[str | float]) -> Any:
        async with self._places:
            if not self.connected:
                raise RedisConnectionError("lost while this call waited")
            return await self._evaluate(script, keys, args)

    async def _evaluate(self, script: Script, keys: Sequence[str], args: Sequence[str | float]) -> Any:
        if script.sha is None:
            script.sha = str(await self._client.script_load(script.source))
        try:
            return await self._client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:  # a Redis that was started anew
            return await self._client.eval(script.source, len(keys), *keys, *args)

    def _lost(self) -> None:
        self.connected = False
        if not self._told:
            self._told = True
            log.warning("redis.away", where=self._where)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while not await self._answers():  # noqa: ASYNC110 - what is awaited is another machine
            await asyncio.sleep(LOOK_EVERY * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(self._connect_time):
                await self._client.ping()
        except (RedisError, OSError, TimeoutError):
            await self._client.connection_pool.disconnect(inuse_connections=False)
            return False
        if self._told:
            log.info("redis.back", where=self._where)
            self._told = False
        else:
            log.info(f"Redis pool connected: {self._where} (max_connections={MOST_CONNECTIONS})")
        self.connected = True
        return True
