"""Letting go of what is old, or too much, a little at a time: no step holds the writers up for long."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from cache.adapters.sql.schema import storing
from cache.adapters.sql.tables import answer_hours, answers, archives, bid_history, bids, slices
from cache.domain.ledger import OPEN_TODAY
from contracts.stored import STALE_FOR
from contracts.when import day_of
from servicekit.sql.database import Database

STEP = 500
"""Rows that one transaction lets go."""
MOST_STEPS = 200
"""Of one run: what is left then waits for the next."""
PAGES = 1_000
"""Of a file, that one transaction gives back: 4 MB."""
PAGES_KEPT = 1_000
"""Free ones that stay in the file for what comes next."""
TOLD_FOR = timedelta(days=400)
"""So long it is told of a search that its time is over."""
COUNTED_FOR = timedelta(days=7)
KEEP_ALWAYS = timedelta(days=31)
"""However full it is, the last month stays: without it every search would fetch all of it again."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how long, and up to which size."""

    bids: timedelta
    most_bytes: int


@dataclass(frozen=True, slots=True)
class LetGo:
    """What one run has let go."""

    bids: int = 0
    versions: int = 0
    answers: int = 0
    most_steps: bool = False
    """Whether there is more to let go."""


class SqlUpkeep:
    """Prunes the tables by age and by size."""

    def __init__(self, database: Database, keeping: Keeping) -> None:
        self._database = database
        self._keeping = keeping

    async def prune(self, *, now: datetime) -> LetGo:
        """One run. A slice goes before its bids: the ledger never calls a day complete whose bids are gone."""
        bids_gone = versions = answers_gone = 0
        before = await self._oldest_to_keep(now)
        for _ in range(MOST_STEPS):
            gone = await self._let_bids_go(before, now=now)
            old = await self._let_rows_go(bid_history, bid_history.c.replaced_at < now - self._keeping.bids)
            late = await self._let_rows_go(answers, answers.c.finished_at < now - STALE_FOR)
            rest = await self._let_rows_go(archives, archives.c.closed_at < now - TOLD_FOR)
            rest += await self._let_rows_go(answer_hours, answer_hours.c.hour < now - COUNTED_FOR)
            bids_gone, versions, answers_gone = bids_gone + gone, versions + old, answers_gone + late
            if not gone + old + late + rest:
                await self._give_pages_back()
                return LetGo(bids_gone, versions, answers_gone)
        return LetGo(bids_gone, versions, answers_gone, most_steps=True)

    async def _oldest_to_keep(self, now: datetime) -> date:
        """The first publication day that stays: by age, or, when there is too much, the one after the oldest held."""
        by_age = day_of(now - self._keeping.bids)
        async with self._database.reading() as connection:
            if await _size(connection) <= self._keeping.most_bytes:
                return by_age
            oldest: date | None = (await connection.execute(sa.select(sa.func.min(bids.c.day)))).scalar_one()
        return max(by_age, min((oldest or by_age) + timedelta(days=1), day_of(now - KEEP_ALWAYS)))

    async def _let_bids_go(self, before: date, *, now: datetime) -> int:
        """Some bids published before a day, with their history; those that still take proposals stay."""
        async with storing(self._database) as (connection, _seq):
            old_days = sa.and_(slices.c.day < before, slices.c.day != OPEN_TODAY)
            await connection.execute(sa.delete(slices).where(old_days))
            over = sa.or_(bids.c.closes.is_(None), bids.c.closes < now)
            ids = list(
                (await connection.execute(sa.select(bids.c.id).where(bids.c.day < before, over).limit(STEP))).scalars()
            )
            if ids:
                await connection.execute(sa.delete(bid_history).where(bid_history.c.bid_id.in_(ids)))
                await connection.execute(sa.delete(bids).where(bids.c.id.in_(ids)))
            return len(ids)

    async def _give_pages_back(self) -> None:
        """SQLite: hand the file's free pages to the system, a little in each of these transactions.

        PostgreSQL's autovacuum makes the room of rows that are gone free for others by itself.
        """
        for _ in range(MOST_STEPS):
            async with self._database.writing() as connection:
                if connection.dialect.name != "sqlite":
                    return
                free: int = (await connection.exec_driver_sql("PRAGMA freelist_count")).scalar_one()
                if free <= PAGES_KEPT:
                    return
                await _vacuum(connection, min(PAGES, free - PAGES_KEPT))

    async def _let_rows_go(self, table: sa.Table, old: "sa.ColumnElement[bool]") -> int:
        keys: Sequence[sa.Column[Any]] = list(table.primary_key)
        async with storing(self._database) as (connection, _seq):
            some = sa.select(*keys).where(old).limit(STEP)
            gone = await connection.execute(sa.delete(table).where(sa.tuple_(*keys).in_(some)))
            return gone.rowcount


async def _vacuum(connection: AsyncConnection, pages: int) -> None:
    """As a script, which ends the transaction first: a statement of its own frees one page only, at its one step."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver.executescript(f"PRAGMA incremental_vacuum({pages})")


async def _size(connection: AsyncConnection) -> int:
    """Bytes in use: pages that SQLite has free already are filled again before the file grows."""
    if connection.dialect.name == "sqlite":
        pages: int = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        free: int = (await connection.exec_driver_sql("PRAGMA freelist_count")).scalar_one()
        size: int = (await connection.exec_driver_sql("PRAGMA page_size")).scalar_one()
        return (pages - free) * size
    # of what lives: the tables' own size does not fall when rows go, their place is only filled again
    total = (await connection.exec_driver_sql(_LIVE_BYTES)).scalar_one()
    return int(total or 0)


_LIVE_BYTES = """
SELECT sum(held.n_live_tup * wide.bytes)
FROM pg_stat_user_tables AS held
JOIN (SELECT tablename, sum(avg_width) AS bytes FROM pg_stats WHERE schemaname = 'cache' GROUP BY tablename) AS wide
  ON wide.tablename = held.relname
WHERE held.schemaname = 'cache'
"""
