"""Upkeep: how far the incremental sync has come, and indexes by age for what is let go."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "syncs",
        sa.Column("source", sa.String(10), primary_key=True),
        sa.Column("uf", sa.String(2), primary_key=True),
        sa.Column("modalidade", sa.SmallInteger, primary_key=True),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("upto", _MOMENT, nullable=False),
    )
    op.create_index("bids_by_day", "bids", ["day"])
    op.create_index("bid_history_by_age", "bid_history", ["replaced_at"])


def downgrade() -> None:
    op.drop_index("bid_history_by_age", "bid_history")
    op.drop_index("bids_by_day", "bids")
    op.drop_table("syncs")
