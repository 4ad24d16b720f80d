"""Server-sent events off the wire."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024


class StreamBrokenError(Exception):
    """What came is no event stream: too large, or not JSON."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a search."""

    name: str
    data: dict[str, Any]
    id: str | None = None
    """None on the gateway's own events; the place in the stream stays what it was."""


class Decoder:
    """Cuts bytes into events, however the network cut them into chunks."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._name = "message"
        self._id: str | None = None
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that this chunk completes."""
        self._rest += chunk
        while (end := self._rest.find(b"\n")) >= 0:
            line = bytes(self._rest[:end]).rstrip(b"\r")
            del self._rest[: end + 1]
            if line:
                self._field(line)
            elif event := self._dispatch():
                yield event
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT_BYTES:
            raise StreamBrokenError("an event of more than 8 MB")

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode(errors="replace")
        elif name == b"id":
            self._id = value.decode(errors="replace")

    def _dispatch(self) -> ServerEvent | None:
        name, event_id, lines = self._name, self._id, self._data
        self._name, self._id, self._data = "message", None, []
        if not lines:
            return None
        try:
            data = orjson.loads(b"\n".join(lines))
        except orjson.JSONDecodeError as exc:
            raise StreamBrokenError(f"{name}: no JSON") from exc
        return ServerEvent(name=name, data=data if isinstance(data, dict) else {"value": data}, id=event_id)
