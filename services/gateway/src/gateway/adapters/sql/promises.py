"""Promises of idempotency in SQL: what was answered to a key, and who is still answering."""

from datetime import timedelta
from typing import Final
from uuid import uuid4

import orjson
import sqlalchemy as sa

from gateway.adapters.sql.tables import promises
from gateway.domain.once import Begun, InFlight, Mismatch, Reply
from servicekit.clock import Clock
from servicekit.sql.database import Database, insert

KEPT_FOR: Final = timedelta(hours=24)
ANSWERED_WITHIN: Final = timedelta(minutes=2)
"""Longer than any request takes: whoever began a promise before that has died, and another may keep it."""


class SqlPromises:
    """The table of promises; each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, tenant: str, key: str, fingerprint: str) -> Begun | InFlight | Mismatch | Reply:
        """Take the promise on, or say what has become of it."""
        now = self._clock()
        mine = (promises.c.tenant == tenant) & (promises.c.key == key)
        fresh = {
            "tenant": tenant, "key": key, "fingerprint": fingerprint, "effect_id": uuid4().hex, "begun_at": now,
        }  # fmt: skip
        async with self._database.writing() as connection:
            await connection.execute(sa.delete(promises).where(promises.c.begun_at < now - KEPT_FOR))
            made = await connection.execute(insert(connection, promises).values(fresh).on_conflict_do_nothing())
            if made.rowcount == 1:
                return Begun(effect_id=str(fresh["effect_id"]), again=False)
            row = (await connection.execute(sa.select(promises).where(mine).with_for_update())).one()
            if row.fingerprint != fingerprint:
                return Mismatch()
            if row.status is not None:
                return Reply(status=row.status, headers=orjson.loads(row.headers), body=row.body)
            if now - row.begun_at < ANSWERED_WITHIN:
                return InFlight()
            await connection.execute(sa.update(promises).where(mine).values(begun_at=now))
            return Begun(effect_id=row.effect_id, again=True)

    async def keep(self, tenant: str, key: str, reply: Reply) -> None:
        """What every repeat is answered from now on."""
        async with self._database.writing() as connection:
            await connection.execute(
                sa.update(promises)
                .where((promises.c.tenant == tenant) & (promises.c.key == key))
                .values(status=reply.status, headers=orjson.dumps(reply.headers).decode(), body=reply.body)
            )

    async def forget(self, tenant: str, key: str) -> None:
        """Nothing was done: the next try is the first."""
        async with self._database.writing() as connection:
            await connection.execute(
                sa.delete(promises).where(
                    (promises.c.tenant == tenant) & (promises.c.key == key) & promises.c.status.is_(None)
                )
            )

    async def release(self, tenant: str, key: str) -> None:
        """Let the next try take it over at once, with the same id."""
        async with self._database.writing() as connection:
            await connection.execute(
                sa.update(promises)
                .where((promises.c.tenant == tenant) & (promises.c.key == key) & promises.c.status.is_(None))
                .values(begun_at=self._clock() - ANSWERED_WITHIN)
            )
