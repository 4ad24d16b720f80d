"""Dead letters: what was given up, read page by page, thrown away, or given to its consumer once more.

Only the service that owns a consumer sends to it again: whoever asks needs no right to anyone's commands.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import nats.errors
import orjson

from contracts.ops import Retried, RetryLetter, RetryOutcome
from contracts.subjects import DLQ, STREAMS
from servicekit.connection import Connection
from servicekit.envelope import CORRELATION, MSG_ID, moment
from servicekit.errors import AlreadyInFlight, Unavailable
from servicekit.publishing import Publisher
from servicekit.reading import Reader

PAGE_BYTES: Final = 4 * 1024 * 1024
DELETE_WITHIN: Final = 5.0
_OURS: Final = "dlq-"


@dataclass(frozen=True, slots=True)
class Letter:
    """One message that was given up."""

    sequence: int
    stream: str
    consumer: str
    subject: str
    """Where it was sent."""
    reason: str
    """A stable code."""
    detail: str
    tries: int
    at: datetime
    correlation_id: str | None
    traceparent: str | None
    body: bytes

    @property
    def content(self) -> Any:
        """The message as JSON; the text itself where it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return self.body.decode(errors="replace")


class DeadLetters:
    """The letters of DLQ, as an operator sees them."""

    def __init__(self, connection: Connection, reader: Reader) -> None:
        self._connection = connection
        self._reader = reader

    async def page(self, *, after: int, limit: int, consumer: str | None = None) -> list[Letter]:
        """Up to `limit` letters above a sequence, the oldest first, and no more than 4 MB of them but always one."""
        subjects = f"dlq.v1.*.{consumer}" if consumer else "dlq.v1.>"
        found = await self._reader.raw(DLQ.name, subjects, start=after + 1, batch=limit, max_bytes=PAGE_BYTES)
        return [_letter(headers, body) for headers, body in found]

    async def one(self, sequence: int) -> Letter | None:
        """One letter; None when it is gone."""
        found = await self._reader.at(DLQ.name, sequence)
        return _letter(found.headers or {}, found.data) if found is not None else None

    async def discard(self, sequence: int) -> bool:
        """Throw one away; False when it was gone."""
        query = orjson.dumps({"seq": sequence, "no_erase": True})
        try:
            reply = await self._connection.client.request(
                f"$JS.API.STREAM.MSG.DELETE.{DLQ.name}", query, timeout=DELETE_WITHIN
            )
        except (nats.errors.Error, TimeoutError, OSError) as exc:
            raise Unavailable("bus.no_answer", "no deletion of a dead letter") from exc
        return bool(orjson.loads(reply.data).get("success"))


async def send_again(query: RetryLetter, *, own: Collection[str], reader: Reader, publisher: Publisher) -> Retried:
    """Put a letter back where it came from, for a consumer of ours. However often it is asked, it is sent once."""
    found = await reader.at(DLQ.name, query.sequence)
    headers: Mapping[str, str] = (found.headers or {}) if found is not None else {}
    if found is None or headers.get("dlq-consumer") != query.consumer or query.consumer not in own:
        return Retried(outcome=RetryOutcome.GONE)
    stream = next(each for each in STREAMS if each.name == headers["dlq-stream"])
    kept = {name: value for name, value in headers.items() if not name.startswith((_OURS, "Nats-"))}
    if not stream.one_per_subject:
        kept[MSG_ID] = f"{headers['dlq-subject']}:retry:{query.sequence}"
    try:
        await publisher.send_again(stream.name, headers["dlq-subject"], found.data, kept)
    except AlreadyInFlight:
        return Retried(outcome=RetryOutcome.IN_FLIGHT)
    return Retried(outcome=RetryOutcome.SENT)


def _letter(headers: Mapping[str, str], body: bytes) -> Letter:
    return Letter(
        sequence=int(headers["Nats-Sequence"]),
        stream=headers.get("dlq-stream", ""),
        consumer=headers.get("dlq-consumer", ""),
        subject=headers.get("dlq-subject", ""),
        reason=headers.get("dlq-reason", ""),
        detail=headers.get("dlq-detail", ""),
        tries=int(headers.get("dlq-tries", "0")),
        at=moment(headers["Nats-Time-Stamp"]),
        correlation_id=headers.get(CORRELATION),
        traceparent=headers.get("traceparent"),
        body=body,
    )
