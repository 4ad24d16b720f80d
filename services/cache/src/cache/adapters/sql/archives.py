"""Where the logs of closed searches lie, and which of them were let go."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from cache.adapters.sql.tables import archives
from contracts.answers import ArchiveReply
from contracts.report import ObjectRef
from contracts.values import SearchId
from servicekit.sql.database import Database, insert


class SqlArchives:
    """The table of archives; each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def archived(self, search_id: SearchId, tenant: str, ref: ObjectRef, *, closed_at: datetime) -> None:
        """Keep where the log of a closed search lies."""
        row = {"search_id": search_id, "tenant": tenant, "ref": ref.model_dump_json(), "closed_at": closed_at}
        async with self._database.writing() as connection:
            await connection.execute(insert(connection, archives).values(row).on_conflict_do_nothing())

    async def archive(self, search_id: SearchId, *, kept: timedelta, now: datetime) -> ArchiveReply:
        """Where it lies, or that its time is over."""
        query = sa.select(archives).where(archives.c.search_id == search_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return ArchiveReply()
        over = now - row.closed_at > kept
        return ArchiveReply(
            archive=None if over else ObjectRef.model_validate_json(row.ref), tenant=row.tenant, closed_at=row.closed_at
        )
