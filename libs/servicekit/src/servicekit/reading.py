"""Reading back what a stream holds, by direct get: it needs no consumer and leaves nothing behind."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import nats.errors
import orjson
from nats.js.errors import NotFoundError

from servicekit.backoff import backoff
from servicekit.connection import Connection
from servicekit.envelope import PUBLISH_TOKEN, Stored, stored_from_direct_get, stream_of
from servicekit.errors import Unavailable

if TYPE_CHECKING:
    from nats.aio.msg import Msg

BATCH: Final = 500
"""At most 128 MB a batch; a whole search is a few hundred facts."""
READ_BUDGET = 10.0
WAIT_FOR_NEXT = 2.0


@dataclass(frozen=True, slots=True)
class StreamSeen:
    """How a stream stands."""

    messages: int
    last_sequence: int
    fill: float
    """Bytes over the bytes that it may have; 0 without a bound."""


def stream_seen(reply: bytes) -> StreamSeen | None:
    """What the server says of a stream; None when it knows none."""
    info = orjson.loads(reply)
    if info.get("error"):
        return None
    most, state = info["config"].get("max_bytes", -1), info["state"]
    return StreamSeen(
        messages=state["messages"], last_sequence=state["last_seq"], fill=state["bytes"] / most if most > 0 else 0.0
    )


class Reader:
    """Reads messages that are stored; Unavailable when the server does not answer within the budget."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def last(self, subject: str) -> Stored | None:
        """The newest message on one subject."""
        return await self.last_in(stream_of(subject).name, subject)

    async def last_in(self, stream: str, subject: str) -> Stored | None:
        """The newest message on one subject of this stream."""
        loop = asyncio.get_running_loop()
        end, failures = loop.time() + READ_BUDGET, 0
        while True:
            await self._connection.until_connected(end - loop.time())
            try:
                reply = await self._connection.client.request(
                    f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", timeout=WAIT_FOR_NEXT
                )
            except (nats.errors.Error, TimeoutError, OSError) as exc:
                failures += 1
                if loop.time() >= end:
                    raise Unavailable("bus.no_answer", f"no direct get on {stream}") from exc
                await asyncio.sleep(backoff(failures, first=0.05, most=1.0))
                continue
            status = _status(reply)
            if status == "404":
                return None
            if status is None:
                return stored_from_direct_get(reply.headers or {}, reply.data)
            raise Unavailable("bus.direct_get", f"direct get on {stream} answered {status}")

    async def at(self, stream: str, sequence: int) -> "Msg | None":
        """The message at one place of a stream, with its headers; None when it is gone."""
        await self._connection.until_connected(READ_BUDGET)
        query = orjson.dumps({"seq": sequence})
        try:
            reply = await self._connection.client.request(f"$JS.API.DIRECT.GET.{stream}", query, timeout=READ_BUDGET)
        except (nats.errors.Error, TimeoutError, OSError) as exc:
            raise Unavailable("bus.no_answer", f"no direct get on {stream}") from exc
        return reply if _status(reply) is None else None

    async def owns_last(self, stream: str, subject: str, token: str) -> int | None:
        """The sequence of the newest message on a subject if this publish wrote it. Asks the leader, which has all."""
        try:
            found = await self._connection.js.get_last_msg(stream, subject)
        except NotFoundError:
            return None
        return found.seq if (found.headers or {}).get(PUBLISH_TOKEN) == token else None

    async def range(self, stream: str, subjects: str, *, start: int = 1) -> list[Stored]:
        """Every message from `start` whose subject fits, in order."""
        loop = asyncio.get_running_loop()
        end, failures = loop.time() + READ_BUDGET, 0
        rows: list[Stored] = []
        while True:
            await self._connection.until_connected(end - loop.time())
            before = len(rows)
            try:
                more = await self._batch(stream, subjects, start, rows)
            except (nats.errors.Error, TimeoutError, OSError) as exc:
                failures += 1
                if loop.time() >= end:
                    raise Unavailable("bus.no_answer", f"no history of {stream}") from exc
                await asyncio.sleep(backoff(failures, first=0.05, most=1.0))
                more = True
            if len(rows) > before:
                start, end = rows[-1].sequence + 1, loop.time() + READ_BUDGET
            if not more:
                return rows

    async def raw(
        self, stream: str, subjects: str, *, start: int, batch: int, max_bytes: int
    ) -> list[tuple[Mapping[str, str], bytes]]:
        """Headers and bodies of at most so many messages from `start`, and of so many bytes but always one."""
        await self._connection.until_connected(READ_BUDGET)
        rows: list[tuple[Mapping[str, str], bytes]] = []
        request = {"seq": start, "next_by_subj": subjects, "batch": batch, "max_bytes": max_bytes}
        try:
            await self._ask(stream, request, lambda reply: rows.append((reply.headers or {}, reply.data)))
        except (nats.errors.Error, TimeoutError, OSError) as exc:
            raise Unavailable("bus.no_answer", f"nothing read of {stream}") from exc
        return rows

    async def _batch(self, stream: str, subjects: str, start: int, rows: list[Stored]) -> bool:
        """Append one batch to the rows; True when the server has more. What came before an error is kept."""
        request = {"seq": start, "next_by_subj": subjects, "batch": BATCH}
        return await self._ask(
            stream, request, lambda reply: rows.append(stored_from_direct_get(reply.headers or {}, reply.data))
        )

    async def _ask(self, stream: str, request: Mapping[str, object], take: Callable[["Msg"], None]) -> bool:
        client = self._connection.client
        inbox = client.new_inbox()
        replies = await client.subscribe(inbox, pending_bytes_limit=-1)
        try:
            await client.publish(f"$JS.API.DIRECT.GET.{stream}", orjson.dumps(request), reply=inbox)
            while True:
                reply = await replies.next_msg(timeout=WAIT_FOR_NEXT)
                status = _status(reply)
                if status is None:
                    take(reply)
                elif status == "404":
                    return False
                elif status == "204":
                    return int((reply.headers or {}).get("Nats-Num-Pending", "0")) > 0
                else:
                    raise nats.errors.Error(f"direct get on {stream} answered {status}")
        finally:
            if not client.is_closed:
                await replies.unsubscribe()


def _status(reply: "Msg") -> str | None:
    """The status of a reply that is no message; None for a message."""
    return (reply.headers or {}).get("Status")
