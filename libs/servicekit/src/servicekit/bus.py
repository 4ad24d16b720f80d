"""The one way to publish, to subscribe and to ask. Services know subjects and models, never NATS."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeVar

import nats.errors
from faststream import AckPolicy
from faststream.nats import NatsMessage
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.ops import QueueSeen
from contracts.report import ObjectRef
from contracts.subjects import RETRY, SEARCH, Consumer, Outgoing, Topic
from servicekit.connection import Connection
from servicekit.consuming import Consumption, Handler, as_it_came
from servicekit.correlation import correlated, new_correlation_id
from servicekit.envelope import CORRELATION, Ack, Delivery, Stored, headers_for
from servicekit.errors import Rejected, Transient, Unavailable
from servicekit.health import Unwell
from servicekit.letters import DeadLetters, send_again
from servicekit.logs import log
from servicekit.objects import Objects
from servicekit.publishing import Publisher
from servicekit.reading import Reader, StreamSeen, stream_seen
from servicekit.telemetry.tracing import carried, message_span

__all__ = ["Ack", "Bus", "Delivery", "Stored"]

M = TypeVar("M")
Q = TypeVar("Q")
R = TypeVar("R")

ANSWERS_AT_ONCE: Final = 64
FAULT: Final = "farol-fault"
"""The header of a reply that has no answer: the code of what went wrong."""
PUBLISH_BUDGET: Final = timedelta(seconds=10)
GRACE: Final = timedelta(seconds=2)


class BrokenConsumers(Unwell):
    """Consumers that a service needs are not there; it names them."""


class Bus:
    """One service's place on the bus. Several may live in one event loop."""

    def __init__(
        self, *, url: str, service: str, publish_budget: timedelta = PUBLISH_BUDGET, grace: timedelta = GRACE
    ) -> None:
        self.service = service
        self._grace = grace.total_seconds()
        self._stopping = asyncio.Event()
        self._connection = Connection(url=url, service=service)
        self._reader = Reader(self._connection)
        self._publisher = Publisher(self._connection, self._reader, budget=publish_budget.total_seconds())
        self._objects = Objects(self._connection, self._reader)
        self._consumptions: list[Consumption[Any]] = []
        self._core: list[tuple[Topic[Any], Callable[[NatsMessage], Awaitable[None]], str, int]] = []
        self._core_stops: list[Callable[[], Awaitable[None]]] = []
        self._consuming = False
        self.drained = False
        """Whether an operator has told it to take no more work."""

    @property
    def connected(self) -> bool:
        """True while the server is there."""
        return self._connection.connected

    @property
    def connection(self) -> Connection:
        """For servicekit's own parts."""
        return self._connection

    @property
    def reader(self) -> Reader:
        """For servicekit's own parts."""
        return self._reader

    def handle(self, consumer: Consumer, handler: Handler[M], *, workers: int | None = None) -> None:
        """Give each message of this consumer to the handler; registered before `start`."""
        self._refuse_late_registration()
        self._consumptions.append(
            Consumption(
                consumer, handler, workers=workers or consumer.workers,
                connection=self._connection, publisher=self._publisher, stopping=self._stopping,
            )
        )  # fmt: skip

    def answer(self, topic: Topic[Q], handler: Callable[[Q], Awaitable[Any]]) -> None:
        """Answer requests; the processes of one service share them."""
        self._refuse_late_registration()

        async def on_request(message: NatsMessage) -> None:
            raw = message.raw_message
            headers: dict[str, str] = {}
            body = b""
            try:
                sent = raw.headers or {}
                with (
                    correlated(sent.get(CORRELATION) or new_correlation_id()),
                    message_span(self.service, f"{topic.name} answer", sent, kind=SpanKind.SERVER),
                ):
                    body = _encode(await handler(topic.decode(raw.data)), topic.reply)
            except ValidationError:
                headers = {FAULT: "request.invalid"}
            except (Transient, Rejected) as exc:
                headers = {FAULT: exc.code}
            except Exception:  # noqa: BLE001 - whoever asked must not wait for the timeout, and other requests go on
                log.exception("request.failed", service=self.service, subject=raw.subject)
                headers = {FAULT: "bug"}
            with suppress(nats.errors.Error, OSError, Unavailable):
                await self._connection.client.publish(raw.reply, body, headers=headers or None)

        self._core.append((topic, on_request, self.service, ANSWERS_AT_ONCE))

    def listen(self, topic: Topic[M], handler: Callable[[M], Awaitable[None]], *, once: bool = False) -> None:
        """Hear each bell in order, in every process, or with `once` in one process of the service; lossy."""
        self._refuse_late_registration()

        async def on_bell(message: NatsMessage) -> None:
            raw = message.raw_message
            try:
                sent = raw.headers or {}
                with correlated(sent.get(CORRELATION) or new_correlation_id()), carried(sent):
                    await handler(topic.decode(raw.data))
            except Exception:  # noqa: BLE001 - one bell must not silence those after it
                log.exception("bell.failed", service=self.service, subject=raw.subject)

        self._core.append((topic, on_bell, self.service if once else "", 1))

    async def connect(self) -> None:
        """Connect without taking messages yet; waits for the server."""
        await self._connection.open()

    async def start(self) -> None:
        """Connect and begin to take messages."""
        await self.connect()
        self._consuming = True
        if self._consumptions:
            self._core.append((RETRY, self._on_retry, self.service, 1))
        for topic, on_message, queue, workers in self._core:
            await self._subscribe(topic, on_message, queue, workers)
        await asyncio.gather(*(consumption.start() for consumption in self._consumptions))

    async def drain(self) -> None:
        """Take nothing more: running handlers get `stopping` and a short grace, then their messages go back at once."""
        self._stopping.set()
        await asyncio.gather(*(consumption.drain(self._grace) for consumption in self._consumptions))
        stops, self._core_stops = self._core_stops, []
        for stop in stops:
            with suppress(nats.errors.Error):
                await stop()

    async def stop(self) -> None:
        """Drain, then close the connection."""
        await self.drain()
        await self._connection.close()

    async def publish(self, outgoing: Outgoing, *, fence: int | None = None, expect_last: int | None = None) -> Ack:
        """Store a message; returns when the stream has it.

        `fence`: only while this sequence is still the newest lease of its search, else Fenced.
        `expect_last`: only while this is the newest sequence of its own subject (0: none yet), else Fenced.
        Raises AlreadyInFlight (a claim), Rejected (above 256 KB), Unavailable (the budget is over).
        """
        return await self._publisher.publish(outgoing, fence=fence, expect_last=expect_last)

    async def ring(self, outgoing: Outgoing) -> None:
        """Tell whoever listens now; never fails loudly."""
        await self._publisher.ring(outgoing)

    async def request(self, topic: Topic[Any], query: BaseModel, *, timeout: timedelta) -> Any:  # noqa: ASYNC109 - it is the interface's word
        """The reply of whoever answers this topic; Unavailable without one."""
        outgoing = topic.message(query)
        try:
            reply = await self._connection.client.request(
                outgoing.subject,
                outgoing.body,
                timeout=timeout.total_seconds(),
                headers=headers_for(outgoing, service=self.service),
            )
        except (nats.errors.Error, TimeoutError, OSError) as exc:
            raise Unavailable("rpc.no_answer", f"{outgoing.subject}: {exc!r}") from exc
        if fault := (reply.headers or {}).get(FAULT):
            raise Unavailable(f"rpc.{fault}", outgoing.subject)
        try:
            return _adapter(topic.reply).validate_json(reply.data)
        except ValidationError as exc:
            raise Unavailable("rpc.bad_reply", outgoing.subject) from exc

    async def last(self, subject: str) -> Stored | None:
        """The newest message on this subject."""
        return await self._reader.last(subject)

    async def history(self, search_id: str, *, after: int = 0) -> list[Stored]:
        """The log of one search, in order, above a sequence."""
        return await self._reader.range(SEARCH.name, f"search.v1.{search_id}.>", start=after + 1)

    async def put_object(self, bucket: str, name: str, data: bytes) -> ObjectRef:
        """Keep content that is too large for a message."""
        return await self._objects.put(bucket, name, data)

    async def get_object(self, ref: ObjectRef) -> bytes:
        """The content of a reference; Rejected when it is gone or was replaced."""
        return await self._objects.get(ref)

    async def find_object(self, bucket: str, name: str) -> ObjectRef | None:
        """What lies under a name now; None when nothing does."""
        return await self._objects.find(bucket, name)

    @property
    def dead_letters(self) -> DeadLetters:
        """What was given up."""
        return DeadLetters(self._connection, self._reader)

    async def check(self) -> str | None:
        """For `servicekit.health`: a round trip to the server; raises without one. Names what is paused."""
        await self._connection.client.flush(timeout=1)
        paused = self.paused_consumers()
        return f"paused: {', '.join(paused)}" if paused else None

    async def check_consumers(self) -> None:
        """For `servicekit.health`: raises BrokenConsumers while one that should be there gives nothing."""
        broken = [each.consumer.durable for each in self._consumptions if each.broken]
        if broken:
            raise BrokenConsumers(", ".join(broken))

    async def queues(self) -> tuple[QueueSeen, ...]:
        """How each consumer of this service stands; raises Unavailable."""
        return tuple(await asyncio.gather(*(each.seen() for each in self._consumptions)))

    async def stream(self, name: str) -> StreamSeen | None:
        """How full a stream is; None when there is none. Raises Unavailable."""
        try:
            reply = await self._connection.client.request(f"$JS.API.STREAM.INFO.{name}", b"", timeout=2)
        except (nats.errors.Error, TimeoutError, OSError) as exc:
            raise Unavailable("bus.no_answer", name) from exc
        return stream_seen(reply.data)

    def hold(self, *, held: bool) -> None:
        """Take no new work from any consumer until released."""
        self.drained = held
        for each in self._consumptions:
            each.hold(held=held)

    def paused_consumers(self) -> tuple[str, ...]:
        """Whose dependency is away."""
        return tuple(each.consumer.durable for each in self._consumptions if each.paused)

    async def _on_retry(self, message: NatsMessage) -> None:
        """A letter of a consumer of ours is sent once more; of another's we say nothing, since its owner answers."""
        raw = message.raw_message
        own = {each.consumer.durable for each in self._consumptions}
        try:
            query = RETRY.decode(raw.data)
            if query.consumer not in own:
                return
            told = await send_again(query, own=own, reader=self._reader, publisher=self._publisher)
            log.info("dead_letter.sent_again", consumer=query.consumer, letter=query.sequence, outcome=told.outcome)
            await self._connection.client.publish(raw.reply, told.to_json())
        except (ValidationError, Transient, Rejected, nats.errors.Error, OSError) as exc:
            log.warning("dead_letter.not_sent", error=repr(exc))  # whoever asked waits, and is told that nobody answers

    async def _subscribe(
        self, topic: Topic[Any], on_message: Callable[[NatsMessage], Awaitable[None]], queue: str, workers: int
    ) -> None:
        subscriber: Any = self._connection.broker.subscriber(
            topic.wildcard,
            queue=queue,
            max_workers=workers,
            ack_policy=AckPolicy.MANUAL,
            decoder=as_it_came,
            no_reply=True,
        )
        subscriber(on_message)
        await subscriber.start()
        self._core_stops.append(subscriber.stop)

    def _refuse_late_registration(self) -> None:
        if self._consuming:
            raise RuntimeError("register before start: a late handler would miss what came before it")


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(model: Any) -> TypeAdapter[Any]:
    if model not in _adapters:
        _adapters[model] = TypeAdapter(model)
    return _adapters[model]


def _encode(value: Any, model: Any) -> bytes:
    return value.model_dump_json().encode() if isinstance(value, BaseModel) else _adapter(model).dump_json(value)
