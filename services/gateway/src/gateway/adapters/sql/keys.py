"""API keys in SQL."""

from datetime import datetime

import sqlalchemy as sa

from gateway.adapters.sql.tables import api_keys
from gateway.domain.keys import KeyRecord, Scope
from servicekit.sql.database import Database

LISTED = 1000


class SqlKeys:
    """The table of keys; each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key of this id, revoked or not."""
        async with self._database.reading() as connection:
            row = (await connection.execute(sa.select(api_keys).where(api_keys.c.id == key_id))).one_or_none()
        return _record(row) if row else None

    async def add(self, record: KeyRecord) -> None:
        """Keep a new key."""
        async with self._database.writing() as connection:
            await connection.execute(
                sa.insert(api_keys).values(
                    id=record.id,
                    tenant=record.tenant,
                    name=record.name,
                    scopes=" ".join(sorted(record.scopes)),
                    digest=record.digest,
                    created_at=record.created_at,
                )
            )

    async def revoke(self, key_id: str, *, at: datetime) -> bool:
        """End a key; False when there is none. A key that has ended keeps the moment when it did."""
        async with self._database.writing() as connection:
            found = await connection.execute(
                sa.update(api_keys)
                .where(api_keys.c.id == key_id)
                .values(
                    revoked_at=sa.func.coalesce(
                        api_keys.c.revoked_at, sa.bindparam("at", at, api_keys.c.revoked_at.type)
                    )
                )
            )
        return found.rowcount == 1

    async def all(self) -> list[KeyRecord]:
        """The newest keys first, ended ones too."""
        order = (api_keys.c.created_at.desc(), api_keys.c.id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(sa.select(api_keys).order_by(*order).limit(LISTED))).all()
        return [_record(row) for row in rows]


def _record(row: sa.Row[tuple[object, ...]]) -> KeyRecord:
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return KeyRecord(
        id=fields["id"],
        tenant=fields["tenant"],
        name=fields["name"],
        scopes=frozenset(Scope(scope) for scope in fields["scopes"].split()),
        digest=fields["digest"],
        created_at=fields["created_at"],
        revoked_at=fields["revoked_at"],
    )
