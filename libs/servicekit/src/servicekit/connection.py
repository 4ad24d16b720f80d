"""One connection of one service to NATS; it reconnects for ever."""

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import nats.errors
from faststream.nats import NatsBroker
from nats.errors import SlowConsumerError

from servicekit.entry import entry
from servicekit.errors import Unavailable
from servicekit.logs import log
from servicekit.telemetry.measures import CONNECTED, RECONNECTS

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

CLOSE_TIME = 5.0


class Connection:
    """The connection that the parts of a bus share."""

    def __init__(self, *, url: str, service: str) -> None:
        self._reconnected = asyncio.Event()
        self._client: Client | None = None
        self._warned = False
        self.service = service
        way = entry(url, user=service)
        self.inbox = way.inbox
        """Below it the replies to this service come."""
        self.broker = NatsBroker(
            list(way.servers),
            **way.options,
            name=service,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=random.uniform(0.2, 0.5),  # type: ignore[arg-type]  # noqa: S311 - seconds may be fractions; jitter is no secret
            connect_timeout=2,
            ping_interval=5,
            max_outstanding_pings=2,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            error_cb=self._on_error,
            logger=None,
            apply_types=False,
            graceful_timeout=1.0,
        )

    async def open(self) -> None:
        """Connect; waits for the server for as long as it takes. Unavailable when it refuses."""
        if self._client is None:
            try:
                self._client = await self.broker.connect()
            except nats.errors.Error as exc:
                raise Unavailable("bus.refused", type(exc).__name__) from exc
            CONNECTED.follow(lambda: float(self.connected), service=self.service)

    async def close(self) -> None:
        """Send what is still in the buffer, then close."""
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(nats.errors.Error, TimeoutError, OSError):
            if client.is_connected:
                await client.flush(timeout=2)
        with suppress(nats.errors.Error, TimeoutError, OSError):
            await asyncio.wait_for(client.close(), CLOSE_TIME)
        self.broker.config.disconnect()

    @property
    def client(self) -> "Client":
        """The nats-py client."""
        if self._client is None:
            raise Unavailable("bus.closed", "the bus is not connected")
        return self._client

    @property
    def js(self) -> "JetStreamContext":
        """JetStream on this connection."""
        return self.broker.config.connection_state.stream  # type: ignore[no-any-return]

    @property
    def connected(self) -> bool:
        """True while the server is there."""
        return self._client is not None and bool(self._client.is_connected)

    def next_reconnect(self) -> asyncio.Event:
        """Set at the next reconnection: what was asked before it will not be answered."""
        return self._reconnected

    async def until_connected(self, budget: float) -> None:
        """Return at once while connected, else at reconnection; Unavailable when the budget is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + budget
        while not self.client.is_connected:
            left = end - loop.time()
            if left <= 0 or self.client.is_closed:
                raise Unavailable("bus.away", "NATS is away")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reconnected.wait(), min(left, 0.25))

    async def _on_disconnected(self) -> None:
        if self._client is not None:
            log.warning("bus.disconnected", service=self.service)

    async def _on_reconnected(self) -> None:
        RECONNECTS.add(service=self.service)
        log.info("bus.reconnected", service=self.service)
        self._reconnected.set()
        self._reconnected = asyncio.Event()

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            log.warning("bus.slow_consumer", service=self.service, subject=error.subject)
        elif self._client is None and not self._warned:
            self._warned = True
            log.warning("bus.waiting_for_nats", service=self.service, error=repr(error))
        else:
            log.debug("bus.error", service=self.service, error=repr(error))
