"""How the system did, in SQL, for seven days (T03.2)."""

from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import sqlalchemy as sa

from gateway.adapters.sql.tables import snapshots
from servicekit.sql.database import Database, insert

KEPT_FOR: Final = timedelta(days=7)
EVERY: Final = timedelta(minutes=5)
_MOST: Final = int(KEPT_FOR / EVERY) + 1


class SqlSnapshots:
    """One row for every five minutes, whichever gateway writes it first; each call raises DependencyAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, content: dict[str, Any], *, now: datetime) -> None:
        """Keep one, and let go of those that are too old."""
        at = datetime.fromtimestamp(now.timestamp() // EVERY.total_seconds() * EVERY.total_seconds(), now.tzinfo)
        async with self._database.writing() as connection:
            row = {"at": at, "content": orjson.dumps(content).decode()}
            await connection.execute(insert(connection, snapshots).values(row).on_conflict_do_nothing())
            await connection.execute(sa.delete(snapshots).where(snapshots.c.at < now - KEPT_FOR))

    async def since(self, moment: datetime) -> list[tuple[datetime, dict[str, Any]]]:
        """Every snapshot since then, the oldest first."""
        query = sa.select(snapshots).where(snapshots.c.at >= moment).order_by(snapshots.c.at).limit(_MOST)
        async with self._database.reading() as connection:
            return [(row.at, orjson.loads(row.content)) for row in await connection.execute(query)]
