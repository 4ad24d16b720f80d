"""From a delivery to its outcome: beat while the handler runs, publish what it yields, then ack, nak or dead letter."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import nats.errors
import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsMessage, PullSub
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from contracts.ops import QueueSeen
from contracts.subjects import Consumer, Outgoing
from servicekit.backoff import backoff
from servicekit.clock import utc_now
from servicekit.connection import Connection
from servicekit.correlation import correlated, new_correlation_id
from servicekit.envelope import CORRELATION, MSG_ID, Delivery
from servicekit.errors import (
    Abandoned,
    AlreadyInFlight,
    DependencyAway,
    Rejected,
    Transient,
    Unavailable,
)
from servicekit.gate import FETCH_TIME, Gate
from servicekit.logs import log
from servicekit.outcomes import first_faults, leading, one_line, retry_delay
from servicekit.publishing import Publisher
from servicekit.telemetry.measures import (
    DEAD_LETTERS,
    HANDLE_SECONDS,
    HANDLED,
    PAUSED,
    QUEUE_IN_WORK,
    QUEUE_MISSING,
    QUEUE_PENDING,
    QUEUE_REDELIVERED,
    REDELIVERIES,
    RUNNING,
)
from servicekit.telemetry.tracing import about, message_span, trace_id

if TYPE_CHECKING:
    from nats.aio.msg import Msg

M = TypeVar("M")
Handler = Callable[[M, Delivery], AsyncIterator[Outgoing]]

REMEMBERED: Final = 10_000
PROVISION_TIME: Final = 60.0
PROBE_PATIENCE: Final = 5.0
"""A probe that has run for so long without a complaint has found its dependency."""
SETTLE_TIME: Final = 5.0
INFO_TIME: Final = 2.0


def delivery_limit(consumer: Consumer) -> int:
    """How many deliveries may end without any answer before a message is held to kill whoever takes it.

    The server counts deliveries and not how they ended. What waits for a dependency or for the bus is kept in its
    process and costs no delivery, so that only tries, stops of a process and crashes count: far fewer than this.
    """
    return max(100, 4 * consumer.tries)


def kills_its_takers(consumer: Consumer, *, deliveries: int, age: timedelta, answered_here: bool) -> bool:
    """Whether a message has to be given up unseen: only when nothing but crashes can explain its deliveries.

    A process that has given it back has outlived it. Deliveries that nobody answered are `ack_wait` apart, so that a
    message too young for that many was given back by other processes.
    """
    limit = delivery_limit(consumer)
    return deliveries > limit and not answered_here and age >= limit * consumer.ack_wait


class Consumption(Generic[M]):
    """One durable consumer in one process."""

    def __init__(
        self,
        consumer: Consumer,
        handler: Handler[M],
        *,
        workers: int,
        connection: Connection,
        publisher: Publisher,
        stopping: asyncio.Event,
    ) -> None:
        self.consumer = consumer
        self._handler = handler
        self._workers = workers
        self._connection = connection
        self._publisher = publisher
        self._stopping = stopping
        self._gate: Gate | None = None
        self._runs: dict[int, _Run] = {}
        self._spent: OrderedDict[int, int] = OrderedDict()
        self._given_back: OrderedDict[int, None] = OrderedDict()
        self._probe: _Run | None = None
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._stop_subscriber: Callable[[], Any] | None = None
        self._held = False

    async def start(self) -> None:
        """Begin to take messages; waits for the consumer to be provisioned."""
        await self._until_provisioned()
        broker = self._connection.broker
        subscriber: Any = broker.subscriber(
            self.consumer.filter,
            stream=JStream(self.consumer.stream.name, declare=False),
            durable=self.consumer.durable,
            pull_sub=PullSub(batch_size=1, timeout=FETCH_TIME),
            max_workers=self._workers,
            ack_policy=AckPolicy.MANUAL,
            decoder=as_it_came,
            no_reply=True,
            inbox_prefix=f"{self._connection.inbox}.".encode(),
        )
        subscriber(self._on_message)
        await subscriber.start()
        # Before its pull loop has run once: starting ended without giving up the event loop.
        self._gate = Gate(
            subscriber.subscription, connection=self._connection, workers=self._workers, name=self.consumer.durable
        )
        subscriber.subscription = self._gate
        self._stop_subscriber = subscriber.stop

    async def drain(self, grace: float) -> None:
        """Take nothing more, let handlers end within the grace, hand back the rest at once."""
        self._resumed.set()  # what waits goes back now
        stop_subscriber, self._stop_subscriber = self._stop_subscriber, None
        if self._gate is None or stop_subscriber is None:
            return
        await self._gate.close()
        runs = list(self._runs.values())
        if runs and grace > 0:
            await asyncio.wait([asyncio.ensure_future(run.settled.wait()) for run in runs], timeout=grace)
        for run in list(self._runs.values()):
            run.hand_over()
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_TIME):
                for run in list(self._runs.values()):
                    await run.settled.wait()
        await stop_subscriber()

    @property
    def paused(self) -> bool:
        """True while a dependency is away."""
        return self._probe is not None

    @property
    def broken(self) -> bool:
        """True while it asks a consumer in vain that should be there."""
        return self._gate is not None and self._gate.cut_off

    def hold(self, *, held: bool) -> None:
        """Take no new messages until released; what is in work goes on."""
        self._held = held
        if self._gate is not None and self._probe is None:
            (self._gate.pause if held else self._gate.resume)()
        PAUSED.set(held, consumer=self.consumer.durable)

    async def seen(self) -> QueueSeen:
        """How it stands on the server, and here; raises Unavailable where the server does not say."""
        name = self.consumer.durable
        try:
            async with asyncio.timeout(INFO_TIME):
                info = await self._connection.js.consumer_info(self.consumer.stream.name, name)
        except NotFoundError:
            QUEUE_MISSING.set(1, consumer=name)
            return QueueSeen(consumer=name, missing=True, paused=self.paused)
        except (nats.errors.Error, TimeoutError, OSError) as exc:
            raise Unavailable("bus.no_answer", name) from exc
        pending, in_work, again = info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0
        QUEUE_MISSING.set(0, consumer=name)
        QUEUE_PENDING.set(pending, consumer=name)
        QUEUE_IN_WORK.set(in_work, consumer=name)
        QUEUE_REDELIVERED.set(again, consumer=name)
        return QueueSeen(
            consumer=name, pending=pending, in_work=in_work, redelivered=again, paused=self.paused or self._held
        )

    @property
    def running(self) -> int:
        """Messages in work."""
        return len(self._runs)

    async def _until_provisioned(self) -> None:
        """nats-py would create a missing consumer with settings of its own."""
        loop = asyncio.get_running_loop()
        end, warned = loop.time() + PROVISION_TIME, False
        while True:
            await self._connection.until_connected(max(0.0, end - loop.time()))
            try:
                await self._connection.js.consumer_info(self.consumer.stream.name, self.consumer.durable)
            except NotFoundError as exc:
                if loop.time() >= end:
                    why = f"{self.consumer.durable} does not exist: run python -m servicekit.provision"
                    raise LookupError(why) from exc
                if not warned:
                    warned = True
                    log.warning("bus.not_provisioned", consumer=self.consumer.durable)
            except (nats.errors.Error, TimeoutError, OSError):
                if loop.time() >= end:
                    raise
            else:
                return
            await asyncio.sleep(0.25)

    async def _on_message(self, message: NatsMessage) -> None:
        raw = message.raw_message
        assert self._gate is not None  # noqa: S101 - it is set before the first message can come
        try:
            await self._take(raw)
        finally:
            self._gate.release()

    async def _take(self, raw: "Msg") -> None:
        meta = raw.metadata
        sequence = meta.sequence.stream
        if running := self._runs.get(sequence):
            # A beat was lost and the server gave it to us again: the newest delivery is the one to answer.
            running.raw = raw
            return
        run = _Run(raw, number=meta.num_delivered)
        if self._stopping.is_set():
            await self._give_back(run)
            return
        self._runs[sequence] = run
        RUNNING.set(len(self._runs), consumer=self.consumer.durable)
        if run.number > 1:
            REDELIVERIES.add(consumer=self.consumer.durable)
        beat = asyncio.create_task(self._beat(run))
        try:
            if kills_its_takers(
                self.consumer,
                deliveries=meta.num_delivered,
                age=utc_now() - meta.timestamp,
                answered_here=sequence in self._given_back,
            ):
                await self._give_up(run, "delivered_too_often", f"delivered {meta.num_delivered} times")
            else:
                await self._work(run, beat)
        finally:
            beat.cancel()
            self._runs.pop(sequence, None)
            RUNNING.set(len(self._runs), consumer=self.consumer.durable)
            if self._probe is run:
                self._resume()
            run.settled.set()

    async def _work(self, run: "_Run", beat: "asyncio.Task[None]") -> None:
        """Run the handler until it has an outcome, and tell the server; what only has to wait waits here."""
        while True:
            if self._probe is not run:
                await self._resumed.wait()
            began = perf_counter()
            error = await self._run_handler(run)
            if not self._stopping.is_set():
                if isinstance(error, DependencyAway):
                    await self._pause(run, error)
                    continue
                if isinstance(error, Unavailable) and error.bus_itself:
                    run.misses += 1
                    await self._rest(backoff(run.misses))
                    continue
            beat.cancel()
            outcome = await self._settle(run, error)
            seconds = perf_counter() - began
            HANDLED.add(consumer=self.consumer.durable, outcome=outcome)
            HANDLE_SECONDS.observe(seconds, consumer=self.consumer.durable)
            log.debug(
                "message.handled",
                subject=run.raw.subject, consumer=self.consumer.durable, delivery=run.number,
                outcome=outcome, ms=round(seconds * 1000, 1),
            )  # fmt: skip
            return

    async def _run_handler(self, run: "_Run") -> BaseException | None:
        """The exception that the handler ended with; None when it is exhausted."""
        if self._stopping.is_set():
            return asyncio.CancelledError()
        run.task = asyncio.create_task(self._handle(run))
        try:
            await asyncio.wait({run.task})
        except asyncio.CancelledError:
            run.task.cancel()
            await asyncio.wait({run.task})
            raise
        if run.task.cancelled():
            return asyncio.CancelledError() if run.handed_over else RuntimeError("the handler cancelled itself")
        return leading(run.task.exception())

    async def _handle(self, run: "_Run") -> None:
        raw, headers = run.raw, run.raw.headers or {}
        correlation = headers.get(CORRELATION) or new_correlation_id()
        spent = self._spent.get(run.sequence, 0)
        delivery = Delivery(
            subject=raw.subject, sequence=run.sequence, attempt=spent + 1, correlation_id=correlation,
            stopping=self._stopping, last_try=self._is_last(run), redelivered=run.number > 1 or run.misses > 0,
        )  # fmt: skip
        message: M = self.consumer.topic.decode(raw.data)
        span_name = f"{self.consumer.durable} process"
        with (
            correlated(correlation),
            message_span(self._connection.service, span_name, headers) as span,
            structlog.contextvars.bound_contextvars(
                service=self._connection.service, **_log_context(message, delivery)
            ),
        ):
            if isinstance(search := getattr(message, "search_id", None), str):
                about(span, search_id=search)
            stream = self._handler(message, delivery)
            patience = asyncio.get_running_loop().call_later(PROBE_PATIENCE, self._progressed, run)
            try:
                async for outgoing in stream:
                    self._progressed(run)
                    await self._emit(outgoing)
            finally:
                patience.cancel()
                if isinstance(stream, AsyncGenerator):
                    await stream.aclose()

    async def _emit(self, outgoing: Outgoing) -> None:
        if outgoing.topic.stream is None:
            await self._publisher.ring(outgoing)
            return
        with suppress(AlreadyInFlight):  # the claim is there, whoever made it
            await self._publisher.publish(outgoing)

    async def _settle(self, run: "_Run", error: BaseException | None) -> str:  # noqa: PLR0911 - one line per outcome
        """Answer the server; the word is for the log."""
        match error:
            case None:
                await _quietly(run.raw.ack())
                self._spent.pop(run.sequence, None)
                return "done"
            case asyncio.CancelledError():
                await self._give_back(run)
                return "handed_over"
            case Abandoned():
                return "abandoned"
            case Rejected(code=code):
                return await self._give_up(run, code, str(error))
            case ValidationError():
                return await self._give_up(run, "invalid", first_faults(error))
            case DependencyAway() | Unavailable(bus_itself=True):
                await self._give_back(run)
                return "handed_over"
            case _:
                return await self._failed(run, error)

    async def _failed(self, run: "_Run", error: BaseException) -> str:
        """One try is spent: again later, or the end."""
        code = error.code if isinstance(error, Transient) else "bug"
        last = self._is_last(run)
        spent = self._spent[run.sequence] = self._spent.pop(run.sequence, 0) + 1
        while len(self._spent) > REMEMBERED:
            self._spent.popitem(last=False)
        if code == "bug":
            log.error(
                "handler.failed", consumer=self.consumer.durable, subject=run.raw.subject, attempt=spent,
                error=repr(error), exc_info=error if spent == 1 else None,
            )  # fmt: skip
        if last:
            return await self._give_up(run, code, f"{type(error).__name__}: {error}")
        wanted = error.delay if isinstance(error, Transient) else None
        await self._give_back(run, delay=retry_delay(wanted, spent))
        return "retried"

    async def _give_back(self, run: "_Run", *, delay: float | None = None) -> None:
        self._given_back[run.sequence] = None
        self._given_back.move_to_end(run.sequence)
        while len(self._given_back) > REMEMBERED:
            self._given_back.popitem(last=False)
        await _quietly(run.raw.nak(delay=delay))

    async def _give_up(self, run: "_Run", reason: str, detail: str) -> str:
        """To the dead letters, and only once they have it, off the stream."""
        raw, stream = run.raw, self.consumer.stream.name
        kept = {name: value for name, value in (raw.headers or {}).items() if not name.startswith("Nats-")}
        headers = {
            **kept,
            MSG_ID: f"dlq:{stream}:{self.consumer.durable}:{run.sequence}",
            "dlq-reason": reason,
            "dlq-detail": one_line(detail),
            "dlq-subject": raw.subject,
            "dlq-stream": stream,
            "dlq-sequence": str(run.sequence),
            "dlq-consumer": self.consumer.durable,
            "dlq-tries": str(self._spent.get(run.sequence, 0)),
            "dlq-deliveries": str(run.number),
            "dlq-time": utc_now().isoformat(),
            "dlq-msg-id": (raw.headers or {}).get(MSG_ID, ""),
        }
        try:
            await self._publisher.dead_letter(stream, self.consumer.durable, raw.data, headers)
        except Unavailable:
            await self._give_back(run, delay=backoff(3))
            return "retried"
        await _quietly(raw.term())
        self._spent.pop(run.sequence, None)
        DEAD_LETTERS.add(consumer=self.consumer.durable)
        log.error(
            "message.dead_lettered", consumer=self.consumer.durable, subject=raw.subject, sequence=run.sequence,
            reason=reason, detail=one_line(detail),
        )  # fmt: skip
        return "dead_lettered"

    def _is_last(self, run: "_Run") -> bool:
        return self._spent.get(run.sequence, 0) + 1 >= self.consumer.tries

    async def _pause(self, run: "_Run", error: DependencyAway) -> None:
        """Close the subscription. The first to notice is the probe and returns to try again; others return after it."""
        run.misses += 1
        if self._probe is None:
            self._probe = run
            self._resumed.clear()
            if self._gate is not None:
                self._gate.pause()
            PAUSED.set(1, consumer=self.consumer.durable)
            log.warning("consumer.paused", consumer=self.consumer.durable, dependency=error.dependency)
        if self._probe is run:
            await self._rest(retry_delay(error.delay, run.misses))

    async def _rest(self, delay: float) -> None:
        """So long, or until this process stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay)

    def _progressed(self, run: "_Run") -> None:
        if self._probe is run:
            self._resume()

    def _resume(self) -> None:
        self._probe = None
        PAUSED.set(0, consumer=self.consumer.durable)
        self._resumed.set()
        if self._gate is not None and not self._held:
            self._gate.resume()
        log.info("consumer.resumed", consumer=self.consumer.durable)

    async def _beat(self, run: "_Run") -> None:
        """Keep the delivery ours while its handler runs."""
        while True:
            await asyncio.sleep(self.consumer.ack_wait.total_seconds() / 3)
            await _quietly(run.raw.in_progress())


