"""The requests of one source in this process, let through one by one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from fetcher.domain.bucket import Bucket
from fetcher.domain.fair import FairQueue, Flow

AT_ONCE = 128
"""Requests under way to one source: 10 a second for 12 s, or 27 UFs that hang with five modalidades each."""

Ticket = asyncio.Future[None]


class Lane:
    """Every request waits here for its turn: the bucket says when, the queue says who, at the moment of the grant.

    Time is the running loop's, so that a loop on a virtual clock drives it too.
    """

    def __init__(self, bucket: Bucket, *, at_once: int = AT_ONCE) -> None:
        self._bucket = bucket
        self._queue: FairQueue[Ticket] = FairQueue()
        self._free = at_once
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, flow: Flow[Ticket], *, first: bool) -> AsyncIterator[None]:
        """Enter when this flow's turn has come; leave when the request is answered."""
        ticket = asyncio.get_running_loop().create_future()
        self._queue.push(flow, ticket, first=first)
        self._advance()
        try:
            await ticket
            yield
        finally:
            self._queue.drop(flow, ticket)
            # A cancelled waiter whose grant was already given returns its place, not the token.
            if ticket.done() and not ticket.cancelled():
                self._free += 1
            self._advance()

    def hold(self, pause: timedelta) -> None:
        """Let nothing through for so long: the source refused."""
        self._bucket.hold(asyncio.get_running_loop().time() + pause.total_seconds())

    def _advance(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue and self._free and self._timer is None:
            now, due = loop.time(), self._bucket.due()
            if due > now:
                self._timer = loop.call_at(due, self._on_timer)
                return
            ticket = self._queue.pop()
            if ticket.done():  # its waiter was cancelled and has not run yet
                continue
            self._bucket.take(now)
            self._free -= 1
            ticket.set_result(None)

    def _on_timer(self) -> None:
        self._timer = None
        self._advance()
