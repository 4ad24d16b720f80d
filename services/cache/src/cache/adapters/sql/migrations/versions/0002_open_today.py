"""What is open today: when each bid closes, and when a source last listed it as open."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_CLOSES = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', json_extract(content, '$.data_encerramento'))",
    "postgresql": "(content::json ->> 'data_encerramento')::timestamptz",
}


def upgrade() -> None:
    op.add_column("bids", sa.Column("closes", _MOMENT))
    op.add_column("bids", sa.Column("open_seen", _MOMENT))
    op.create_index("bids_by_closing", "bids", ["source", "uf", "closes"])
    op.create_index("bids_by_listing", "bids", ["source", "uf", "open_seen"])
    op.execute(f"UPDATE bids SET closes = {_CLOSES[op.get_bind().dialect.name]}")  # noqa: S608 - no word of it is a stranger's


def downgrade() -> None:
    for index in ("bids_by_listing", "bids_by_closing"):
        op.drop_index(index, "bids")
    for column in ("open_seen", "closes"):
        op.drop_column("bids", column)
