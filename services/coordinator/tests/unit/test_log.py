import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from contracts.fold import SearchState
from contracts.places import UF
from contracts.samples import NOW, SEARCH_ID, gathered, requested
from contracts.search import Lease
from contracts.subjects import GATHERED, LEASE, PLANNED
from contracts.values import Source
from coordinator.adapters.log import FollowedSearch
from coordinator.domain.plan import Budgets, plan
from servicekit.bus import Ack, Stored
from servicekit.clock import utc_now
from servicekit.errors import FeedOverflow

BUDGETS = Budgets(per_source=timedelta(seconds=180), consolidation=timedelta(seconds=300))


def stored(sequence, outgoing):
    return Stored(sequence=sequence, subject=outgoing.subject, body=outgoing.body, time=NOW)


LEASED = stored(2, LEASE.message(Lease(search_id=SEARCH_ID, owner="a", at=NOW), search_id=SEARCH_ID))
OF_ANOTHER = stored(
    3, GATHERED.message(gathered(UF.SP), search_id=SEARCH_ID, source=Source.PNCP, uf=UF.SP)
)  # fmt: skip


class FullFeed:
    """A feed whose queue runs full after the lease; who joins it again gets what lies after the sequence named."""

    def __init__(self):
        self.full = asyncio.Event()
        self.joined_after = []

    @asynccontextmanager
    async def join(self, _search_id, *, after):
        self.joined_after.append(after)
        yield self._first() if after == 0 else self._again(after)

    async def _first(self):
        yield LEASED
        await self.full.wait()
        raise FeedOverflow(SEARCH_ID)

    async def _again(self, after):
        if after < OF_ANOTHER.sequence:
            yield OF_ANOTHER
        await asyncio.Event().wait()


class LogOfOne:
    """A bus on which our own fact comes after another's that the feed has not brought yet."""

    async def publish(self, _outgoing, *, fence):
        assert fence == LEASED.sequence
        return Ack(sequence=4, duplicate=False)


class TestFollowedSearch:
    async def test_misses_no_fact_that_lies_before_its_own_when_the_feed_runs_full(self):
        feed = FullFeed()
        search = FollowedSearch(LogOfOne(), SearchState(SEARCH_ID), lease=LEASED.sequence, clock=utc_now)
        await search.follow(feed)
        planned = plan(requested(UF.SP, sources=(Source.PNCP,)), budgets=BUDGETS)
        await search.publish(PLANNED.message(planned, search_id=SEARCH_ID))
        feed.full.set()
        try:
            come = await search.until(lambda state: bool(state.gathered), by=utc_now() + timedelta(seconds=2))
        finally:
            await search.leave()

        assert come
        assert feed.joined_after == [0, LEASED.sequence]
