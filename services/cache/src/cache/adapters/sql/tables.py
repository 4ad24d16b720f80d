"""The tables; `migrations/` makes them, this is how the code speaks of them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

from servicekit.sql.moment import Moment

metadata = MetaData()

EVERY = -1
"""In a column of modalidades: each of them."""
UPDATED = 100
"""In a column of modalidades, added to one: not what was published on the days but what was changed on them."""
COUNTED = 200
"""In a column of modalidades, added to one: only the source's own count of the days was asked."""

sequence = Table(
    "sequence", metadata,
    Column("name", String(20), primary_key=True),
    Column("value", BigInteger, nullable=False),
)  # fmt: skip
"""One row, `store`. Whoever stores adds one to it first and so holds its lock until the commit: `store_seq` is in the
order of the commits, and no reader can see a higher one before a lower."""

bids = Table(
    "bids", metadata,
    Column("id", String(40), primary_key=True),
    Column("source", String(10), nullable=False),
    Column("uf", String(2), nullable=False),
    Column("modalidade", SmallInteger, nullable=False),
    Column("day", Date, nullable=False),
    Column("hash", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("first_seen", Moment, nullable=False),
    Column("since", Moment, nullable=False),
    Column("last_seen", Moment, nullable=False),
    Column("store_seq", BigInteger, nullable=False),
    Column("closes", Moment),
    Column("open_seen", Moment),
    Index("bids_by_day", "day"),
    Index("bids_by_closing", "source", "uf", "closes"),
    Index("bids_by_listing", "source", "uf", "open_seen"),
    Index("bids_by_slice", "source", "uf", "day", "id"),
    Index("bids_by_store_seq", "source", "store_seq"),
)  # fmt: skip
"""`first_seen` of the bid, `since` of its present content, `last_seen` on any page, `open_seen` on a list of what is
open; `closes` is the content's closing date."""

bid_history = Table(
    "bid_history", metadata,
    Column("bid_id", String(40), primary_key=True),
    Column("replaced_at", Moment, primary_key=True),
    Column("hash", String(16), primary_key=True),
    Column("content", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Index("bid_history_by_age", "replaced_at"),
)  # fmt: skip

slices = Table(
    "slices", metadata,
    Column("source", String(10), primary_key=True),
    Column("uf", String(2), primary_key=True),
    Column("modalidade", SmallInteger, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("status", String(10), nullable=False),
    Column("why", String(200)),
    Column("fetched_at", Moment),
    Column("done_at", Moment),
    Column("last_attempt_at", Moment, nullable=False),
    Column("fetch_id", BigInteger, nullable=False),
    Column("attempt_status", String(10), nullable=False),
    Column("attempt_why", String(200)),
    Column("records", Integer, nullable=False),
    Column("store_seq", BigInteger, nullable=False),
    Index("slices_by_store_seq", "source", "store_seq"),
)  # fmt: skip
"""The ledger. A source that only lists the country whole has one row a day, of UF `BR` and modalidade `EVERY`, for all
its slices. `status` is the best look so far, `attempt_*` the last try, whose fetch id `fetch_id` is."""

ranges = Table(
    "ranges", metadata,
    Column("source", String(10), primary_key=True),
    Column("place", String(2), primary_key=True),
    Column("fetch_id", BigInteger, primary_key=True, autoincrement=False),
    Column("modalidade", SmallInteger, primary_key=True),
    Column("day_from", Date, primary_key=True),
    Column("day_to", Date, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("touched_at", Moment, nullable=False),
    Column("pages", Text, nullable=False),
    Column("end", Text),
    Column("settled", Boolean, nullable=False),
    Index("ranges_by_touch", "source", "touched_at"),
)  # fmt: skip
"""What has arrived of each range of each fetch; place BR is the country."""

syncs = Table(
    "syncs", metadata,
    Column("source", String(10), primary_key=True),
    Column("uf", String(2), primary_key=True),
    Column("modalidade", SmallInteger, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("upto", Moment, nullable=False),
)  # fmt: skip
"""Every change from `since` to `upto` was read."""

audits = Table(
    "audits", metadata,
    Column("source", String(10), primary_key=True),
    Column("uf", String(2), primary_key=True),
    Column("modalidade", SmallInteger, primary_key=True),
    Column("day_from", Date, nullable=False),
    Column("day_to", Date, nullable=False),
    Column("held", Integer, nullable=False),
    Column("published", Integer, nullable=False),
    Column("seen_at", Moment, nullable=False),
)  # fmt: skip
"""The last comparison of what is held of some days with what the source itself counts of them."""

answers = Table(
    "answers", metadata,
    Column("key", String(80), primary_key=True),
    Column("head", Text, nullable=False),
    Column("rows", LargeBinary),
    Column("query", Text, nullable=False),
    Column("sources_failed", String(40), nullable=False),
    Column("coverage_pct", SmallInteger, nullable=False),
    Column("finished_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("priority", String(4), nullable=False),
    Column("access_count", Integer, nullable=False),
    Column("counted_since", Moment, nullable=False),
    Column("last_accessed_at", Moment),
    Column("saved_until", Moment),
    Column("last_success_at", Moment),
    Column("last_attempt_at", Moment),
    Column("fail_streak", Integer, nullable=False),
    Column("degraded_until", Moment),
    Column("fetch_duration_ms", Integer),
    Index("answers_by_age", "finished_at"),
    Index("answers_by_due", "priority", "due_at"),
)  # fmt: skip
"""L1: the best answer of each key. `rows` are its packed bytes, None when they are too many; `access_count` counts
since `counted_since`, a day at most; until `degraded_until` nobody makes it anew (B03)."""

answer_hours = Table(
    "answer_hours", metadata,
    Column("hour", Moment, primary_key=True),
    Column("hits", Integer, nullable=False),
    Column("stale", Integer, nullable=False),
    Column("misses", Integer, nullable=False),
)  # fmt: skip
"""How often stored answers were asked for, by the hour."""

archives = Table(
    "archives", metadata,
    Column("search_id", String(32), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("ref", Text, nullable=False),
    Column("closed_at", Moment, nullable=False),
    Index("archives_by_age", "closed_at"),
)  # fmt: skip
"""Logs of closed searches; the row outlives the log, so that a search whose time is over is told from none."""
