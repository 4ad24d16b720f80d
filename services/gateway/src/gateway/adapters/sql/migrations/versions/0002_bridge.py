"""What operators keep: snapshots of how the system did, and who changed what."""

import sqlalchemy as sa
from alembic import op

revision = "0002_bridge"
down_revision = "0001"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "snapshots",
        sa.Column("at", _MOMENT, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(120), nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("reason", sa.String(400), nullable=False),
    )
    op.create_index("audit_by_age", "audit", ["at"])
    op.create_table(
        "usage",
        sa.Column("search_id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("source_requests", sa.Integer, nullable=False),
        sa.Column("llm_tokens", sa.Integer, nullable=False),
        sa.Column("llm_usd", sa.Numeric(12, 6), nullable=False),
    )
    op.create_index("usage_by_tenant", "usage", ["tenant", "day"])


def downgrade() -> None:
    for table in ("usage", "audit", "snapshots"):
        op.drop_table(table)
