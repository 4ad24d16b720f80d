"""The requests of one source in this process, let through one by one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

from fetcher.domain.fair import FairQueue, Flow
from servicekit.shared.bucket import Turn

AT_ONCE = 128
"""Requests under way to one source: 10 a second for 12 s, or 27 UFs that hang with five modalidades each."""
SHORTEST_WAIT = 0.0002
"""Seconds; a loop's clock may be that coarse."""

LATE = 0.005
"""Seconds between a grant and its use that are worth telling the bucket: the loop was held up in between."""

Ticket = asyncio.Future[float]
"""It is done with the moment of its grant."""


class Rate(Protocol):
    """The tokens of one source."""

    async def take(self) -> Turn:
        """A token if one is due, else how long to wait."""
        ...

    async def refused(self, pause: timedelta) -> None:
        """The source answered 429."""
        ...

    def used_late(self, granted_at: float, used_at: float) -> None:
        """A token was used later than it was given."""
        ...

    def configure(self, rate: float | None) -> None:
        """Take another rate from now on; None: the one that was configured at the start."""
        ...

    def silence(self) -> timedelta:
        """How long the source wants to be left alone from now on."""
        ...

    @property
    def reduced(self) -> bool:
        """Whether the rate is below the configured one."""
        ...


class Lane:
    """Every request waits here for its turn: the bucket says when, the queue says who, at the moment of the grant."""

    def __init__(self, rate: Rate, *, at_once: int = AT_ONCE) -> None:
        self.rate = rate
        self._queue: FairQueue[Ticket] = FairQueue()
        self._free = at_once
        self._pumping: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def turn(self, flow: Flow[Ticket], *, first: bool) -> AsyncIterator[None]:
        """Enter when this flow's turn has come; leave when the request is answered."""
        ticket = asyncio.get_running_loop().create_future()
        self._queue.push(flow, ticket, first=first)
        self._advance()
        try:
            granted_at, now = await ticket, asyncio.get_running_loop().time()
            if now - granted_at > LATE:
                self.rate.used_late(granted_at, now)
            yield
        finally:
            self._queue.drop(flow, ticket)
            # A cancelled waiter whose grant was already given returns its place, not the token.
            if ticket.done() and not ticket.cancelled() and ticket.exception() is None:
                self._free += 1
            self._advance()

    @property
    def waiting(self) -> int:
        """Requests whose turn has not come."""
        return len(self._queue)

    def dismiss(self, place: str | None, error: Callable[[], Exception]) -> None:
        """Send away whoever waits for this place, or everybody: their requests would be refused."""
        for ticket in self._queue.take_out(place):
            if not ticket.done():
                ticket.set_exception(error())

    def _advance(self) -> None:
        running = self._pumping is not None and not self._pumping.done()
        if self._queue and self._free and not running:
            self._pumping = asyncio.create_task(self._pump())
            self._pumping.add_done_callback(self._pumped)
        elif not self._queue and running and self._pumping is not None and self._pumping is not asyncio.current_task():
            self._pumping.cancel()

    async def _pump(self) -> None:
        while self._queue and self._free:
            turn = await self.rate.take()
            if turn.granted:
                self._grant(turn.at)
            if not turn.granted or (turn.wait and self._queue):
                await asyncio.sleep(max(turn.wait, SHORTEST_WAIT))

    def _grant(self, at: float) -> None:
        while self._queue:
            ticket = self._queue.pop()
            if not ticket.done():  # else its waiter was cancelled and has not run yet
                self._free -= 1
                ticket.set_result(at)
                return

    def _pumped(self, pump: asyncio.Task[None]) -> None:
        if pump.cancelled():
            return
        if (error := pump.exception()) is not None:
            self.dismiss(None, lambda: error if isinstance(error, Exception) else RuntimeError(repr(error)))
        self._advance()
