"""Answers by key, with what decides of them; how often they are asked for; archives, also those that were let go."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.drop_table("answers")
    op.create_table(
        "answers",
        sa.Column("key", sa.String(80), primary_key=True),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("rows", sa.LargeBinary),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("sources_failed", sa.String(40), nullable=False),
        sa.Column("coverage_pct", sa.SmallInteger, nullable=False),
        sa.Column("finished_at", _MOMENT, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("priority", sa.String(4), nullable=False),
        sa.Column("access_count", sa.Integer, nullable=False),
        sa.Column("counted_since", _MOMENT, nullable=False),
        sa.Column("last_accessed_at", _MOMENT),
        sa.Column("saved_until", _MOMENT),
        sa.Column("last_success_at", _MOMENT),
        sa.Column("last_attempt_at", _MOMENT),
        sa.Column("fail_streak", sa.Integer, nullable=False),
        sa.Column("degraded_until", _MOMENT),
        sa.Column("fetch_duration_ms", sa.Integer),
    )
    op.create_index("answers_by_age", "answers", ["finished_at"])
    op.create_index("answers_by_due", "answers", ["priority", "due_at"])
    op.create_table(
        "answer_hours",
        sa.Column("hour", _MOMENT, primary_key=True),
        sa.Column("hits", sa.Integer, nullable=False),
        sa.Column("stale", sa.Integer, nullable=False),
        sa.Column("misses", sa.Integer, nullable=False),
    )
    op.create_table(
        "archives",
        sa.Column("search_id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("closed_at", _MOMENT, nullable=False),
    )
    op.create_index("archives_by_age", "archives", ["closed_at"])


def downgrade() -> None:
    op.drop_table("archives")
    op.drop_table("answer_hours")
    op.drop_table("answers")
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
