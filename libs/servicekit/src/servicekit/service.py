"""A service: its bus, its parts, and how a process that runs it begins and ends."""

import asyncio
import gc
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from contracts.control import Control
from contracts.ops import CircuitSeen
from servicekit.bus import Bus
from servicekit.every import Every
from servicekit.health import Check, Health, examine
from servicekit.heart import Heart
from servicekit.levers import Levers
from servicekit.logs import configure, log
from servicekit.settings import ServiceSettings, TelemetrySettings
from servicekit.telemetry.process import shown


@dataclass
class Service:
    """Parts are entered after the connection and before consuming; left in reverse after consuming has ended."""

    name: str
    bus: Bus
    parts: Sequence[AbstractAsyncContextManager[Any]] = ()
    needed: Mapping[str, Check] = field(default_factory=dict)
    """Without one of these it is not ready; the bus and its consumers are checked anyway."""
    helpful: Mapping[str, Check] = field(default_factory=dict)
    """Without one of these it works, but less well."""
    circuits: Callable[[], Sequence[CircuitSeen]] = tuple
    levers: Levers | None = None
    """Those that its parts listen to; None: it has its own, so that it can be drained."""
    _heart: Heart | None = field(default=None, init=False, repr=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, init=False, repr=False)

    async def start(self) -> None:
        """Connect, enter the parts, take messages."""
        try:
            await self.bus.connect()
            levers = self.levers = self.levers or Levers(self.bus)
            await levers.start()
            for part in self.parts:
                await self._stack.enter_async_context(part)
            await self.bus.start()
            jobs = [part for part in self.parts if isinstance(part, Every)]
            self._heart = Heart(self.bus, health=self.health, jobs=jobs, circuits=self.circuits)
            await self._heart.start()
            levers.listen(self._drain_if_told)
            self._drain_if_told(levers.control)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop taking messages, hand back what runs, leave the parts, close."""
        try:
            if self.levers is not None:
                await self.levers.stop()
            if self._heart is not None:
                await self._heart.stop()
            await self.bus.drain()
        finally:
            try:
                await self._stack.aclose()
            finally:
                await self.bus.stop()

    def _drain_if_told(self, control: Control) -> None:
        told = self._heart is not None and not {self.name, self._heart.worker}.isdisjoint(control.drained)
        if told is not self.bus.drained:
            self.bus.hold(held=told)
            log.info("service.drained" if told else "service.released", service=self.name)

    async def health(self) -> Health:
        """Whether it can do its work now."""
        needed = {"bus": self.bus.check, "consumers": self.bus.check_consumers, **self.needed}
        return await examine(needed, optional=self.helpful)


def main(build: Callable[[], Service]) -> None:
    """Run one service until SIGTERM or SIGINT."""
    configure(ServiceSettings().log_level, "farol")
    service = build()
    configure(ServiceSettings().log_level, service.name)
    asyncio.run(_shown(service))


async def _shown(service: Service) -> None:
    async with shown(TelemetrySettings(), ready=service.health):
        await run(service)


def spare_the_collector() -> None:
    """What was made for the start stays: a collection that looks through it all would stop the loop for 50 to 250 ms.

    Requests to a source would leave late then, and those after them on time: more in a second than it allows.
    """
    gc.collect()
    gc.freeze()


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
        spare_the_collector()
        log.info("service.started")
        await waiting
        await service.stop()
        log.info("service.stopped")
    finally:
        waiting.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
