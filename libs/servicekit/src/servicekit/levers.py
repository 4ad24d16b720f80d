"""What operators have set, followed: every service looks every 2 s, and works on with what it saw last."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from contracts.control import Control, Flag
from contracts.subjects import CONTROLLED
from servicekit.bus import Bus
from servicekit.errors import Transient
from servicekit.every import Every
from servicekit.logs import log

LOOK: Final = timedelta(seconds=2)
FIRST_LOOK: Final = 2.0
UNSET: Final = Control(at=datetime.min.replace(tzinfo=UTC), by="")
"""As it is before anybody has set anything."""


class Levers:
    """The newest control, and who wants to know when it changes."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._sequence = 0
        self._looking = Every(LOOK, self.look, name="levers")
        self._listeners: list[Callable[[Control], None]] = []
        self.control = UNSET

    def on(self, flag: Flag) -> bool:
        """Whether a flag is on."""
        return self.control.on(flag)

    def listen(self, listener: Callable[[Control], None]) -> None:
        """Tell this one at each change."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Look once before any work is taken, as far as the bus lets; then go on looking."""
        with suppress(Transient, TimeoutError):
            async with asyncio.timeout(FIRST_LOOK):
                await self.look()
        await self._looking.__aenter__()

    async def stop(self) -> None:
        """Look no more."""
        await self._looking.__aexit__()

    async def look(self) -> None:
        """Take over what was set since; raises Transient while the bus is away."""
        stored = await self._bus.last(CONTROLLED.subject())
        if stored is None or stored.sequence == self._sequence:
            return
        try:
            control = CONTROLLED.decode(stored.body)
        except ValidationError:
            log.warning("control.unreadable", sequence=stored.sequence)
            return
        self._sequence, self.control = stored.sequence, control
        for listener in self._listeners:
            listener(control)
