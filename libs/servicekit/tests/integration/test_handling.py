"""What becomes of a message, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from contracts.subjects import CANCELLED, LEASE, REPORTER_SUMMARIZE, REQUESTED
from contracts.search import Cancelled, Lease

from servicekit.bus import Bus

SID = "0190f0a0000070008000000000000001"


def cancelled():
    return CANCELLED.message(Cancelled(search_id=SID, at=datetime.now(UTC)), search_id=SID)


class TestPublish:
    async def test_stores_once(self, bus_url):
        bus = Bus(url=bus_url, service="test")
        await bus.start()
        a = await bus.publish(cancelled())
        b = await bus.publish(cancelled())
        rows = await bus.history(SID)
        last = await bus.last(f"search.v1.{SID}.cancelled")
        await bus.stop()
        assert (a.duplicate, b.duplicate) == (False, True)
        assert [row.sequence for row in rows] == [a.sequence]
        assert last == rows[0]
