"""One ordered consumer on SEARCH per process, fanned out to whoever follows a search; joined without a gap."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

import nats.errors
import orjson
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from contracts.subjects import SEARCH, search_id_of
from servicekit.backoff import backoff
from servicekit.bus import Bus
from servicekit.envelope import CORRELATION, EVENT_ID, Stored, moment
from servicekit.errors import FeedOverflow, Unavailable
from servicekit.logs import log

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

HEARTBEAT: Final = 1.0
SILENCE: Final = 3.0
"""No message and no heartbeat for so long: the consumer is gone."""
IDLE_CONSUMER: Final = 30.0
"""The server drops a consumer whose reader vanished after so long."""
POSITIONS: Final = 20_000
START_TIME: Final = 30.0
BEHIND: Final = 0.005
CATCH_UP_TIME: Final = 10.0


Tap = Callable[[str, int, bytes], None]
"""Hears the subject, sequence and body of every fact of every search as it passes; it must be quick and not raise."""


class _Listener:
    """One follower's bounded queue."""

    def __init__(self, maxsize: int) -> None:
        self.rows: asyncio.Queue[Stored | None] = asyncio.Queue(maxsize + 1)
        self._maxsize = maxsize
        self.closed = False

    def offer(self, row: Stored) -> None:
        """Append; a full queue is closed after what it holds, so that its reader sees no gap."""
        if self.closed:
            return
        if self.rows.qsize() >= self._maxsize:
            self.close()
        else:
            self.rows.put_nowait(row)

    def close(self) -> None:
        """Nothing comes after what is queued."""
        if not self.closed:
            self.closed = True
            self.rows.put_nowait(None)


