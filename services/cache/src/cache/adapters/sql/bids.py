"""Bids and their history."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from cache.adapters.sql.schema import upsert
from cache.adapters.sql.tables import bid_history, bids
from cache.domain.amendments import amendments
from cache.domain.batches import LISTED_FOR, StoredBid
from contracts.fetch import PageFetched
from contracts.memory import BidChanged
from contracts.places import UF
from contracts.values import BidId, Licitacao, Source
from servicekit.sql.database import Database

_PAGE = 500
"""Rows read at a time: what a gather holds at once is bounded by it."""
_VERSIONS_TOLD = 50
"""Contents of one bid that its history goes back."""


class SqlBids:
    """What is kept of bids; each raises DependencyAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stored(self, source: Source, uf: UF, *, first: date, last: date) -> AsyncIterator[list[StoredBid]]:
        """Every bid of one UF published on these days, some hundreds at a time."""
        day, bid_id = first, ""
        while True:
            rows = await self._bids(
                sa.select(bids)
                .where(bids.c.source == source, bids.c.uf == uf, bids.c.day >= day, bids.c.day <= last)
                .where(sa.or_(bids.c.day > day, bids.c.id > bid_id))
                .order_by(bids.c.day, bids.c.id)
            )
            if rows:
                yield rows
            if len(rows) < _PAGE:
                return
            day, bid_id = rows[-1].bid.day, rows[-1].bid.id

    async def still_open(self, source: Source, uf: UF, *, at: datetime) -> AsyncIterator[list[StoredBid]]:
        """Every bid of one UF that `is_open` at a moment, some hundreds at a time."""
        open_at = sa.or_(bids.c.closes > at, bids.c.open_seen >= at - LISTED_FOR)
        bid_id = ""
        while True:
            rows = await self._bids(
                sa.select(bids)
                .where(bids.c.source == source, bids.c.uf == uf, open_at, bids.c.id > bid_id)
                .order_by(bids.c.id)
            )
            if rows:
                yield rows
            if len(rows) < _PAGE:
                return
            bid_id = rows[-1].bid.id

    async def news(self, source: Source, *, ufs: Collection[UF], after: int) -> AsyncIterator[list[StoredBid]]:
        """Every bid of these UFs stored, or seen again, later than `after`."""
        bid_id = ""
        while True:
            rows = await self._bids(
                sa.select(bids)
                .where(bids.c.source == source, bids.c.uf.in_(ufs), bids.c.store_seq >= after)
                .where(sa.or_(bids.c.store_seq > after, bids.c.id > bid_id) if bid_id else bids.c.store_seq > after)
                .order_by(bids.c.store_seq, bids.c.id)
            )
            if rows:
                yield rows
            if len(rows) < _PAGE:
                return
            after, bid_id = rows[-1].store_seq, rows[-1].bid.id

    async def bid(self, bid_id: BidId) -> StoredBid | None:
        """One bid by its id."""
        found = await self._bids(sa.select(bids).where(bids.c.id == bid_id))
        return found[0] if found else None

    async def changes(self, bid_id: BidId) -> tuple[BidChanged, ...]:
        """What was amended of one bid since it was first seen, the newest first, as far back as is kept."""
        async with self._database.reading() as connection:
            rows = (
                await connection.execute(
                    sa.select(bid_history.c.content, bid_history.c.replaced_at)
                    .where(bid_history.c.bid_id == bid_id)
                    .order_by(bid_history.c.replaced_at.desc())
                    .limit(_VERSIONS_TOLD)
                )
            ).all()
            now = (await connection.execute(sa.select(bids.c.content).where(bids.c.id == bid_id))).scalar_one_or_none()
        if now is None:
            return ()
        contents = [Licitacao.model_validate_json(each) for each in (now, *(row.content for row in rows))]
        return tuple(
            change
            for newer, older, row in zip(contents, contents[1:], rows, strict=False)
            for change in amendments(older, newer, seen_at=row.replaced_at)
        )

    async def _bids(self, query: "sa.Select[Any]") -> list[StoredBid]:
        async with self._database.reading() as connection:
            return [_stored_bid(row) for row in await connection.execute(query.limit(_PAGE))]


async def keep_bids(connection: AsyncConnection, seq: int, page: PageFetched) -> tuple[BidChanged, ...]:
    """Keep the bids of a page with what they replace; gives what it amended, again when it is delivered again."""
    arrived = {bid.id: bid for bid in page.bids}
    if not arrived:
        return ()
    held = {
        row.id: row for row in await connection.execute(sa.select(bids).where(bids.c.id.in_(arrived)))
    }  # fmt: skip
    rows, replaced = [], []
    for bid in arrived.values():
        old = held.get(bid.id)
        if old is not None and old.last_seen > page.fetched_at:
            continue  # a page that waited longer on its way does not turn the clock back
        content, content_hash = bid.to_json().decode(), bid.content_hash
        changed = old is None or old.hash != content_hash
        if old is not None and changed:
            replaced.append(
                {
                    "bid_id": bid.id,
                    "replaced_at": page.fetched_at,
                    "hash": old.hash,
                    "content": old.content,
                    "since": old.since,
                }
            )
        rows.append(
            {
                "id": bid.id,
                "source": bid.source,
                "uf": bid.uf,
                "modalidade": int(bid.modalidade),
                "day": bid.day,
                "hash": content_hash,
                "content": content,
                "first_seen": page.fetched_at if old is None else old.first_seen,
                "since": page.fetched_at if old is None or changed else old.since,
                "last_seen": page.fetched_at,
                "closes": bid.data_encerramento,
                "open_seen": page.fetched_at if page.range.open_today else old.open_seen if old else None,
                "store_seq": seq,
            }
        )
    await upsert(connection, bids, rows)
    await upsert(connection, bid_history, replaced)
    # held since this very page: it was delivered before, and may have died before it told its changes
    again = any(old.since == page.fetched_at > old.first_seen for old in held.values())
    return await _changes(connection, page, arrived) if replaced or again else ()


async def _changes(
    connection: AsyncConnection, page: PageFetched, arrived: Mapping[BidId, Licitacao]
) -> tuple[BidChanged, ...]:
    """What this page amended, from the history: a redelivered page tells it again, under the same ids."""
    rows = await connection.execute(
        sa.select(bid_history.c.bid_id, bid_history.c.content).where(
            bid_history.c.replaced_at == page.fetched_at, bid_history.c.bid_id.in_(arrived)
        )
    )
    return tuple(
        change
        for row in rows
        for change in amendments(
            Licitacao.model_validate_json(row.content), arrived[row.bid_id], seen_at=page.fetched_at
        )
    )


def _stored_bid(row: "sa.Row[Any]") -> StoredBid:
    return StoredBid(
        bid=Licitacao.model_validate_json(row.content),
        hash=row.hash,
        size=len(row.content.encode()),
        since=row.since,
        last_seen=row.last_seen,
        store_seq=row.store_seq,
        open_seen=row.open_seen,
    )
