"""Keeping the logs of closed searches, and answering questions about what is kept."""

import gzip
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

import orjson

from cache.domain.batches import StoredBid
from cache.domain.ledger import EVERY_MODALIDADE, EVERY_UF, SliceRecord, days_of_range, needed
from contracts.answers import ArchiveQuery, ArchiveReply
from contracts.fetch import NeededQuery, NeededReply
from contracts.memory import Archive, BidChanged, BidQuery, BidReply
from contracts.places import UF
from contracts.report import ObjectRef
from contracts.subjects import ANSWERS_BUCKET, REQUESTED, Outgoing
from contracts.values import BidId, Modalidade, SearchId, Source
from servicekit.bus import Delivery, Stored
from servicekit.clock import Clock
from servicekit.errors import DependencyAway


class Ledger(Protocol):
    """What was looked at."""

    async def ledger(
        self,
        source: Source,
        *,
        ufs: Collection[UF],
        modalidades: Collection[Modalidade],
        first: date,
        last: date,
    ) -> list[SliceRecord]:
        """What the ledger holds of these slices; raises DependencyAway."""


class Shelf(Protocol):
    """Where bids are kept."""

    async def bid(self, bid_id: BidId) -> StoredBid | None:
        """One bid by its id."""

    async def changes(self, bid_id: BidId) -> tuple[BidChanged, ...]:
        """What was amended of it, the newest first."""


class Archives(Protocol):
    """Where archived logs lie; each raises DependencyAway."""

    async def archived(self, search_id: SearchId, tenant: str, ref: ObjectRef, *, closed_at: datetime) -> None:
        """Keep where the log of a closed search lies."""

    async def archive(self, search_id: SearchId, *, kept: timedelta, now: datetime) -> ArchiveReply:
        """Where it lies, or that its time is over."""


class Log(Protocol):
    """The log of a search, and the store for what outlives it."""

    async def history(self, search_id: str) -> Sequence[Stored]:
        """Every fact of it, in order."""

    async def put_object(self, bucket: str, name: str, data: bytes) -> ObjectRef:
        """Keep a large content."""


async def tell_needed(query: NeededQuery, *, memory: Ledger, now: Clock) -> NeededReply:
    """What is left to fetch of these ranges; with SQL away all of it, since nothing is known."""
    days = [day for each in query.ranges for day in days_of_range(each)]
    try:
        records = await memory.ledger(
            query.source,
            ufs=EVERY_UF if query.uf is None else (query.uf,),
            modalidades=EVERY_MODALIDADE,
            first=min(days, default=date.max),
            last=max(days, default=date.min),
        )
    except DependencyAway:
        return NeededReply(ranges=query.ranges)
    ledger = {record.key: record for record in records}
    return NeededReply(ranges=needed(query.uf, query.ranges, ledger, now=now(), newer_than=query.newer_than))


async def tell_bid(query: BidQuery, *, memory: Shelf) -> BidReply:
    """One bid as stored, and what was amended of it."""
    held = await memory.bid(query.id)
    if held is None:
        return BidReply(bid=None)
    return BidReply(bid=held.bid, seen_at=held.since, changes=await memory.changes(query.id))


async def archive(command: Archive, _delivery: Delivery, *, bus: Log, archives: Archives) -> AsyncIterator[Outgoing]:
    """Keep the log of a closed search, compressed, beyond the hours that the stream keeps it."""
    facts = await bus.history(command.search_id)
    tenant = next((_tenant(fact) for fact in facts if fact.subject.endswith(f".{REQUESTED.name}")), "")
    if facts:  # else its log is gone already, and with it all that could be kept
        ref = await bus.put_object(ANSWERS_BUCKET, f"archives/{command.search_id}", compressed(facts))
        await archives.archived(command.search_id, tenant, ref, closed_at=command.closed_at)
    return
    yield  # an effect alone: a handler is a generator even when nothing follows


async def tell_archive(query: ArchiveQuery, *, archives: Archives, kept: timedelta, now: Clock) -> ArchiveReply:
    """What is left of a search whose log is gone."""
    return await archives.archive(query.search_id, kept=kept, now=now())


def _tenant(fact: Stored) -> str:
    return REQUESTED.decode(fact.body).tenant


def compressed(facts: Sequence[Stored]) -> bytes:
    """One JSON line per fact; the same facts give the same bytes."""
    lines = (
        orjson.dumps(
            {
                "sequence": fact.sequence,
                "subject": fact.subject,
                "time": fact.time.isoformat(),
                "correlation_id": fact.correlation_id,
                "event_id": fact.event_id,
                "body": orjson.Fragment(fact.body),
            }
        )
        for fact in facts
    )
    return gzip.compress(b"\n".join(lines) + b"\n", mtime=0)