class SearchFeed:
    """Enter it once per process; `join` it for each search that is followed."""

    def __init__(self, bus: Bus, *, tap: Tap | None = None) -> None:
        self._bus = bus
        self._tap = tap
        self._next = 0
        self._listeners: dict[str, set[_Listener]] = {}
        self._positions: OrderedDict[str, int] = OrderedDict()
        self._ready = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self.epoch = ""
        """Which SEARCH the sequences belong to: a stream made anew has another."""

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow())
        ready = asyncio.ensure_future(self._ready.wait())
        try:
            await asyncio.wait({ready, self._following}, timeout=START_TIME, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            if not self._ready.is_set():
                await self._stop()
        if not self._ready.is_set():
            raise Unavailable("bus.no_feed", "the feed of SEARCH did not start")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stop()

    @asynccontextmanager
    async def join(
        self, search_id: str, *, after: int = 0, maxsize: int = 1000
    ) -> AsyncGenerator[AsyncIterator[Stored], None]:
        """The log of one search above a sequence, then what comes, without gap or repeat.

        The iterator raises FeedOverflow when its reader falls more than `maxsize` behind, and Unavailable when the
        history cannot be read: join again from the last sequence seen.
        """
        listener = _Listener(maxsize)
        self._listeners.setdefault(search_id, set()).add(listener)
        try:
            async with aclosing(self._rows(search_id, after, listener)) as rows:
                yield rows
        finally:
            followers = self._listeners.get(search_id, set())
            followers.discard(listener)
            if not followers:
                self._listeners.pop(search_id, None)

    @property
    def followed(self) -> int:
        """Searches that someone follows."""
        return len(self._listeners)

    async def _rows(self, search_id: str, last: int, listener: _Listener) -> AsyncGenerator[Stored, None]:
        for row in await self._history(search_id, last):
            last = row.sequence
            yield row
        while (live := await listener.rows.get()) is not None:
            if live.sequence > last:
                last = live.sequence
                yield live
        raise FeedOverflow(search_id)

    async def _history(self, search_id: str, after: int) -> list[Stored]:
        """At least as far as the feed was when the listener began: a lagging replica is read again."""
        position = self._positions.get(search_id, 0)
        rows = await self._bus.history(search_id, after=after)
        end = asyncio.get_running_loop().time() + CATCH_UP_TIME
        while position > (last := rows[-1].sequence if rows else after):
            if asyncio.get_running_loop().time() > end:
                raise Unavailable("bus.replica_behind", f"{search_id}: {last} of {position}")
            await asyncio.sleep(BEHIND)
            rows += await self._bus.history(search_id, after=last)
        return rows

    async def _follow(self) -> None:
        """Keep one consumer alive; make it anew from the next sequence after whatever ended it."""
        failures = 0
        while True:
            try:
                await self._bus.connection.until_connected(START_TIME)
                async with AsyncExitStack() as stack:
                    await self._follow_one(stack)
                failures = 0
            except (nats.errors.Error, Unavailable, TimeoutError, OSError) as exc:
                failures += 1
                log.debug("feed.broken", error=repr(exc), failures=failures)
                await asyncio.sleep(backoff(failures, first=0.05, most=1.0))
            except Exception:  # noqa: BLE001 - whatever it was, every search of this process would fall silent for ever
                failures += 1
                log.exception("feed.failed", failures=failures)
                await asyncio.sleep(backoff(failures, first=0.05, most=1.0))

    async def _follow_one(self, stack: AsyncExitStack) -> None:
        """Until the consumer skips, falls silent or the connection is made anew."""
        connection = self._bus.connection
        client, reconnected = connection.client, connection.next_reconnect()
        await self._find_start()
        inbox = client.new_inbox()
        messages = await client.subscribe(inbox, pending_msgs_limit=100_000, pending_bytes_limit=256 * 1024 * 1024)

        async def leave() -> None:
            with suppress(nats.errors.Error):
                await messages.unsubscribe()

        stack.push_async_callback(leave)
        made = await connection.js.add_consumer(SEARCH.name, _consumer_config(inbox, self._next), timeout=5)

        async def remove() -> None:
            with suppress(nats.errors.Error, TimeoutError, OSError):
                if client.is_connected:
                    await connection.js.delete_consumer(SEARCH.name, made.name)

        stack.push_async_callback(remove)
        self._ready.set()
        expected = 1
        while not reconnected.is_set():
            message = await self._next_message(messages, reconnected)
            if message is None:
                return
            if _status(message) is not None:
                await self._answer_heartbeat(message, expected)
                continue
            meta = message.metadata
            if meta.sequence.consumer != expected:
                return
            expected += 1
            self._next = meta.sequence.stream + 1
            self._fan_out(message)

    async def _next_message(self, messages: "Subscription", cut: asyncio.Event) -> "Msg | None":
        """The next one; None when the connection was cut meanwhile. Silence raises TimeoutError."""
        if messages.pending_msgs:
            return await messages.next_msg(timeout=SILENCE)
        getting = asyncio.ensure_future(messages.next_msg(timeout=SILENCE))
        cutting = asyncio.ensure_future(cut.wait())
        try:
            await asyncio.wait({getting, cutting}, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            cutting.cancel()
            getting.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await getting

    async def _find_start(self) -> None:
        """The first time after the newest; later where we were, unless the stream is another or lost its end."""
        request = await self._bus.connection.client.request(f"$JS.API.STREAM.INFO.{SEARCH.name}", b"", timeout=5)
        info = orjson.loads(request.data)
        if error := info.get("error"):
            raise APIError.from_error(error)
        epoch = f"{int(moment(info['created']).timestamp() * 1e6):x}"
        newest = int(info["state"]["last_seq"])
        if self.epoch and (epoch != self.epoch or newest + 1 < self._next):
            log.warning("feed.began_anew", epoch=epoch, sequence=newest)
            self._close_all()
            self._positions.clear()
            self._next = newest + 1
        elif not self.epoch:
            self._next = newest + 1
        self.epoch = epoch

    async def _answer_heartbeat(self, message: "Msg", expected: int) -> None:
        headers = message.headers or {}
        answer_to = message.reply or headers.get("Nats-Consumer-Stalled", "")
        if answer_to:
            await self._bus.connection.client.publish(answer_to)
        if int(headers.get("Nats-Last-Consumer", expected - 1)) > expected - 1:
            raise nats.errors.Error("the consumer is ahead of what came")

    def _fan_out(self, message: "Msg") -> None:
        search_id = search_id_of(message.subject)
        sequence = message.metadata.sequence.stream
        self._positions[search_id] = sequence
        self._positions.move_to_end(search_id)
        while len(self._positions) > POSITIONS:
            self._positions.popitem(last=False)
        if self._tap is not None:
            self._tap(message.subject, sequence, message.data)
        if listeners := self._listeners.get(search_id):
            row = _stored(message)
            for listener in listeners:
                listener.offer(row)

    def _close_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.close()

    async def _stop(self) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        self._close_all()


def _consumer_config(inbox: str, start: int) -> ConsumerConfig:
    return ConsumerConfig(
        deliver_subject=inbox,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=start,
        ack_policy=AckPolicy.NONE,
        max_deliver=1,
        flow_control=True,
        idle_heartbeat=HEARTBEAT,
        inactive_threshold=IDLE_CONSUMER,
        mem_storage=True,
        num_replicas=1,
    )


def _status(message: "Msg") -> str | None:
    return (message.headers or {}).get("Status")


def _stored(message: "Msg") -> Stored:
    headers, meta = message.headers or {}, message.metadata
    return Stored(
        sequence=meta.sequence.stream,
        subject=message.subject,
        body=message.data,
        time=meta.timestamp,
        correlation_id=headers.get(CORRELATION),
        event_id=headers.get(EVENT_ID),
    )
