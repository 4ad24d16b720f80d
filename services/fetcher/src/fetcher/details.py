"""Items and documents of one bid on demand: read once for all who ask at the same time, and kept for some minutes."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from contracts.base import Value
from contracts.fetch import Document, Item
from contracts.values import BidId, Priority
from fetcher.asking import Asker, Tally, Wish
from fetcher.clocks import ClaimClock, Limits
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.fair import Flow
from fetcher.domain.leafing import Leaf, Leafing
from fetcher.domain.parts import split
from fetcher.lane import Ticket
from servicekit.clock import Clock

PART: Final = "itens"
"""The part of a source with a circuit of its own: when items fail, lists are still asked for."""
KEPT_FOR: Final = timedelta(minutes=10)
KEPT_LISTS: Final = 2_000
KEPT_ROWS: Final = 50_000
"""About 20 MB."""
LONGEST_QUEUE: Final = timedelta(seconds=60)
"""Whoever asks has given up by then."""
NOT_PUBLIC: Final = "documents.not_public"

T = TypeVar("T", bound=Value)


class ReadLeaf(Protocol[T]):
    """One page of one bid's list, in one request; AttemptFailed when it brought none."""

    async def __call__(self, bid_id: BidId, *, page: int, size: int, within: timedelta) -> Leaf[T]:
        """The page; `size` is how many rows are wanted on it."""
        ...


@dataclass(frozen=True, slots=True)
class Lines(Generic[T]):
    """A list as far as it came."""

    rows: tuple[T, ...] | None
    """None: not one page came."""
    why: str | None
    cut: bool
    read_at: datetime


class Shelf(Generic[T]):
    """One reading at a time of each bid's list, shared by all who want it; whole ones are kept for a while."""

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._kept: OrderedDict[BidId, Lines[T]] = OrderedDict()
        self._rows = 0
        self._reading: dict[BidId, _Reading[T]] = {}

    async def get(self, bid_id: BidId, read: Callable[[], Awaitable[Lines[T]]], *, until: datetime) -> Lines[T]:
        """The list, from the shelf or read now; whoever asks waits no longer than `until`."""
        kept = self._kept.get(bid_id)
        if kept is not None and self._now() - kept.read_at < KEPT_FOR:
            return kept
        reading = self._reading.get(bid_id) or self._begin(bid_id, read)
        reading.waiting += 1
        try:
            async with asyncio.timeout((until - self._now()).total_seconds()):
                return await asyncio.shield(reading.task)
        except TimeoutError:
            return Lines(rows=None, why="timeout.claim", cut=False, read_at=self._now())
        finally:
            reading.waiting -= 1
            if not reading.waiting:  # nobody wants it any more: no request is made for nobody
                reading.task.cancel()
                if self._reading.get(bid_id) is reading:
                    del self._reading[bid_id]

    def _begin(self, bid_id: BidId, read: Callable[[], Awaitable[Lines[T]]]) -> "_Reading[T]":
        async def reading() -> Lines[T]:
            lines = await read()
            if lines.why is None:
                self._keep(bid_id, lines)
            return lines

        begun = self._reading[bid_id] = _Reading(asyncio.create_task(reading()))
        return begun

    def _keep(self, bid_id: BidId, lines: Lines[T]) -> None:
        self._rows -= len(replaced.rows or ()) if (replaced := self._kept.pop(bid_id, None)) else 0
        self._kept[bid_id] = lines
        self._rows += len(lines.rows or ())
        while len(self._kept) > KEPT_LISTS or self._rows > KEPT_ROWS:
            _, oldest = self._kept.popitem(last=False)
            self._rows -= len(oldest.rows or ())


@dataclass(eq=False, slots=True)
class _Reading(Generic[T]):
    task: asyncio.Task[Lines[T]]
    waiting: int = 0


class Details:
    """What one source publishes of a bid beside its record."""

    def __init__(
        self,
        *,
        items: ReadLeaf[Item],
        documents: ReadLeaf[Document] | None,
        asker: Asker,
        within: timedelta,
        now: Clock,
    ) -> None:
        self._items = items
        self._documents = documents
        self._asker = asker
        self._within = within
        self._now = now
        self._item_shelf: Shelf[Item] = Shelf(now)
        self._document_shelf: Shelf[Document] = Shelf(now)

    async def items(self, bid_id: BidId, *, tenant: str, search: str, until: datetime) -> Lines[Item]:
        """Its items; the time of a fetch begins with its first request, and `until` ends the waiting for a turn too."""
        flow: Flow[Ticket] = Flow(tenant=tenant, search=search, place=PART, priority=Priority.USER)
        read = _Leaves(self._asker, self._items, flow, self._limits("timeout.items"), self._now)
        return await self._item_shelf.get(bid_id, lambda: read.all_of(bid_id), until=until)

    async def documents(self, bid_id: BidId, *, tenant: str, until: datetime) -> Lines[Document]:
        """Its published files."""
        if self._documents is None:
            return Lines(rows=None, why=NOT_PUBLIC, cut=False, read_at=self._now())
        flow: Flow[Ticket] = Flow(tenant=tenant, search=bid_id, place=PART, priority=Priority.USER)
        read = _Leaves(self._asker, self._documents, flow, self._limits("timeout.documents"), self._now)
        return await self._document_shelf.get(bid_id, lambda: read.all_of(bid_id), until=until)

    def _limits(self, code: str) -> Limits:
        # A reply that never comes is told to the circuit before the whole is cut.
        return Limits(claim=self._within, claim_code=code, modalidade=self._within, attempt=self._within * 0.9)


@dataclass(frozen=True)
class _Leaves(Generic[T]):
    """The pages of one list, one after the other: each says whether there is another."""

    asker: Asker
    read: ReadLeaf[T]
    flow: Flow[Ticket]
    limits: Limits
    now: Clock

    async def all_of(self, bid_id: BidId) -> Lines[T]:
        """What came in time, in as many rows as one message holds."""
        leafing: Leafing[T] = Leafing()
        clock = ClaimClock(limits=self.limits, not_after=self.now() + LONGEST_QUEUE, now=self.now)
        why = None
        async with clock.scope(None) as scope:
            why = await self._leaf_through(bid_id, leafing, clock)
        if not leafing.began:
            return Lines(rows=None, why=scope.cut or why, cut=False, read_at=self.now())
        parts = split(leafing.found)
        rows = parts[0] if parts else ()
        return Lines(rows=rows, why=scope.cut or why, cut=leafing.cut or len(parts) > 1, read_at=self.now())

    async def _leaf_through(self, bid_id: BidId, leafing: Leafing[T], clock: ClaimClock) -> str | None:
        """Read until there is no more; the code of what ended it sooner."""
        tally = Tally()
        while (ask := leafing.next) is not None:
            page, size = ask

            async def one_request(within: timedelta, page: int = page, size: int = size) -> Leaf[T]:
                return await self.read(bid_id, page=page, size=size, within=within)

            try:
                leaf = await self.asker.ask(
                    Wish(
                        make=one_request,
                        flow=self.flow,
                        clock=clock,
                        modalidade=None,
                        part=PART,
                        tally=tally,
                        first=page == 1,
                    )
                )
            except AttemptFailed as failed:
                if failed.code == TOO_LARGE and leafing.refused():
                    continue
                return failed.code
            leafing.take(leaf)
            if len(split(leafing.found)) > 1:  # no message holds more: asking on would be for nothing
                return None
        return None


TOO_LARGE: Final = "http.400"
"""How a source refuses a page size."""
