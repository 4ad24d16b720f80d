"""What the gateway keeps, as first laid: keys, promises of idempotency, saved searches, triage, what was shown."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("scopes", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("revoked_at", _MOMENT),
    )
    op.create_table(
        "promises",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("effect_id", sa.String(32), nullable=False),
        sa.Column("begun_at", _MOMENT, nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("promises_by_age", "promises", ["begun_at"])
    op.create_table(
        "saved_searches",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
    )
    op.create_index("saved_searches_by_tenant", "saved_searches", ["tenant", "created_at"])
    op.create_table(
        "triage",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("bid_id", sa.String(40), primary_key=True),
        sa.Column("mark", sa.String(12), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
    )
    op.create_index("triage_by_age", "triage", ["tenant", "seq"])
    op.create_table(
        "shown",
        sa.Column("tenant", sa.String(40), primary_key=True),
        sa.Column("bid_id", sa.String(40), primary_key=True),
        sa.Column("search_id", sa.String(32), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )
    op.create_index("shown_by_age", "shown", ["at"])


def downgrade() -> None:
    for table in ("shown", "triage", "saved_searches", "promises", "api_keys"):
        op.drop_table(table)
