"""What operators are told of stored answers (B03, B05)."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from cache.adapters.sql.tables import answer_hours, answers
from contracts.answers import AnswerPriority, EntryState
from contracts.stored import FRESH_FOR, STALE_FOR, EntryUnreadable, age_of, unpack_head
from servicekit.logs import log
from servicekit.sql.database import Database, insert

_COUNTED = ("hits", "stale", "misses")


class SqlFigures:
    """Counts over the table of answers; each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count_hour(self, *, hits: int, stale: int, misses: int, at: datetime) -> None:
        """Add to the figures of the hour."""
        hour = at.replace(minute=0, second=0, microsecond=0)
        async with self._database.writing() as connection:
            made = insert(connection, answer_hours).values(hour=hour, hits=hits, stale=stale, misses=misses)
            added = {
                name: answer_hours.c[name] + value
                for name, value in (("hits", hits), ("stale", stale), ("misses", misses))
            }
            await connection.execute(made.on_conflict_do_update(index_elements=["hour"], set_=added))

    async def figures(self, *, now: datetime) -> dict[str, Any]:
        """Counts over all entries, and of the last 24 h."""
        old = answers.c.finished_at
        async with self._database.reading() as connection:
            by_priority = await connection.execute(
                sa.select(answers.c.priority, sa.func.count()).group_by(answers.c.priority)
            )
            priorities = {priority: count for priority, count in by_priority}  # noqa: C416 - rows are no pairs
            fresh, known, streaks = (
                await connection.execute(
                    sa.select(
                        sa.func.count().filter(old >= now - FRESH_FOR),
                        sa.func.count().filter(old >= now - STALE_FOR),
                        sa.func.coalesce(sa.func.avg(answers.c.fail_streak), 0),
                    )
                )
            ).one()
            resting = answers.c.degraded_until > now
            degraded = (await connection.execute(sa.select(answers.c.key).where(resting).limit(100))).scalars().all()
            resting_count = (
                await connection.execute(sa.select(sa.func.count()).select_from(answers).where(resting))
            ).scalar_one()
            totals = (
                await connection.execute(
                    sa.select(*(sa.func.coalesce(sa.func.sum(answer_hours.c[name]), 0) for name in _COUNTED)).where(
                        answer_hours.c.hour > now - timedelta(hours=24)
                    )
                )
            ).one()
        total = sum(priorities.values())
        return {
            **dict(zip(("hits_24h", "stale_24h", "misses_24h"), map(int, totals), strict=True)),
            "total_entries": total,
            "priority_distribution": {each.value: priorities.get(each.value, 0) for each in AnswerPriority},
            "age_distribution": {"fresh": fresh, "stale": known - fresh, "expired": total - known},
            "degraded_keys": tuple(degraded),
            "degraded_keys_count": resting_count,
            "avg_fail_streak": round(float(streaks), 3),
        }

    async def entries(self, *, key: str | None, limit: int, now: datetime) -> list[EntryState]:
        """One entry, or those asked for most."""
        size = sa.func.coalesce(sa.func.length(answers.c.rows), 0).label("size")
        query = sa.select(answers, size).order_by(answers.c.access_count.desc(), answers.c.key).limit(limit)
        if key is not None:
            query = query.where(answers.c.key == key)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_state(row, now) for row in rows]


def _state(row: "sa.RowMapping", now: datetime) -> EntryState:
    try:
        stored = unpack_head(row["head"].encode(), key=row["key"])
    except EntryUnreadable as exc:
        log.warning("entry_unreadable", level="database", key=row["key"], reason=str(exc))
        stored = None
    return EntryState(
        key=row["key"],
        priority=AnswerPriority(row["priority"]),
        age=age_of(now - row["finished_at"]),
        access_count=row["access_count"],
        last_accessed_at=row["last_accessed_at"],
        last_success_at=row["last_success_at"],
        last_attempt_at=row["last_attempt_at"],
        fail_streak=row["fail_streak"],
        degraded_until=row["degraded_until"],
        fetch_duration_ms=row["fetch_duration_ms"],
        coverage_pct=row["coverage_pct"],
        total=stored.total if stored else 0,
        size=row["size"],
        finished_at=row["finished_at"],
        due_at=row["due_at"],
    )
