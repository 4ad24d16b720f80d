"""One search's log, followed and written under a lease that the server enforces (CORE section 2)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog
from pydantic import ValidationError
from servicekit.bus import Bus, Stored
from servicekit.feed import SearchFeed

from contracts.fold import SearchState
from contracts.report import ObjectRef
from contracts.search import Lease
from contracts.subjects import ANSWERS_BUCKET, LEASE, Outgoing, fact_topic
from servicekit.clock import Clock
from servicekit.errors import Abandoned, FeedOverflow, Fenced

log = structlog.get_logger()


class FollowedSearch:
    """A live fold of one log, held under our lease; who loses it gets `Abandoned` from every wait and write."""

    def __init__(self, bus: Bus, state: SearchState, *, lease: int, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._changed = asyncio.Event()
        self._lease = lease
        self.state = state

    async def publish(self, outgoing: Outgoing) -> None:
        """Append a fact under the lease, and fold it before returning, so that no decision is made twice."""
        try:
            ack = await self._bus.publish(outgoing, fence=self._lease)
        except Fenced as exc:
            raise Abandoned(f"another coordinator holds {self.state.search_id}") from exc
        self.take(ack.sequence, outgoing.value)

    async def command(self, outgoing: Outgoing) -> None:
        """Send a command; commands are not fenced, their `Nats-Msg-Id` and their readers make repeats harmless."""
        await self._bus.publish(outgoing)

    async def put_answer(self, name: str, content: bytes) -> ObjectRef:
        """Keep an answer in the Object Store."""
        return await self._bus.put_object(ANSWERS_BUCKET, name, content)

    async def until(self, done: Callable[[SearchState], bool], *, by: datetime) -> bool:
        """Wait until the fold satisfies `done` (True) or the moment has come (False)."""
        while not done(self.state):
            self._check_lease()
            left = (by - self._clock()).total_seconds()
            if left <= 0:
                return False
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return done(self.state)
        self._check_lease()
        return True

    def take(self, sequence: int, fact: object) -> None:
        """Fold one fact and wake whoever waits."""
        self.state.apply(sequence, fact)
        self._changed.set()

    def take_stored(self, stored: Stored) -> None:
        """Fold one message of the log; an unknown or unreadable fact is passed over, never fatal."""
        topic = fact_topic(stored.subject)
        if topic is None:
            return
        try:
            fact = topic.decode(stored.body)
        except ValidationError:
            log.warning("fact_unreadable", subject=stored.subject, sequence=stored.sequence)
            return
        self.take(stored.sequence, fact)

    def _check_lease(self) -> None:
        if self.state.lease_sequence > self._lease:
            raise Abandoned(f"another coordinator holds {self.state.search_id}")


@asynccontextmanager
async def hold(
    bus: Bus, feed: SearchFeed, search_id: str, *, owner: str, clock: Clock
) -> AsyncIterator[FollowedSearch]:
    """Take the lease, then read: after our lease no older owner can append, so what we then read is all there is."""
    last = await bus.last(LEASE.subject(search_id=search_id))
    lease = LEASE.message(Lease(search_id=search_id, owner=owner, at=clock()), dedup=owner, search_id=search_id)
    try:
        ack = await bus.publish(lease, expect_last=last.sequence if last else 0)
    except Fenced as exc:
        raise Abandoned(f"another coordinator was faster on {search_id}") from exc
    followed = FollowedSearch(bus, SearchState(search_id), lease=ack.sequence, clock=clock)
    following = asyncio.create_task(_follow(feed, followed), name=f"follow {search_id}")
    try:
        caught_up = asyncio.create_task(_caught_up(followed, ack.sequence))
        await asyncio.wait({caught_up, following}, return_when=asyncio.FIRST_COMPLETED)
        caught_up.cancel()
        if following.done():
            await following
        yield followed
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _caught_up(followed: FollowedSearch, lease: int) -> None:
    while followed.state.lease_sequence < lease:
        followed._changed.clear()  # noqa: SLF001 - one room: the two halves of following
        await followed._changed.wait()  # noqa: SLF001


async def _follow(feed: SearchFeed, followed: FollowedSearch) -> None:
    """Fold what the feed brings; a full buffer only means to read on from where we are."""
    while True:
        try:
            async with feed.join(followed.state.search_id, after=followed.state.last_sequence) as facts:
                async for stored in facts:
                    followed.take_stored(stored)
        except FeedOverflow:
            continue
