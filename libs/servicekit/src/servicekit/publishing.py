"""A message is published when its stream says so, and once, however often it had to be sent."""

import asyncio
from collections.abc import Mapping
from time import perf_counter
from uuid import uuid4

import nats.errors
from nats.js.errors import APIError, NoStreamResponseError

from contracts.subjects import DLQ, LEASE, MAX_MESSAGE_BYTES, Outgoing, search_id_of
from servicekit.backoff import backoff
from servicekit.connection import Connection
from servicekit.envelope import MSG_ID, PUBLISH_TOKEN, Ack, headers_for
from servicekit.errors import AlreadyInFlight, Fenced, Rejected, Unavailable
from servicekit.logs import log
from servicekit.reading import Reader
from servicekit.telemetry.measures import PUBLISH_SECONDS, PUBLISHED

TRY_TIME = 2.0
"""An acknowledgement takes well under a millisecond; the rest is a server that restarts."""

WRONG_LAST_SEQUENCE = 10071
CONCURRENT_EXPECTATION = 10164
"""Several fenced publishes were in flight at once on a replicated stream: try again."""
STORE_FAILED = 10077
WRONG_STREAM = 10060


class Publisher:
    """Sends messages into streams and awaits their acknowledgement."""

    def __init__(self, connection: Connection, reader: Reader, *, budget: float) -> None:
        self._connection = connection
        self._reader = reader
        self._budget = budget

    async def publish(self, outgoing: Outgoing, *, fence: int | None = None, expect_last: int | None = None) -> Ack:
        """Store one message of ours. `fence` is the sequence of the lease that must still be the newest."""
        stream = outgoing.topic.stream
        if stream is None:
            raise TypeError(f"{outgoing.subject} is core NATS: ring it")
        if len(outgoing.body) > MAX_MESSAGE_BYTES:
            why = f"{outgoing.subject}: {len(outgoing.body)} bytes: split it or store an object"
            raise Rejected("bus.too_large", why)
        headers = headers_for(outgoing, service=self._connection.service)
        if expect_last is not None:
            # The expectation already keeps it from being stored twice, whereas an id that was used before would let
            # the server answer `duplicate` without writing the lease.
            headers["Nats-Expected-Last-Subject-Sequence"] = str(expect_last)
        elif outgoing.msg_id is not None:
            headers[MSG_ID] = outgoing.msg_id
        if fence is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(fence)
            headers["Nats-Expected-Last-Subject-Sequence-Subject"] = LEASE.subject(
                search_id=search_id_of(outgoing.subject)
            )
        began, outcome = perf_counter(), "failed"
        try:
            ack = await self._store(stream.name, outgoing.subject, outgoing.body, headers)
            outcome = "duplicate" if ack.duplicate else "stored"
        except AlreadyInFlight:
            outcome = "in_flight"
            raise
        except Fenced:
            outcome = "fenced"
            raise
        finally:
            PUBLISHED.add(topic=outgoing.topic.name, outcome=outcome)
        PUBLISH_SECONDS.observe(perf_counter() - began)
        return ack

    async def dead_letter(self, stream: str, consumer: str, body: bytes, headers: Mapping[str, str]) -> Ack:
        """Keep what was given up."""
        return await self._store(DLQ.name, f"dlq.v1.{stream}.{consumer}", body, headers)

    async def send_again(self, stream: str, subject: str, body: bytes, headers: Mapping[str, str]) -> Ack:
        """Store a message as it once was; raises AlreadyInFlight for a claim."""
        return await self._store(stream, subject, body, headers)

    async def ring(self, outgoing: Outgoing) -> None:
        """Core publish: whoever listens now hears it, and losing it hurts nobody."""
        try:
            if self._connection.connected:
                await self._connection.client.publish(
                    outgoing.subject, outgoing.body, headers=headers_for(outgoing, service=self._connection.service)
                )
        except (nats.errors.Error, OSError, Unavailable) as exc:
            log.debug("bus.bell_lost", subject=outgoing.subject, error=repr(exc))

    async def _store(self, stream: str, subject: str, body: bytes, headers: Mapping[str, str]) -> Ack:
        token = uuid4().hex
        loop = asyncio.get_running_loop()
        end, failures, why = loop.time() + self._budget, 0, ""
        while (left := end - loop.time()) > 0:
            await self._connection.until_connected(left)
            try:
                ack = await self._connection.js.publish(
                    subject,
                    body,
                    timeout=max(0.05, min(TRY_TIME, end - loop.time())),
                    stream=stream,
                    headers={**headers, PUBLISH_TOKEN: token},
                )
                return Ack(sequence=ack.seq, duplicate=bool(ack.duplicate))
            except APIError as exc:
                why = exc.description or repr(exc)
                if settled := await self._refused(exc, stream, subject, token):
                    return settled
            except (nats.errors.Error, NoStreamResponseError, TimeoutError, OSError) as exc:
                why = repr(exc)
            failures += 1
            await asyncio.sleep(min(backoff(failures, first=0.02, most=1.0), max(0.0, end - loop.time())))
        raise Unavailable("bus.full" if "maximum" in why else "bus.no_ack", f"{subject}: {why}")

    async def _refused(self, error: APIError, stream: str, subject: str, token: str) -> Ack | None:
        """The acknowledgement of an earlier try of ours; raises when the refusal is final; None: try again."""
        code, text = error.err_code, error.description or ""
        if code == WRONG_STREAM:
            raise LookupError(f"{subject} does not belong to the stream {stream}") from error
        occupied = code == STORE_FAILED and "per subject" in text
        if code != WRONG_LAST_SEQUENCE and not occupied:
            return None
        try:
            ours = await self._reader.owns_last(stream, subject, token)
        except (nats.errors.Error, TimeoutError, OSError):
            return None
        if ours is not None:
            return Ack(sequence=ours, duplicate=True)
        if occupied:
            raise AlreadyInFlight(subject) from error
        raise Fenced(f"{subject}: {text}") from error
