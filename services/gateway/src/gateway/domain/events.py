"""SSE on the wire: ids that name the exact boundary, frames encoded once."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel

from contracts.events import Event

_ID = re.compile(r"^(?P<epoch>[0-9A-Za-z]{1,32})-(?P<sequence>[0-9]{1,18})(?:\.(?P<n>[0-9]{1,6}))?$")

Position = tuple[int, int]
"""(sequence of the fact, how many of its events were seen). A fact that was seen whole has n = `WHOLE`."""

WHOLE = sys.maxsize
START: Position = (0, WHOLE)


def position_of(last_event_id: str | None, *, epoch: str) -> Position:
    """Where to go on after this id; from the start when it is none, broken, or of another life of the stream."""
    match = _ID.match(last_event_id or "")
    if match is None or match["epoch"] != epoch:
        return START
    return (int(match["sequence"]), int(match["n"]) if match["n"] else WHOLE)


@dataclass(frozen=True, slots=True)
class Frame:
    """One event, ready to be sent to any number of clients."""

    position: Position
    id: str
    name: str
    data: bytes
    wire: bytes


def frames_of(events: Sequence[Event], *, sequence: int, epoch: str) -> list[Frame]:
    """The frames of one fact. Only the last carries the bare sequence: who has seen it has seen the fact whole."""
    last = len(events)
    return [
        _frame(event, position=(sequence, WHOLE if n == last else n), epoch=epoch) for n, event in enumerate(events, 1)
    ]


def own_frame(name: str, data: dict[str, Any]) -> bytes:
    """An event of the gateway itself (`gap`, `reconnect`): no fact, hence no id, and the client keeps its place."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(data))


def encode(data: Any) -> bytes:
    """Compact JSON without a line break, as `data:` wants it."""
    return orjson.dumps(data, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _frame(event: Event, *, position: Position, epoch: str) -> Frame:
    sequence, n = position
    event_id = f"{epoch}-{sequence}" if n == WHOLE else f"{epoch}-{sequence}.{n}"
    data = encode(event.data)
    wire = b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), event.name.encode(), data)
    return Frame(position=position, id=event_id, name=event.name, data=data, wire=wire)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
