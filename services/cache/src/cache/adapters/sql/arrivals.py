"""What has arrived of each range of each fetch."""

from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from cache.adapters.sql.schema import upsert
from cache.adapters.sql.tables import COUNTED, EVERY, UPDATED, ranges
from cache.domain.ledger import days_of_range
from cache.domain.pages import ANOTHER_AGE, RangeProgress
from contracts.fetch import PageFetched, RangeEnded
from contracts.places import NATIONAL

_RANGES_KEPT = timedelta(days=2)


async def progress_of(connection: AsyncConnection, message: PageFetched | RangeEnded) -> RangeProgress | None:
    """How far the range of a message had come; None for its first."""
    key = _range_key(message)
    row = (
        await connection.execute(sa.select(ranges).where(*(ranges.c[name] == value for name, value in key.items())))
    ).one_or_none()
    if row is None:
        return None
    return RangeProgress(
        since=row.since,
        pages=frozenset(orjson.loads(row.pages)),
        end=RangeEnded.model_validate_json(row.end) if row.end else None,
    )


async def keep_progress(
    connection: AsyncConnection, message: PageFetched | RangeEnded, progress: RangeProgress, moment: datetime
) -> None:
    """Write how far it has come, and let go of ranges that nothing was heard of for days."""
    row = {
        **_range_key(message),
        "since": progress.since,
        "touched_at": moment,
        "pages": orjson.dumps(sorted(progress.pages)).decode(),
        "end": progress.end.model_dump_json() if progress.end else None,
        "settled": progress.settled,
    }
    await upsert(connection, ranges, [row])
    if progress.settled:
        await connection.execute(
            sa.delete(ranges).where(ranges.c.source == message.source, ranges.c.touched_at < moment - _RANGES_KEPT)
        )


async def claim_done(connection: AsyncConnection, end: RangeEnded, since: datetime) -> bool:
    """Whether every range of the claim of an end is in the ledger."""
    settled: int = (
        await connection.execute(
            sa.select(sa.func.count()).where(
                ranges.c.source == end.source,
                ranges.c.place == (end.uf or NATIONAL),
                ranges.c.fetch_id == end.fetch_id,
                ranges.c.since >= since - ANOTHER_AGE,
                ranges.c.settled.is_(True),
            )
        )
    ).scalar_one()
    return settled >= end.claim_ranges


def _range_key(message: PageFetched | RangeEnded) -> dict[str, Any]:
    asked, modalidade = message.range, message.range.modalidade
    days = days_of_range(asked) or (asked.day_from, asked.day_to)
    kind = UPDATED if asked.updated else COUNTED if asked.count_only else 0
    return {
        "source": message.source,
        "place": message.uf or NATIONAL,
        "fetch_id": message.fetch_id,
        "modalidade": EVERY if modalidade is None else int(modalidade) + kind,
        "day_from": days[0],
        "day_to": days[-1],
    }
