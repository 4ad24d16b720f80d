"""Pages and ends on their way into the memory."""

from collections.abc import AsyncIterator
from typing import Protocol

from contracts.fetch import Bell, BellKind, PageFetched, RangeEnded
from contracts.memory import BidChanged
from contracts.places import NATIONAL
from contracts.subjects import BELL, CHANGED, FETCHED_LATER, Outgoing
from servicekit.bus import Delivery
from servicekit.errors import DependencyAway


class Kept(Protocol):
    """What storing one message has come to."""

    @property
    def changes(self) -> tuple[BidChanged, ...]:
        """What it amended."""

    @property
    def settled(self) -> bool:
        """Whether its range is in the ledger now."""

    @property
    def claim_done(self) -> bool:
        """Whether its claim's last range is."""


class Keeper(Protocol):
    """Whoever stores."""

    async def store(self, message: PageFetched | RangeEnded) -> Kept:
        """Keep one page or end; raises DependencyAway."""


async def keep(message: PageFetched | RangeEnded, _delivery: Delivery, *, memory: Keeper) -> AsyncIterator[Outgoing]:
    """Store a page or an end, then ring. With SQL away the bell carries it, and it waits in a queue of its own."""
    try:
        kept = await memory.store(message)
    except DependencyAway:
        later = FETCHED_LATER.message(message, dedup=_natural_key(message), source=message.source)
        yield later
        yield _bell(message, carried=True)
        return
    for outgoing in _told(message, kept):
        yield outgoing


async def keep_later(
    message: PageFetched | RangeEnded, _delivery: Delivery, *, memory: Keeper
) -> AsyncIterator[Outgoing]:
    """Store what had to wait; with SQL still away this subscription alone is paused."""
    for outgoing in _told(message, await memory.store(message)):
        yield outgoing


def _told(message: PageFetched | RangeEnded, kept: Kept) -> list[Outgoing]:
    changes = [
        CHANGED.message(
            change,
            # the moment is part of the key: a value may go there and back within the duplicate window
            dedup=f"{change.id}:{change.field}:{change.seen_at.timestamp():.6f}:1",
            source=change.source,
            uf=change.uf,
        )
        for change in kept.changes
    ]
    bells = [_bell(message)] if isinstance(message, PageFetched) else []
    if kept.settled:
        bells.append(_bell(message, ended=True, claim_done=kept.claim_done))
    return [*changes, *bells]


def _bell(
    message: PageFetched | RangeEnded, *, ended: bool = False, claim_done: bool = False, carried: bool = False
) -> Outgoing:
    is_page = isinstance(message, PageFetched)
    bell = Bell(
        kind=BellKind.ENDED if ended or not is_page else BellKind.STORED,
        source=message.source,
        uf=message.uf,
        fetch_id=message.fetch_id,
        claim_done=claim_done,
        page=message if carried and isinstance(message, PageFetched) else None,
        end=message if carried and isinstance(message, RangeEnded) else None,
    )
    return BELL.message(bell, source=message.source, uf=message.uf or NATIONAL)


def _natural_key(message: PageFetched | RangeEnded) -> str:
    days = f"{message.range.modalidade}:{message.range.day_from}:{message.range.day_to}"
    what = message.key if isinstance(message, PageFetched) else "end"
    at = message.fetched_at if isinstance(message, PageFetched) else message.ended_at
    return f"{message.fetch_id}:{message.uf or NATIONAL}:{days}:{what}:{at.timestamp():.6f}:1"
