"""The classifier's tables; `migrations` makes them."""

import sqlalchemy as sa

from servicekit.sql.moment import Moment

METADATA = sa.MetaData()

feedback = sa.Table(
    "feedback", METADATA,
    sa.Column("user", sa.String(64), primary_key=True),
    sa.Column("search_id", sa.String(32), primary_key=True),
    sa.Column("bid_id", sa.String(40), primary_key=True),
    sa.Column("tenant", sa.String(80), nullable=False),
    sa.Column("user_verdict", sa.String(20), nullable=False),
    sa.Column("category", sa.String(20)),
    sa.Column("sector", sa.String(40)),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
)  # fmt: skip
"""One row per user, search and bid; `snapshot` is a `BidSnapshot` as JSON."""

feedback_uses = sa.Table(
    "feedback_uses", METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("user", sa.String(64), nullable=False),
    sa.Column("at", Moment, nullable=False),
)  # fmt: skip
"""Every write of the last hour, for the rate limit."""

opinions = sa.Table(
    "opinions", METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("opinion", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
)  # fmt: skip
"""What the model said, by content, sector, prompt version and model."""

spending = sa.Table(
    "spending", METADATA,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("micro_usd", sa.BigInteger, nullable=False),
)  # fmt: skip
"""Millionths of a dollar spent and held back on one day (UTC), over all processes."""
