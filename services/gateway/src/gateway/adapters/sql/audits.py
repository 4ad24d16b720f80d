"""Who changed what, when and why, in SQL; nothing is ever taken out."""

from dataclasses import asdict
from uuid import uuid4

import sqlalchemy as sa

from gateway.adapters.sql.tables import audit
from gateway.domain.levers import Pulled
from servicekit.sql.database import Database

LISTED = 500


class SqlAudit:
    """The audit; each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, pulled: Pulled) -> None:
        """Keep one record."""
        async with self._database.writing() as connection:
            await connection.execute(sa.insert(audit).values(id=uuid4().hex, **asdict(pulled)))

    async def newest(self, limit: int) -> list[Pulled]:
        """The newest first."""
        query = sa.select(audit).order_by(audit.c.at.desc(), audit.c.id).limit(min(limit, LISTED))
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Pulled(
                at=row.at, actor=row.actor, action=row.action, subject=row.subject, before=row.before, after=row.after,
                reason=row.reason,
            )
            for row in rows
        ]  # fmt: skip
