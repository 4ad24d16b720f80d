"""A service: its bus, its parts, and how a process that runs it begins and ends."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from servicekit.bus import Bus
from servicekit.health import Health, examine
from servicekit.logs import configure, log
from servicekit.settings import ServiceSettings, TelemetrySettings
from servicekit.telemetry.process import shown


@dataclass
class Service:
    """Parts are entered after the connection and before consuming; left in reverse after consuming has ended."""

    name: str
    bus: Bus
    parts: Sequence[AbstractAsyncContextManager[Any]] = ()
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False, repr=False)

    async def start(self) -> None:
        """Connect, enter the parts, take messages."""
        try:
            await self.bus.connect()
            for part in self.parts:
                await self._stack.enter_async_context(part)
            await self.bus.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop taking messages, hand back what runs, leave the parts, close."""
        try:
            await self.bus.drain()
        finally:
            try:
                await self._stack.aclose()
            finally:
                await self.bus.stop()

    async def health(self) -> Health:
        """Whether it can do its work now."""
        return await examine({"bus": self.bus.check})


def main(build: Callable[[], Service]) -> None:
    """Run one service until SIGTERM or SIGINT."""
    configure(ServiceSettings().log_level, "farol")
    service = build()
    configure(ServiceSettings().log_level, service.name)
    asyncio.run(_shown(service))


async def _shown(service: Service) -> None:
    async with shown(TelemetrySettings(), ready=service.health):
        await run(service)


async def run(service: Service) -> None:
    """Start, wait for a signal, drain. A signal during the start ends it too."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    waiting = asyncio.ensure_future(stopped.wait())
    starting = asyncio.ensure_future(service.start())
    try:
        await asyncio.wait({waiting, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return
        starting.result()
        log.info("service.started")
        await waiting
        await service.stop()
        log.info("service.stopped")
    finally:
        waiting.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