class _Run:
    """One delivery in work."""

    def __init__(self, raw: "Msg", *, number: int) -> None:
        self.raw = raw
        self.number = number
        self.sequence: int = raw.metadata.sequence.stream
        self.task: asyncio.Task[None] | None = None
        self.settled = asyncio.Event()
        self.handed_over = False
        self.misses = 0
        """How often what it needs was away; each time its handler has begun."""

    def hand_over(self) -> None:
        """Stop the handler; its message goes back at once."""
        self.handed_over = True
        if self.task is not None:
            self.task.cancel()


async def as_it_came(message: NatsMessage) -> NatsMessage:
    """FastStream's decoder would guess from a content type: the topic's own adapter decodes, once."""
    return message


def _log_context(message: object, delivery: Delivery) -> dict[str, Any]:
    bound: dict[str, Any] = {
        "subject": delivery.subject, "delivery": delivery.sequence, "correlation_id": delivery.correlation_id
    }  # fmt: skip
    if isinstance(search := getattr(message, "search_id", None), str):
        bound["search_id"] = search
    if traced := trace_id():
        bound["trace_id"] = traced
    return bound


async def _quietly(answer: Any) -> None:
    """An answer that the server never gets only means that it delivers again."""
    with suppress(nats.errors.Error, OSError, TimeoutError):
        await answer
