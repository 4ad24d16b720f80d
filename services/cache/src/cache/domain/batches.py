"""Batches for the classifier: at most 50 bids of one UF, named by what is in them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.places import UF
from contracts.values import BidId, Licitacao, Source

MOST_BIDS = 50
MOST_BYTES = 190 * 1024
"""Well below the bus's 256 KB, with room for the lens and the frame."""
_FRAME = 120
"""What `SightedBid` adds to the content of a bid."""


@dataclass(frozen=True, slots=True)
class StoredBid:
    """A bid as the memory holds it."""

    bid: Licitacao
    hash: str
    size: int
    """Of its JSON."""
    since: datetime
    """When this content was first seen."""
    last_seen: datetime
    store_seq: int
    open_seen: datetime | None = None
    """When it was last on a list of what is open; None: on none of those that were read."""


LISTED_FOR = timedelta(hours=24)
"""So long a bid whose closing is not known counts as open after it was on a list of what is."""


def is_open(held: StoredBid, *, at: datetime) -> bool:
    """Whether a search for what is open is shown this bid: it closes later, or a source lists it as open.

    One that was listed and has closed since is shown as well: the classifier says of it that it is closed.
    """
    closes = held.bid.data_encerramento
    return (closes is not None and closes > at) or (held.open_seen is not None and held.open_seen >= at - LISTED_FOR)


def batch_key(source: Source, uf: UF, pairs: Iterable[tuple[BidId, str]]) -> str:
    """`<source>-<UF>-<12 hex>` over the sorted (id, content hash) pairs: the same bids always make the same key."""
    text = "\n".join(f"{bid_id} {content}" for bid_id, content in sorted(pairs))
    return f"{source}-{uf}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def split(bids: Sequence[StoredBid], *, whole_only: bool) -> tuple[list[list[StoredBid]], list[StoredBid]]:
    """Batches in the order given, and what is left over: with `whole_only` the last, unfilled one waits for more."""
    batches: list[list[StoredBid]] = []
    current: list[StoredBid] = []
    size = 0
    for each in bids:
        cost = each.size + _FRAME
        if current and (len(current) == MOST_BIDS or size + cost > MOST_BYTES):
            batches.append(current)
            current, size = [], 0
        current.append(each)
        size += cost
    if current and (not whole_only or len(current) == MOST_BIDS):
        batches.append(current)
        current = []
    return batches, current
