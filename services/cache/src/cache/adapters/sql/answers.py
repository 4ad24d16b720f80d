"""L1: finished answers by key, and what decides of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from cache.adapters.sql.tables import answers
from cache.domain.priority import COUNTED_FOR, priority_of, rest_after, wants_refresh
from contracts.answers import AnswerPriority
from contracts.ops import BreakerChanged
from contracts.query import SearchQuery
from contracts.stored import STALE_FOR, EntryUnreadable, StoredAnswer, fits, pack_head, unpack_head
from contracts.values import Source
from servicekit.cascade import Entry
from servicekit.logs import log
from servicekit.sql.database import Database, insert

MOST_ROWS: Final = 4 * 1024 * 1024
"""Packed bytes that a row carries; of a larger answer it has the head alone."""


class SqlAnswers:
    """The table of answers; each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.unreadable = 0
        """Entries dropped: torn, foreign or of another version."""

    # -- a level of the cascade

    async def get(self, key: str) -> tuple[StoredAnswer, bytes | None] | None:
        """Head and rows."""
        query = sa.select(answers.c.head, answers.c.rows, answers.c.due_at).where(answers.c.key == key)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        try:
            stored = _whole(key, row.head, row.rows)
        except EntryUnreadable as exc:
            self.unreadable += 1
            log.warning("entry_dropped", level="database", key=key, reason=str(exc))
            await self.drop(key)
            return None
        return stored.model_copy(update={"due_at": min(stored.due_at, row.due_at)}), row.rows

    async def keep(self, entry: Entry) -> None:
        """Keep it, unless what is held is better."""
        stored = entry.stored
        values = {
            "head": pack_head(stored).decode(),
            "rows": entry.rows if entry.rows is not None and len(entry.rows) <= MOST_ROWS else None,
            "sources_failed": _sources(stored.sources_failed),
            "coverage_pct": stored.coverage.coverage_pct,
            "finished_at": stored.finished_at,
            "due_at": stored.due_at,
        }
        fresh = {
            "key": stored.key, "query": "", "priority": AnswerPriority.COLD.value, "access_count": 0,
            "counted_since": stored.finished_at, "fail_streak": 0, **values,
        }  # fmt: skip
        async with self._database.writing() as connection:
            made = await connection.execute(insert(connection, answers).values(fresh).on_conflict_do_nothing())
            if made.rowcount == 1:
                return
            held = (
                await connection.execute(sa.select(answers.c.head).where(answers.c.key == stored.key).with_for_update())
            ).scalar_one()
            if not _better(held, stored):
                await connection.execute(sa.update(answers).where(answers.c.key == stored.key).values(values))

    async def drop(self, key: str) -> bool:
        """Forget one; False when there was none."""
        async with self._database.writing() as connection:
            return (await connection.execute(sa.delete(answers).where(answers.c.key == key))).rowcount > 0

    async def clear(self) -> int:
        """Forget all; how many they were."""
        async with self._database.writing() as connection:
            return (await connection.execute(sa.delete(answers))).rowcount

    async def count(self) -> int:
        """How many keys there are."""
        async with self._database.reading() as connection:
            number: int = (await connection.execute(sa.select(sa.func.count()).select_from(answers))).scalar_one()
        return number

    # -- what decides of them

    async def succeeded(self, key: str, query: SearchQuery, *, at: datetime, took: timedelta) -> None:
        """An answer of this key was made: it rests no longer (B03)."""
        await self._set(
            key, query=query.model_dump_json(), last_success_at=at, last_attempt_at=at, fail_streak=0,
            degraded_until=None, fetch_duration_ms=int(took.total_seconds() * 1000),
        )  # fmt: skip

    async def failed(self, key: str, *, at: datetime) -> datetime | None:
        """An answer of this key could not be made; gives until when nobody tries again, None for an unknown key."""
        async with self._database.writing() as connection:
            found = await connection.execute(
                sa.update(answers)
                .where(answers.c.key == key)
                .values(fail_streak=answers.c.fail_streak + 1, last_attempt_at=at)
                .returning(answers.c.fail_streak)
            )
            streak = found.scalar_one_or_none()
            if streak is None:
                return None
            until = at + rest_after(streak)
            await connection.execute(sa.update(answers).where(answers.c.key == key).values(degraded_until=until))
        return until

    async def rests(self, key: str, *, now: datetime) -> bool:
        """Whether its last tries have failed so recently that it is not made anew."""
        query = sa.select(answers.c.degraded_until).where(answers.c.key == key)
        async with self._database.reading() as connection:
            until = (await connection.execute(query)).scalar_one_or_none()
        return until is not None and now < until

    async def touched(
        self, counts: Mapping[str, int], saved: Mapping[str, datetime], *, at: datetime
    ) -> dict[str, AnswerPriority]:
        """Count accesses; gives the priorities that have changed."""
        changed = {}
        keys = sorted({*counts, *saved})
        async with self._database.writing() as connection:
            rows = (await connection.execute(sa.select(answers).where(answers.c.key.in_(keys)))).mappings().all()
            for row in rows:
                key, since, count = row["key"], row["counted_since"], row["access_count"]
                if at - since > COUNTED_FOR:
                    since, count = at, 0
                count += counts.get(key, 0)
                until = saved.get(key) or row["saved_until"]
                priority = priority_of(count, saved=until is not None and until > at)
                await connection.execute(
                    sa.update(answers)
                    .where(answers.c.key == key)
                    .values(
                        access_count=count, counted_since=since, last_accessed_at=at, saved_until=until,
                        priority=priority.value,
                    )
                )  # fmt: skip
                if priority.value != row["priority"]:
                    changed[key] = priority
        return changed

    async def cool(self, *, now: datetime) -> dict[str, AnswerPriority]:
        """Lower what was not asked for in a day; gives the priorities that have changed."""
        old = answers.c.counted_since < now - COUNTED_FOR
        query = sa.select(answers.c.key).where(old, answers.c.priority != AnswerPriority.COLD.value).limit(500)
        async with self._database.reading() as connection:
            keys = list((await connection.execute(query)).scalars())
        return await self.touched(dict.fromkeys(keys, 0), {}, at=now) if keys else {}

    async def spoiled(self, change: BreakerChanged) -> list[str]:
        """Make every answer due that lacked a source which is back; gives their keys."""
        return await self._due_now(answers.c.sources_failed.contains(_sources((change.source,))), at=change.at)

    async def _due_now(self, which: "sa.ColumnElement[bool]", *, at: datetime) -> list[str]:
        async with self._database.writing() as connection:
            found = await connection.execute(
                sa.update(answers)
                .where(which, answers.c.due_at > at)
                .values(due_at=at, degraded_until=None)
                .returning(answers.c.key)
            )
            return list(found.scalars())

    async def wanting(self, *, now: datetime, most: int) -> list[tuple[str, SearchQuery]]:
        """Hot answers that are to be made anew though nobody asks (B02), the longest due first."""
        query = (
            sa.select(answers.c.key, answers.c.query, answers.c.due_at, answers.c.finished_at)
            .where(
                answers.c.priority == AnswerPriority.HOT.value,
                answers.c.query != "",
                answers.c.finished_at > now - STALE_FOR,
                sa.or_(answers.c.degraded_until.is_(None), answers.c.degraded_until <= now),
            )
            .order_by(answers.c.due_at)
            .limit(100)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        wanted = [row for row in rows if wants_refresh(due=row.due_at, finished_at=row.finished_at, now=now)]
        return [(row.key, SearchQuery.model_validate_json(row.query)) for row in wanted[:most]]

    async def _set(self, key: str, **values: Any) -> None:
        async with self._database.writing() as connection:
            await connection.execute(sa.update(answers).where(answers.c.key == key).values(values))


def _whole(key: str, head: str, rows: bytes | None) -> StoredAnswer:
    stored = unpack_head(head.encode(), key=key)
    if rows is not None and not fits(stored, rows):
        raise EntryUnreadable("the rows are torn")
    return stored


def _sources(sources: tuple[Source, ...]) -> str:
    return "".join(f"<{each}>" for each in sources)


def _better(held: str, stored: StoredAnswer) -> bool:
    """Whether what is held stays; what cannot be read does not."""
    try:
        return unpack_head(held.encode(), key=stored.key).better_than(stored)
    except EntryUnreadable:
        return False
