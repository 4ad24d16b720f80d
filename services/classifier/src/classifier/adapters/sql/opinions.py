"""Opinions of the model and what they cost, in SQL, so that no process asks again and all share one day's money."""

from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Final

import sqlalchemy as sa

from classifier.adapters.sql.tables import opinions, spending
from classifier.domain.arbitration import Opinion
from servicekit.sql.database import Database, insert

KEPT_FOR: Final = timedelta(days=90)
"""As long as answers are kept: a bid that is looked at again later is asked about again."""
_MICRO: Final = Decimal(1_000_000)


class SqlOpinions:
    """Each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str) -> Opinion | None:
        """What was said of this question; None also for an opinion of another shape."""
        async with self._database.reading() as connection:
            found = await connection.execute(sa.select(opinions.c.opinion).where(opinions.c.key == key))
            content = found.scalar_one_or_none()
        try:
            return None if content is None else Opinion.model_validate_json(content)
        except ValueError:
            return None

    async def put(self, key: str, opinion: Opinion, *, now: datetime) -> None:
        """Remember it; of two answers to one question the first stays."""
        async with self._database.writing() as connection:
            row = insert(connection, opinions).values(key=key, opinion=opinion.model_dump_json(), at=now)
            await connection.execute(row.on_conflict_do_nothing(index_elements=["key"]))
            await connection.execute(sa.delete(opinions).where(opinions.c.at < now - KEPT_FOR))


class SqlSpending:
    """The day's money over all processes: held back before a call, settled after it."""

    def __init__(self, database: Database, limit: Decimal) -> None:
        """Dollars a day; zero lets nothing through."""
        self._database = database
        self._limit = int(limit * _MICRO)

    async def take(self, cost: Decimal, *, day: date) -> bool:
        """Hold so much back, if there is enough."""
        amount = _micro(cost)
        async with self._database.writing() as connection:
            first = insert(connection, spending).values(day=day, micro_usd=0)
            await connection.execute(first.on_conflict_do_nothing(index_elements=["day"]))
            held = await connection.execute(
                sa.update(spending)
                .where((spending.c.day == day) & (spending.c.micro_usd + amount <= self._limit))
                .values(micro_usd=spending.c.micro_usd + amount)
            )
        return held.rowcount == 1

    async def settle(self, held: Decimal, cost: Decimal, *, day: date) -> None:
        """Put back what was held and not spent."""
        change = _micro(cost) - _micro(held)
        async with self._database.writing() as connection:
            await connection.execute(
                sa.update(spending).where(spending.c.day == day).values(micro_usd=spending.c.micro_usd + change)
            )


def _micro(cost: Decimal) -> int:
    """Rounded up, so that many small calls never cost more than is counted."""
    return int((cost * _MICRO).to_integral_value(ROUND_CEILING))
