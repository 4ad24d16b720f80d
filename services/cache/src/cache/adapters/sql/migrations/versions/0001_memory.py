"""The memory as first laid: bids and their history, the ledger, what has arrived of each fetch, answers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    sequence = op.create_table(
        "sequence",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(sequence, [{"name": "store", "value": 0}])
    op.create_table(
        "bids",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("source", sa.String(10), nullable=False),
        sa.Column("uf", sa.String(2), nullable=False),
        sa.Column("modalidade", sa.SmallInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("hash", sa.String(16), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("first_seen", _MOMENT, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("last_seen", _MOMENT, nullable=False),
        sa.Column("store_seq", sa.BigInteger, nullable=False),
    )
    op.create_index("bids_by_slice", "bids", ["source", "uf", "day", "id"])
    op.create_index("bids_by_store_seq", "bids", ["source", "store_seq"])
    op.create_table(
        "bid_history",
        sa.Column("bid_id", sa.String(40), primary_key=True),
        sa.Column("replaced_at", _MOMENT, primary_key=True),
        sa.Column("hash", sa.String(16), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
    )
    op.create_table(
        "slices",
        sa.Column("source", sa.String(10), primary_key=True),
        sa.Column("uf", sa.String(2), primary_key=True),
        sa.Column("modalidade", sa.SmallInteger, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("why", sa.String(200)),
        sa.Column("fetched_at", _MOMENT),
        sa.Column("done_at", _MOMENT),
        sa.Column("last_attempt_at", _MOMENT, nullable=False),
        sa.Column("fetch_id", sa.BigInteger, nullable=False),
        sa.Column("attempt_status", sa.String(10), nullable=False),
        sa.Column("attempt_why", sa.String(200)),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("store_seq", sa.BigInteger, nullable=False),
    )
    op.create_index("slices_by_store_seq", "slices", ["source", "store_seq"])
    op.create_table(
        "ranges",
        sa.Column("source", sa.String(10), primary_key=True),
        sa.Column("place", sa.String(2), primary_key=True),
        sa.Column("fetch_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("modalidade", sa.SmallInteger, primary_key=True),
        sa.Column("day_from", sa.Date, primary_key=True),
        sa.Column("day_to", sa.Date, primary_key=True),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("touched_at", _MOMENT, nullable=False),
        sa.Column("pages", sa.Text, nullable=False),
        sa.Column("end", sa.Text),
        sa.Column("settled", sa.Boolean, nullable=False),
    )
    op.create_index("ranges_by_touch", "ranges", ["source", "touched_at"])
    op.create_table(
        "answers",
        sa.Column("search_id", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("coverage", sa.Text, nullable=False),
        sa.Column("oldest_fetched_at", _MOMENT),
        sa.Column("created_at", _MOMENT, nullable=False),
    )
    op.create_index("answers_by_key", "answers", ["key", "created_at"])


def downgrade() -> None:
    for table in ("answers", "ranges", "slices", "bid_history", "bids", "sequence"):
        op.drop_table(table)
