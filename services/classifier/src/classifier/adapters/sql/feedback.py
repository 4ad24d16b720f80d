"""Feedback in SQL: one row per user, search and bid, and the writes of the last hour."""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from classifier.adapters.sql.tables import feedback, feedback_uses
from classifier.domain.patterns import Given
from contracts.feedback import BidSnapshot, FeedbackOutcome, FeedbackReply, TellFeedback, UserVerdict
from contracts.sectors import SectorId
from servicekit.sql.database import Database, insert

WINDOW: Final = timedelta(hours=1)
READ_AT_MOST: Final = 5_000
"""Rows that patterns are looked for in, the newest first."""


class SqlFeedback:
    """Each call raises DependencyAway while SQL is away."""

    def __init__(self, database: Database, *, most_an_hour: int) -> None:
        """At most so many writes a user and hour."""
        self._database = database
        self._most = most_an_hour

    async def take(self, told: TellFeedback, *, now: datetime) -> FeedbackReply:
        """Keep, change or remove one row, unless the user has written too much in the last hour."""
        mine = feedback_uses.c.user == told.user
        row = (
            (feedback.c.user == told.user)
            & (feedback.c.search_id == told.search_id)
            & (feedback.c.bid_id == told.bid_id)
        )
        async with self._database.writing() as connection:
            await connection.execute(sa.delete(feedback_uses).where(feedback_uses.c.at <= now - WINDOW))
            recent = (await connection.execute(sa.select(feedback_uses.c.at).where(mine))).scalars().all()
            if len(recent) >= self._most:
                wait = (min(recent) + WINDOW - now).total_seconds()
                return FeedbackReply(outcome=FeedbackOutcome.LIMITED, retry_after_s=max(1, int(wait) + 1))
            await connection.execute(sa.insert(feedback_uses).values(user=told.user, at=now))
            if told.user_verdict is None or told.snapshot is None:
                gone = await connection.execute(sa.delete(feedback).where(row))
                outcome = FeedbackOutcome.REMOVED if gone.rowcount else FeedbackOutcome.NOT_FOUND
                return FeedbackReply(outcome=outcome)
            there = (await connection.execute(sa.select(sa.func.count()).where(row))).scalar_one()
            values = {
                "user": told.user,
                "search_id": told.search_id,
                "bid_id": told.bid_id,
                "tenant": told.tenant,
                "user_verdict": told.user_verdict,
                "category": told.category,
                "sector": told.snapshot.sector,
                "snapshot": told.snapshot.model_dump_json(),
                "at": now,
            }
            upsert = insert(connection, feedback).values(values)
            await connection.execute(
                upsert.on_conflict_do_update(index_elements=["user", "search_id", "bid_id"], set_=values)
            )
        return FeedbackReply(outcome=FeedbackOutcome.CHANGED if there else FeedbackOutcome.KEPT, at=now)

    async def given(self, sector: SectorId | None) -> list[Given]:
        """The newest feedback on one sector, or on all; own terms have no sector and are left out."""
        query = sa.select(feedback).where(feedback.c.sector.is_not(None))
        if sector is not None:
            query = query.where(feedback.c.sector == sector)
        query = query.order_by(feedback.c.at.desc(), feedback.c.bid_id).limit(READ_AT_MOST)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [
            Given(row["sector"], snapshot.objeto, UserVerdict(row["user_verdict"]), snapshot.matched_terms)
            for row in rows
            if (snapshot := BidSnapshot.model_validate_json(row["snapshot"]))
        ]
