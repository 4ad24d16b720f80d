"""The history of the sources' circuits, kept for 400 days."""

import sqlalchemy as sa
from alembic import op

revision = "0003_circuits"
down_revision = "0002_bridge"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "breaker_history",
        sa.Column("circuit", sa.String(20), primary_key=True),
        sa.Column("at", _MOMENT, primary_key=True),
        sa.Column("after", sa.String(10), primary_key=True),
        sa.Column("source", sa.String(10), nullable=False),
        sa.Column("before", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("retry_at", _MOMENT),
        sa.Column("shared", sa.Boolean, nullable=False),
    )
    op.create_index("breaker_history_by_age", "breaker_history", ["at"])


def downgrade() -> None:
    op.drop_table("breaker_history")
