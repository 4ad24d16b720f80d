"""Where the memory's tables live, and its one write transaction at a time."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from cache.adapters.sql.tables import sequence
from servicekit.sql.database import Database, Schema

SCHEMA: Final = Schema("cache", Path(__file__).parent / "migrations" / "versions")


@asynccontextmanager
async def storing(database: Database) -> AsyncIterator[tuple[AsyncConnection, int]]:
    """The one write transaction there is at a time, over all processes, and its `store_seq`.

    Adding one to the sequence takes the lock that orders the commits, so everything read after it is the truth
    until the commit; nothing else needs to be locked.
    """
    async with database.writing() as connection:
        store_seq: int = (
            await connection.execute(
                sa.update(sequence)
                .where(sequence.c.name == "store")
                .values(value=sequence.c.value + 1)
                .returning(sequence.c.value)
            )
        ).scalar_one()
        yield connection, store_seq


async def upsert(connection: AsyncConnection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write these rows, over those of the same keys."""
    if rows:
        await connection.execute(_upsert_into(table, connection.dialect.name), list(rows))


@lru_cache(maxsize=32)
def _upsert_into(table: sa.Table, dialect: str) -> "sa.Insert":
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=others)
