"""The judge's tables as first laid: feedback, its uses, opinions of the model, money spent a day."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("user", sa.String(64), primary_key=True),
        sa.Column("search_id", sa.String(32), primary_key=True),
        sa.Column("bid_id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("user_verdict", sa.String(20), nullable=False),
        sa.Column("category", sa.String(20)),
        sa.Column("sector", sa.String(40)),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )
    op.create_index("feedback_by_sector", "feedback", ["sector", "at"])
    op.create_table(
        "feedback_uses",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("user", sa.String(64), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )
    op.create_index("feedback_uses_by_user", "feedback_uses", ["user", "at"])
    op.create_table(
        "opinions",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("opinion", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )
    op.create_index("opinions_by_age", "opinions", ["at"])
    op.create_table(
        "spending",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("micro_usd", sa.BigInteger, nullable=False),
    )
