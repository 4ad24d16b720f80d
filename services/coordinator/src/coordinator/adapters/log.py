"""One search's log, followed and written under a lease that the server enforces (CORE section 2)."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from pydantic import ValidationError

from contracts.answer import Answer, Result
from contracts.answer_codec import AnswerUnreadable, decode_answer
from contracts.answers import AnswerQuery
from contracts.classification import Judged
from contracts.fold import SearchState
from contracts.report import ObjectRef
from contracts.search import Lease, Requested
from contracts.stored import Level
from contracts.subjects import ANSWERS_BUCKET, LEASE, STORED_ANSWER, Outgoing, fact_topic
from coordinator.domain.stored import Held, held_of
from coordinator.domain.telling import first_rows
from servicekit.bus import Bus, Stored
from servicekit.clock import Clock
from servicekit.errors import Abandoned, FeedOverflow, Fenced, Rejected, Unavailable
from servicekit.feed import SearchFeed
from servicekit.logs import log
from servicekit.telemetry.measures import FIRST_RESULT_SECONDS

ASKED_WITHIN = timedelta(seconds=2)
"""The memory's word, when a search has little to show."""
READ_WITHIN = 5.0
MOST_HASTE = 1.0
"""Seconds for the rows of a stored answer, however late it is."""
LEASE_WITHIN = 30.0
"""Seconds until our own lease must have come back from the stream that has acknowledged it."""
MOST_SERVED = 64
"""Stored answers of which a process remembers the first rows: 8 MB, each being at most as large as half a message."""
READ_AGAIN = 0.05
"""Seconds before a follower that fell behind reads on; the bus itself waits for a server that is away."""

FirstRows = OrderedDict[str, tuple[Result, ...]]
"""By the hash of the answer's bytes, the longest unused first."""


