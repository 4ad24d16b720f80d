"""The history of the sources' circuits in SQL (T02.1)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from contracts.ops import BreakerChanged, CircuitState
from contracts.places import UF
from contracts.values import Source
from gateway.adapters.sql.tables import breaker_history
from gateway.domain.circuits import KEPT_FOR, circuit_of
from servicekit.sql.database import Database, insert

PRUNED_EVERY: Final = timedelta(hours=1)


class SqlCircuits:
    """The table of transitions; each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pruned_at: datetime | None = None

    async def keep(self, change: BreakerChanged, *, now: datetime) -> None:
        """Keep a transition; one that is there already is kept once."""
        row = {
            "circuit": circuit_of(change), "at": change.at, "after": change.after, "source": change.source,
            "before": change.before, "reason": change.reason, "failures": change.consecutive_failures,
            "retry_at": change.retry_at, "shared": change.shared,
        }  # fmt: skip
        async with self._database.writing() as connection:
            await connection.execute(insert(connection, breaker_history).values(row).on_conflict_do_nothing())
            if self._pruned_at is None or now - self._pruned_at >= PRUNED_EVERY:
                await connection.execute(sa.delete(breaker_history).where(breaker_history.c.at < now - KEPT_FOR))
                self._pruned_at = now

    async def since(
        self, first: datetime, *, before: datetime | None = None, source: Source | None = None, limit: int
    ) -> list[BreakerChanged]:
        """The newest transitions from a moment on, the newest first."""
        query = sa.select(breaker_history).where(breaker_history.c.at >= first)
        if before is not None:
            query = query.where(breaker_history.c.at < before)
        if source is not None:
            query = query.where(breaker_history.c.source == source)
        query = query.order_by(breaker_history.c.at.desc(), breaker_history.c.circuit).limit(limit)
        async with self._database.reading() as connection:
            return [_change(row) for row in (await connection.execute(query)).mappings()]


def _change(row: Mapping[Any, Any]) -> BreakerChanged:
    _, _, part = row["circuit"].partition(".")
    is_uf = part in UF.__members__
    return BreakerChanged(
        source=Source(row["source"]),
        uf=UF(part) if is_uf else None,
        part=part if part and not is_uf else None,
        before=CircuitState(row["before"]),
        after=CircuitState(row["after"]),
        reason=row["reason"],
        consecutive_failures=row["failures"],
        at=row["at"],
        retry_at=row["retry_at"],
        shared=row["shared"],
    )
