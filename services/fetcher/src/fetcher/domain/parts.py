"""How a page fits into messages."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from contracts.base import Value
from contracts.values import Licitacao

V = TypeVar("V", bound=Value)

LARGEST_PART = 190 * 1024
"""Bytes of bids in one message; with the message's other fields it stays below 200 KB."""


def split(bids: Iterable[V], *, largest: int = LARGEST_PART) -> tuple[tuple[V, ...], ...]:
    """The bids (or items) in their order, in as few consecutive parts as the bound allows; no part for none."""
    parts: list[tuple[V, ...]] = []
    part: list[V] = []
    size = 0
    for bid in bids:
        length = len(bid.to_json()) + 1
        if part and size + length > largest:
            parts.append(tuple(part))
            part, size = [], 0
        part.append(bid)
        size += length
    if part:
        parts.append(tuple(part))
    return tuple(parts)


def fingerprint(bids: Sequence[Licitacao]) -> str:
    """What tells a repeat of a part from another reading of it: a hash of each (bid id, content hash)."""
    digest = hashlib.sha256()
    for bid in bids:
        digest.update(f"{bid.id}\0{bid.content_hash}\n".encode())
    return digest.hexdigest()[:16]
