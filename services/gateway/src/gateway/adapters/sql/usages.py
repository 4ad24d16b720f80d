"""What finished searches have used, in SQL: one row a search, however often it is told."""

from datetime import date
from decimal import Decimal

import sqlalchemy as sa

from contracts.search import Completed
from contracts.when import day_of
from gateway.adapters.sql.tables import usage
from gateway.domain.usage import DayUsed
from servicekit.sql.database import Database, insert

LISTED = 5000
_SUMS = (
    sa.func.count().label("searches"),
    sa.func.sum(usage.c.source_requests).label("source_requests"),
    sa.func.sum(usage.c.llm_tokens).label("llm_tokens"),
    sa.func.sum(usage.c.llm_usd).label("llm_usd"),
)


class SqlUsage:
    """Usage by tenant and day; each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, tenant: str, ended: Completed) -> None:
        """Keep what one search has used."""
        row = {
            "search_id": ended.search_id,
            "tenant": tenant,
            "day": day_of(ended.at),
            "source_requests": ended.usage.source_requests,
            "llm_tokens": ended.usage.llm_tokens,
            "llm_usd": ended.usage.llm_usd,
        }
        async with self._database.writing() as connection:
            await connection.execute(insert(connection, usage).values(row).on_conflict_do_nothing())

    async def of_day(self, tenant: str, day: date) -> DayUsed:
        """One tenant's day."""
        query = sa.select(*_SUMS).where(usage.c.tenant == tenant, usage.c.day == day)
        async with self._database.reading() as connection:
            return _used(tenant, day, (await connection.execute(query)).one())

    async def since(self, day: date, *, tenant: str | None = None) -> list[DayUsed]:
        """Every tenant's days, or one's, the newest first."""
        query = (
            sa.select(usage.c.tenant, usage.c.day, *_SUMS)
            .where(usage.c.day >= day, *([] if tenant is None else [usage.c.tenant == tenant]))
            .group_by(usage.c.tenant, usage.c.day)
            .order_by(usage.c.day.desc(), usage.c.tenant)
            .limit(LISTED)
        )
        async with self._database.reading() as connection:
            return [_used(row.tenant, row.day, row) for row in await connection.execute(query)]


def _used(tenant: str, day: date, row: "sa.Row[tuple[object, ...]]") -> DayUsed:
    told = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return DayUsed(
        tenant=tenant, day=day, searches=told["searches"] or 0, source_requests=told["source_requests"] or 0,
        llm_tokens=told["llm_tokens"] or 0, llm_usd=Decimal(str(told["llm_usd"] or 0)),
    )  # fmt: skip
