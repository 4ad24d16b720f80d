"""The tables; `migrations/` makes them, this is how the code speaks of them."""

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
)

from servicekit.sql.moment import Moment

metadata = MetaData()

api_keys = Table(
    "api_keys", metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("name", String(80), nullable=False),
    Column("scopes", String(40), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
)  # fmt: skip
"""A revoked key stays, so that whoever asks later can be told when it ended."""

promises = Table(
    "promises", metadata,
    Column("tenant", String(40), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("effect_id", String(32), nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("status", SmallInteger),
    Column("headers", Text),
    Column("body", LargeBinary),
    Index("promises_by_age", "begun_at"),
)  # fmt: skip
"""One row per `Idempotency-Key`; without a status the first request is still being served, or its process died."""

saved_searches = Table(
    "saved_searches", metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("name", String(80), nullable=False),
    Column("request", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("saved_searches_by_tenant", "tenant", "created_at"),
)  # fmt: skip

triage = Table(
    "triage", metadata,
    Column("tenant", String(40), primary_key=True),
    Column("bid_id", String(40), primary_key=True),
    Column("mark", String(12), nullable=False),
    Column("note", Text, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("seq", Integer, nullable=False),
    Index("triage_by_age", "tenant", "seq"),
)  # fmt: skip
"""`seq` grows with each change of the tenant's marks: the order of the list."""

shown = Table(
    "shown", metadata,
    Column("tenant", String(40), primary_key=True),
    Column("bid_id", String(40), primary_key=True),
    Column("search_id", String(32), nullable=False),
    Column("at", Moment, nullable=False),
    Index("shown_by_age", "at"),
)  # fmt: skip
"""The search in which a bid was first shown to a tenant: in every later one it is not new."""

snapshots = Table(
    "snapshots", metadata,
    Column("at", Moment, primary_key=True),
    Column("content", Text, nullable=False),
)  # fmt: skip
"""How the system did, every five minutes: one row for all gateways."""

audit = Table(
    "audit", metadata,
    Column("id", String(32), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", String(400), nullable=False),
    Index("audit_by_age", "at"),
)  # fmt: skip
"""Every lever that was pulled and flag that was changed; nothing is ever taken out."""

usage = Table(
    "usage", metadata,
    Column("search_id", String(32), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("day", Date, nullable=False),
    Column("source_requests", Integer, nullable=False),
    Column("llm_tokens", Integer, nullable=False),
    Column("llm_usd", Numeric(12, 6), nullable=False),
    Index("usage_by_tenant", "tenant", "day"),
)  # fmt: skip
"""What each finished search has used, on the day in America/Sao_Paulo on which it ended."""

breaker_history = Table(
    "breaker_history", metadata,
    Column("circuit", String(20), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("after", String(10), primary_key=True),
    Column("source", String(10), nullable=False),
    Column("before", String(10), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Moment),
    Column("shared", Boolean, nullable=False),
    Index("breaker_history_by_age", "at"),
)  # fmt: skip
"""Every transition of a circuit: `pncp`, `pncp.SP`, `pncp.itens`."""
