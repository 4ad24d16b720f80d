"""Saved searches, triage and what was shown, in SQL."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from contracts.query import SearchRequest
from contracts.values import BidId, SearchId
from gateway.adapters.sql.tables import saved_searches, shown, triage
from gateway.domain.shelf import Mark, SavedSearch, Triage
from servicekit.sql.database import Database, insert

MOST_SAVED: Final = 200
SHOWN_FOR: Final = timedelta(days=180)
_AT_ONCE: Final = 500
"""Ids in one statement: SQLite bounds the variables of a query."""


class SqlShelf:
    """The tables of what tenants keep; each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- saved searches

    async def save(self, tenant: str, saved: SavedSearch) -> bool:
        """Keep a search, new or changed; False when the tenant has too many, or another tenant has this id."""
        row = {
            "id": saved.id,
            "tenant": tenant,
            "name": saved.name,
            "request": saved.request.model_dump_json(exclude_unset=True),
            "created_at": saved.created_at,
            "updated_at": saved.updated_at,
        }
        mine = saved_searches.c.tenant == tenant
        async with self._database.writing() as connection:
            changed = await connection.execute(
                sa.update(saved_searches).where(mine & (saved_searches.c.id == saved.id)).values(row)
            )
            if changed.rowcount:
                return True
            count = (await connection.execute(sa.select(sa.func.count()).where(mine))).scalar_one()
            if count >= MOST_SAVED:
                return False
            await connection.execute(sa.insert(saved_searches).values(row))
        return True

    async def saved(self, tenant: str) -> list[SavedSearch]:
        """Every saved search of a tenant, the newest first."""
        query = (
            sa.select(saved_searches)
            .where(saved_searches.c.tenant == tenant)
            .order_by(saved_searches.c.created_at.desc(), saved_searches.c.id)
        )
        async with self._database.reading() as connection:
            return [_saved(row) for row in (await connection.execute(query)).mappings()]

    async def saved_one(self, tenant: str, saved_id: str) -> SavedSearch | None:
        """One saved search; None when the tenant has none of this id."""
        query = sa.select(saved_searches).where((saved_searches.c.tenant == tenant) & (saved_searches.c.id == saved_id))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return _saved(row) if row else None

    async def unsave(self, tenant: str, saved_id: str) -> bool:
        """Forget a saved search; False when there was none."""
        async with self._database.writing() as connection:
            gone = await connection.execute(
                sa.delete(saved_searches).where((saved_searches.c.tenant == tenant) & (saved_searches.c.id == saved_id))
            )
        return gone.rowcount == 1

    # -- triage

    async def mark(self, tenant: str, marked: Triage) -> None:
        """Mark a licitação, or mark it otherwise."""
        async with self._database.writing() as connection:
            newest = sa.select(sa.func.coalesce(sa.func.max(triage.c.seq), 0) + 1).where(triage.c.tenant == tenant)
            seq = (await connection.execute(newest)).scalar_one()
            values = {"mark": marked.mark, "note": marked.note, "updated_at": marked.updated_at, "seq": seq}
            await connection.execute(
                insert(connection, triage)
                .values(tenant=tenant, bid_id=marked.bid_id, **values)
                .on_conflict_do_update(index_elements=["tenant", "bid_id"], set_=values)
            )

    async def marks(
        self, tenant: str, *, mark: Mark | None, before: int | None, limit: int
    ) -> tuple[list[Triage], int | None]:
        """The latest marks first, and where the next page begins."""
        query = sa.select(triage).where(triage.c.tenant == tenant).order_by(triage.c.seq.desc()).limit(limit + 1)
        if mark is not None:
            query = query.where(triage.c.mark == mark)
        if before is not None:
            query = query.where(triage.c.seq < before)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        more = rows[limit - 1]["seq"] if len(rows) > limit else None
        return [_triage(row) for row in rows[:limit]], more

    async def marks_of(self, tenant: str, bid_ids: Sequence[BidId]) -> dict[BidId, Triage]:
        """The marks on these licitações."""
        found: dict[BidId, Triage] = {}
        async with self._database.reading() as connection:
            for start in range(0, len(bid_ids), _AT_ONCE):
                query = sa.select(triage).where(
                    (triage.c.tenant == tenant) & triage.c.bid_id.in_(bid_ids[start : start + _AT_ONCE])
                )
                found |= {row["bid_id"]: _triage(row) for row in (await connection.execute(query)).mappings()}
        return found

    async def unmark(self, tenant: str, bid_id: BidId) -> bool:
        """Take a mark off; False when there was none."""
        async with self._database.writing() as connection:
            gone = await connection.execute(
                sa.delete(triage).where((triage.c.tenant == tenant) & (triage.c.bid_id == bid_id))
            )
        return gone.rowcount == 1

    # -- what was shown

    async def seen_before(self, tenant: str, search_id: SearchId, bid_ids: Sequence[BidId]) -> frozenset[BidId]:
        """Which of these an earlier search has shown to the tenant."""
        seen: set[BidId] = set()
        async with self._database.reading() as connection:
            for start in range(0, len(bid_ids), _AT_ONCE):
                query = sa.select(shown.c.bid_id).where(
                    (shown.c.tenant == tenant)
                    & (shown.c.search_id != search_id)
                    & shown.c.bid_id.in_(bid_ids[start : start + _AT_ONCE])
                )
                seen |= set((await connection.execute(query)).scalars())
        return frozenset(seen)

    async def show(self, tenant: str, search_id: SearchId, bid_ids: Sequence[BidId], *, at: datetime) -> None:
        """Remember that a search showed these; the first one to show a licitação stays."""
        async with self._database.writing() as connection:
            await connection.execute(sa.delete(shown).where(shown.c.at < at - SHOWN_FOR))
            rows = [{"tenant": tenant, "bid_id": each, "search_id": search_id, "at": at} for each in bid_ids]
            await connection.execute(insert(connection, shown).on_conflict_do_nothing(), rows)


def _saved(row: Any) -> SavedSearch:
    return SavedSearch(
        id=row["id"],
        name=row["name"],
        request=SearchRequest.model_validate_json(row["request"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _triage(row: Any) -> Triage:
    return Triage(bid_id=row["bid_id"], mark=Mark(row["mark"]), note=row["note"], updated_at=row["updated_at"])
