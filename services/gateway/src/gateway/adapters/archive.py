"""Reading back the archived log of a search that the stream has let go."""

import zlib
from datetime import datetime
from typing import Final

import orjson

from servicekit.envelope import Stored

MOST_BYTES: Final = 512 * 1024 * 1024
"""Unpacked."""


def facts_in(packed: bytes) -> list[Stored]:
    """Every fact, in order; raises ValueError when these bytes are no archive of ours."""
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        lines = unpacker.decompress(packed, MOST_BYTES)
    except zlib.error as exc:
        raise ValueError("not gzip") from exc
    if not unpacker.eof:
        raise ValueError("cut short, or too large")
    return [_fact(line) for line in lines.splitlines() if line]


def _fact(line: bytes) -> Stored:
    row = orjson.loads(line)
    return Stored(
        sequence=row["sequence"],
        subject=row["subject"],
        body=orjson.dumps(row["body"]),
        time=datetime.fromisoformat(row["time"]),
        correlation_id=row["correlation_id"],
        event_id=row["event_id"],
    )
