"""The memory in SQL: stores pages and ends, answers what is there and what is new."""

from dataclasses import dataclass
from datetime import date, datetime

import orjson
import sqlalchemy as sa

from cache.adapters.sql.arrivals import claim_done, keep_progress, progress_of
from cache.adapters.sql.bids import SqlBids, keep_bids
from cache.adapters.sql.schema import storing
from cache.adapters.sql.slices import SqlLedger, tell_ledger
from cache.adapters.sql.tables import ranges, sequence
from cache.domain.pages import ANOTHER_AGE, RangeProgress, moment_of
from contracts.fetch import PageFetched, RangeEnded
from contracts.memory import BidChanged
from contracts.places import NATIONAL, UF
from contracts.values import Source


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing one message has come to."""

    changes: tuple[BidChanged, ...] = ()
    settled: bool = False
    """The message's range is in the ledger."""
    claim_done: bool = False
    """And so are the other ranges of its claim."""


class SqlMemory(SqlBids, SqlLedger):
    """The tables as the handlers speak of them."""

    async def store(self, message: PageFetched | RangeEnded) -> Stored:
        """Keep one page or end, in one transaction; the same one again changes nothing and tells the same."""
        async with storing(self._database) as (connection, seq):
            changes: tuple[BidChanged, ...] = ()
            if isinstance(message, PageFetched):
                changes = await keep_bids(connection, seq, message)
            before = await progress_of(connection, message)
            moment = moment_of(message)
            if before is not None and before.since - moment > ANOTHER_AGE:
                return Stored(changes=changes)
            progress = RangeProgress.of(before, moment)
            progress = progress.with_page(message) if isinstance(message, PageFetched) else progress.with_end(message)
            if progress != before:
                await keep_progress(connection, message, progress, moment)
                if progress.settled and progress.end is not None:
                    await tell_ledger(connection, seq, progress.end)
            return Stored(
                changes=changes,
                settled=progress.settled,
                claim_done=progress.settled
                and progress.end is not None
                and await claim_done(connection, progress.end, progress.since),
            )

    async def seq(self) -> int:
        """The `store_seq` of the last commit."""
        async with self._database.reading() as connection:
            value: int = (
                await connection.execute(sa.select(sequence.c.value).where(sequence.c.name == "store"))
            ).scalar_one()
        return value

    async def pages(self, source: Source, uf: UF, *, first: date, last: date, since: datetime) -> int:
        """How many pages fetches of these days brought since a moment; of a national listing, all its pages."""
        place = NATIONAL if source.national else uf
        async with self._database.reading() as connection:
            rows = await connection.execute(
                sa.select(ranges.c.pages).where(
                    ranges.c.source == source,
                    ranges.c.place == place,
                    ranges.c.touched_at >= since,
                    ranges.c.day_from <= last,
                    ranges.c.day_to >= first,
                )
            )
            return sum(len({key.partition(".")[0] for key in orjson.loads(row.pages)}) for row in rows)
