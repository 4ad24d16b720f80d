"""A bus on a clean server, and one command whose handler each test writes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from uuid import uuid4

import pytest
from nats import connect
from nats.js import JetStreamContext

from contracts.memory import Archive
from contracts.search import Closed
from contracts.subjects import ARCHIVE, CACHE_ARCHIVE, CLOSED, Consumer, Outgoing
from servicekit.bus import Bus, Delivery
from servicekit.consuming import Handler
from servicekit.provision import consumer_config

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
QUICK = replace(CACHE_ARCHIVE, ack_wait=timedelta(seconds=1), workers=4)
"""A consumer whose lost deliveries come back soon."""

StartBus = Callable[..., Awaitable[Bus]]


def new_search() -> str:
    return uuid4().hex


def command(search_id: str) -> Outgoing:
    return ARCHIVE.message(Archive(search_id=search_id, closed_at=NOW), dedup=search_id)


def closed(search_id: str) -> Outgoing:
    return CLOSED.message(Closed(search_id=search_id, at=NOW), search_id=search_id)


async def eventually(look: Callable[[], object], *, within: float = 20.0) -> None:
    """Until it holds; the bound only ends a test that has failed."""
    async with asyncio.timeout(within):
        while True:
            found = look()
            if await found if isawaitable(found) else found:
                return
            await asyncio.sleep(0.01)


class Server:
    """What the server says of a consumer and a stream."""

    def __init__(self, url: str) -> None:
        self.url = url

    @asynccontextmanager
    async def js(self) -> AsyncIterator[JetStreamContext]:
        client = await connect(self.url)
        try:
            yield client.jetstream()
        finally:
            await client.close()

    async def put(self, consumer: Consumer) -> None:
        async with self.js() as js:
            await js.add_consumer(consumer.stream.name, consumer_config(consumer))

    async def waiting(self, consumer: Consumer = QUICK) -> int:
        """Messages neither acknowledged nor given up."""
        async with self.js() as js:
            info = await js.consumer_info(consumer.stream.name, consumer.durable)
            return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def settled(self, consumer: Consumer = QUICK) -> None:
        """Until every message is acknowledged or given up."""

        async def nothing_left() -> bool:
            return await self.waiting(consumer) == 0

        await eventually(nothing_left)

    async def delivered(self, number: int, consumer: Consumer = QUICK) -> None:
        """Until so many messages are in work."""

        async def enough() -> bool:
            async with self.js() as js:
                info = await js.consumer_info(consumer.stream.name, consumer.durable)
                return bool(info.num_ack_pending == number)

        await eventually(enough)

    async def deliveries(self, consumer: Consumer = QUICK) -> int:
        """How often the server has given out a message, ever."""
        async with self.js() as js:
            info = await js.consumer_info(consumer.stream.name, consumer.durable)
            assert info.delivered is not None
            return int(info.delivered.consumer_seq)

    async def count(self, stream: str) -> int:
        async with self.js() as js:
            return (await js.stream_info(stream)).state.messages

    async def dead_letters(self, consumer: Consumer = QUICK) -> list[tuple[dict[str, str], bytes]]:
        async with self.js() as js:
            info = (await js.stream_info("DLQ")).state
            if not info.messages:
                return []
            rows = []
            for sequence in range(info.first_seq, info.last_seq + 1):
                found = await js.get_msg("DLQ", sequence)
                assert found.subject == f"dlq.v1.{consumer.stream.name}.{consumer.durable}"
                rows.append((found.headers or {}, found.data or b""))
            return rows


@pytest.fixture
async def server(bus_url: str) -> Server:
    server = Server(bus_url)
    await server.put(QUICK)
    return server


@pytest.fixture
async def start_bus(bus_url: str, server: Server) -> AsyncIterator[StartBus]:
    """Start buses by need; each is stopped at the end."""
    started: list[Bus] = []

    async def start(
        handler: Handler[Archive] | None = None,
        *,
        consumer: Consumer = QUICK,
        url: str | None = None,
        prepare: Callable[[Bus], None] | None = None,
        **options: timedelta,
    ) -> Bus:
        bus = Bus(url=url or bus_url, service="test", **options)
        if handler is not None:
            bus.handle(consumer, handler)
        if prepare is not None:
            prepare(bus)
        started.append(bus)
        await bus.start()
        return bus

    yield start
    for bus in started:
        await bus.stop()


class Recorder:
    """A handler that does what its script says, one entry a call, the last one for ever."""

    def __init__(self, *script: object) -> None:
        self._script = script
        self.calls: list[Delivery] = []
        self.times: list[float] = []

    async def __call__(self, message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
        self.calls.append(delivery)
        self.times.append(asyncio.get_running_loop().time())
        step = self._script[min(len(self.calls), len(self._script)) - 1]
        if isinstance(step, BaseException):
            raise step
        yield closed(message.search_id)
