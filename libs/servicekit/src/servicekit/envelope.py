"""What surrounds a message on the bus: its headers going out, its place and time coming in."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from opentelemetry import propagate

from contracts.subjects import STREAMS, Outgoing, Stream
from servicekit.clock import utc_now
from servicekit.correlation import correlation_id, new_correlation_id

MSG_ID = "Nats-Msg-Id"
EVENT_ID = "ce-id"
CORRELATION = "correlation-id"
PUBLISH_TOKEN = "farol-publish"  # noqa: S105 - the name of a header
"""The same over the retries of one publish and over nothing else: it tells our own stored message from a rival's."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a message came to its handler."""

    subject: str
    sequence: int
    attempt: int
    """The first try is 1. A dependency that was away and a hand-over at shutdown spend none."""
    correlation_id: str
    stopping: asyncio.Event
    """Set when the process drains: a long handler may finish early, or is cancelled and handed over."""
    last_try: bool = False
    """A failure now becomes a dead letter."""
    redelivered: bool = False
    """Someone was given this message before: its effects may already be there."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The stream has it."""

    sequence: int
    duplicate: bool
    """It was there before: an earlier try, or another publisher with the same id."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a stream keeps it."""

    sequence: int
    subject: str
    body: bytes
    time: datetime
    correlation_id: str | None = None
    event_id: str | None = None
    """The CloudEvents id; a fact stored twice has it twice."""


def headers_for(outgoing: Outgoing, *, service: str) -> dict[str, str]:
    """CloudEvents 1.0 attributes in binary mode, the correlation id and the trace context."""
    headers = {
        EVENT_ID: outgoing.msg_id or str(uuid4()),
        "ce-specversion": "1.0",
        "ce-type": f"farol.{outgoing.topic.name}.v1",
        "ce-source": f"/farol/{service}",
        "ce-time": utc_now().isoformat(),
        "ce-datacontenttype": "application/json",
        CORRELATION: correlation_id() or new_correlation_id(),
    }
    propagate.inject(headers)
    return headers


def stored_from_direct_get(headers: Mapping[str, str], body: bytes) -> Stored:
    """A message as a direct get answers it: its place and time are headers."""
    return Stored(
        sequence=int(headers["Nats-Sequence"]),
        subject=headers["Nats-Subject"],
        body=body,
        time=moment(headers["Nats-Time-Stamp"]),
        correlation_id=headers.get(CORRELATION),
        event_id=headers.get(EVENT_ID),
    )


def stream_of(subject: str) -> Stream:
    """The stream that keeps this subject."""
    for stream in STREAMS:
        if any(subject.startswith(pattern.removesuffix(">")) for pattern in stream.subjects):
            return stream
    raise LookupError(f"no stream keeps {subject}")


def moment(text: str) -> datetime:
    """The server writes RFC 3339 with up to nine decimals; a datetime keeps six."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{rest[:6]:0<6}+00:00")
