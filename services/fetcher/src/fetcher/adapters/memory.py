"""The memory as the fetcher sees it: one question, and bells."""

from datetime import timedelta
from typing import Final

from contracts.fetch import Bell, FetchClaim, FetchRange, NeededQuery, NeededReply
from contracts.places import NATIONAL
from contracts.subjects import BELL, NEEDED
from servicekit.bus import Bus
from servicekit.errors import Unavailable

PATIENCE: Final = timedelta(seconds=1)
"""A fetch that was not needed costs less than waiting longer."""


class BusMemory:
    """Asks and rings over the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def needed(self, claim: FetchClaim) -> tuple[FetchRange, ...] | None:
        """What is still to be fetched of a claim; None when nobody answers in time."""
        query = NeededQuery(source=claim.source, uf=claim.uf, ranges=claim.ranges, newer_than=claim.newer_than)
        try:
            reply = await self._bus.request(NEEDED, query, timeout=PATIENCE)
        except Unavailable:
            return None
        return reply.ranges if isinstance(reply, NeededReply) else None

    async def ring(self, bell: Bell) -> None:
        """Ring the place's bell."""
        await self._bus.ring(BELL.message(bell, source=bell.source, uf=bell.uf or NATIONAL))