class FollowedSearch:
    """A live fold of one log, held under our lease; who loses it gets `Abandoned` from every wait and write."""

    def __init__(
        self, bus: Bus, state: SearchState, *, lease: int, clock: Clock, served: FirstRows | None = None
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._changed = asyncio.Event()
        self._lease = lease
        self._following: asyncio.Task[None] | None = None
        self.read_to = 0
        """How far the log was read. Our own facts are folded before the feed brings them, so the fold's last sequence
        says nothing of the facts of others before it."""
        self._first_told = False
        self._served: FirstRows = OrderedDict() if served is None else served
        self.state = state

    async def follow(self, feed: SearchFeed) -> None:
        """Begin to fold what the feed brings; returns once our own lease is folded, so with all that came before it."""
        self._following = asyncio.create_task(self._follow(feed), name=f"follow {self.state.search_id}")
        try:
            async with asyncio.timeout(LEASE_WITHIN):
                await self._wait(lambda state: state.lease_sequence >= self._lease)
        except TimeoutError:  # the stream was wiped under us
            raise Unavailable("bus.lease_lost", self.state.search_id) from None

    async def leave(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

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

    async def held(self, requested: Requested, *, by: datetime) -> Held | None:
        """The stored answer that the search was answered with, or that the memory has for it now; None without one."""
        stored, level = requested.stored, Level.MEMORY
        if stored is not None and requested.answered_from is not None:
            level = Level(requested.answered_from.level)
        if stored is None:
            ask = AnswerQuery(key=requested.query.key, may_refresh=False)
            try:
                reply = await self._bus.request(STORED_ANSWER, ask, timeout=ASKED_WITHIN)
            except Unavailable:
                return None
            if reply.stored is None or reply.level is None:
                return None
            stored, level = reply.stored, reply.level
        answer = await self._read(stored.ref, within=max((by - self._clock()).total_seconds(), MOST_HASTE))
        if answer is None:
            return None
        return held_of(stored, answer, level=level, seen=requested.stored is not None, now=self._clock())

    async def first_rows_of(self, ref: ObjectRef) -> tuple[Result, ...]:
        """The first rows of a stored answer, read once however many searches it serves; none when unreadable."""
        if (known := self._served.get(ref.sha256)) is not None:
            self._served.move_to_end(ref.sha256)
            return known
        answer = await self._read(ref, within=READ_WITHIN)
        if answer is None:
            return ()
        rows = self._served[ref.sha256] = first_rows(answer.results)
        while len(self._served) > MOST_SERVED:
            self._served.popitem(last=False)
        return rows

    async def _read(self, ref: ObjectRef, *, within: float) -> Answer | None:
        try:
            async with asyncio.timeout(min(within, READ_WITHIN)):
                packed = await self._bus.get_object(ref)
                return await asyncio.to_thread(decode_answer, packed)
        except (Unavailable, Rejected, TimeoutError, AnswerUnreadable) as exc:
            log.warning("stored_answer_unreadable", search_id=self.state.search_id, reason=type(exc).__name__)
            return None

    async def until(self, done: Callable[[SearchState], bool], *, by: datetime) -> bool:
        """Wait until the fold satisfies `done` (True) or the moment has come (False)."""
        try:
            async with asyncio.timeout(max((by - self._clock()).total_seconds(), 0)):
                await self._wait(done)
        except TimeoutError:
            return done(self.state)
        return True

    async def _wait(self, done: Callable[[SearchState], bool]) -> None:
        while not done(self.state):
            self._check()
            self._changed.clear()
            await self._changed.wait()
        self._check()

    def take(self, sequence: int, fact: object) -> None:
        """Fold one fact and wake whoever waits."""
        self.state.apply(sequence, fact)
        self._changed.set()

    def take_stored(self, stored: Stored) -> None:
        """Fold one message of the log; an unknown or unreadable fact is passed over, never fatal."""
        self.read_to = max(self.read_to, stored.sequence)
        topic = fact_topic(stored.subject)
        if topic is None:
            return
        try:
            fact = topic.decode(stored.body)
        except ValidationError:
            log.warning("fact_unreadable", subject=stored.subject, sequence=stored.sequence)
            return
        self.take(stored.sequence, fact)
        if not self._first_told and isinstance(fact, Judged) and fact.accepted:
            self._first_told = True
            # What came before our lease was measured by whoever held the search then.
            if stored.sequence > self._lease and self.state.requested is not None:
                FIRST_RESULT_SECONDS.observe((stored.time - self.state.requested.created_at).total_seconds())

    def _check(self) -> None:
        if self.state.lease_sequence > self._lease:
            raise Abandoned(f"another coordinator holds {self.state.search_id}")
        if self._following is not None and self._following.done():
            self._following.result()

    async def _follow(self, feed: SearchFeed) -> None:
        """Fold what the feed brings; a full buffer or an unread history only means to read on from where we are."""
        try:
            while True:
                try:
                    async with feed.join(self.state.search_id, after=self.read_to) as facts:
                        async for stored in facts:
                            self.take_stored(stored)
                except (FeedOverflow, Unavailable, TimeoutError):
                    await asyncio.sleep(READ_AGAIN)
        finally:
            self._changed.set()


@asynccontextmanager
async def hold(
    bus: Bus, feed: SearchFeed, search_id: str, *, owner: str, clock: Clock, served: FirstRows | None = None
) -> AsyncIterator[FollowedSearch]:
    """Take the lease, then read: after our lease no older owner can append, so what we then read is all there is."""
    last = await bus.last(LEASE.subject(search_id=search_id))
    lease = LEASE.message(Lease(search_id=search_id, owner=owner, at=clock()), dedup=owner, search_id=search_id)
    try:
        ack = await bus.publish(lease, expect_last=last.sequence if last else 0)
    except Fenced as exc:
        raise Abandoned(f"another coordinator was faster on {search_id}") from exc
    followed = FollowedSearch(bus, SearchState(search_id), lease=ack.sequence, clock=clock, served=served)
    try:
        await followed.follow(feed)
        yield followed
    finally:
        await followed.leave()
