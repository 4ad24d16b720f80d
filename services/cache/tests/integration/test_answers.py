"""L1 of the cascade, on SQLite and on PostgreSQL."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from cache.adapters.sql.answers import SqlAnswers
from cache.adapters.sql.archives import SqlArchives
from cache.adapters.sql.figures import SqlFigures
from cache.adapters.sql.tables import answers
from contracts.answers import AnswerPriority
from contracts.ops import BreakerChanged, CircuitState
from contracts.places import UF
from contracts.query import SearchRequest
from contracts.report import ObjectRef
from contracts.samples import NOW, SEARCH_ID, TODAY, stored_answer
from contracts.stored import STALE_FOR, StoredAnswer
from contracts.values import Source
from servicekit.cascade import Entry
from servicekit.sql.database import Database

KEY = "v2-sample"
QUERY = SearchRequest(ufs=(UF.SP,), sector="vestuario").normalised(today=TODAY)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
async def table(database: Database) -> SqlAnswers:
    return SqlAnswers(database)


async def held(table: SqlAnswers, key: str = KEY) -> StoredAnswer | None:
    found = await table.get(key)
    return found[0] if found else None


class TestKeeping:
    async def test_gives_back_what_was_kept(self, table: SqlAnswers) -> None:
        await table.keep(Entry(stored_answer(), b"rows"))
        assert await table.get(KEY) == (stored_answer(), b"rows")
        assert await table.count() == 1
        assert await table.get("v2-other") is None

    async def test_does_not_let_a_worse_answer_take_the_place_of_a_better_fresh_one(self, table: SqlAnswers) -> None:
        good, poor = stored_answer(), stored_answer(coverage_pct=40, finished_at=LATER, rows=b"poor")
        await table.keep(Entry(good, b"rows"))
        await table.keep(Entry(poor, b"poor"))
        assert await held(table) == good
        late = stored_answer(coverage_pct=40, finished_at=NOW + timedelta(hours=7), rows=b"late")
        await table.keep(Entry(late, b"late"))
        assert await held(table) == late, "of the good one nobody would say that it is fresh"

    @pytest.mark.parametrize("change", [{"rows": b"torn"}, {"head": "not a head"}])
    async def test_drops_and_counts_what_is_torn(self, database: Database, table: SqlAnswers, change: Any) -> None:
        await table.keep(Entry(stored_answer(), b"rows"))
        async with database.writing() as connection:
            await connection.execute(sa.update(answers).values(change))
        assert await table.get(KEY) is None
        assert (table.unreadable, await table.count()) == (1, 0)

    async def test_drops_one_or_all(self, table: SqlAnswers) -> None:
        for key in ("v2-a", "v2-b", "v2-c"):
            await table.keep(Entry(stored_answer(key), b"rows"))
        assert await table.drop("v2-a")
        assert not await table.drop("v2-a")
        assert await table.clear() == 2


class TestPriority:
    async def test_follows_the_accesses_of_a_day(self, table: SqlAnswers) -> None:
        await table.keep(Entry(stored_answer(), b"rows"))
        assert await table.touched({KEY: 1}, {}, at=LATER) == {KEY: AnswerPriority.WARM}
        assert await table.touched({KEY: 1}, {}, at=LATER) == {}
        assert await table.touched({KEY: 1}, {}, at=LATER) == {KEY: AnswerPriority.HOT}
        assert await table.cool(now=LATER) == {}
        assert await table.cool(now=LATER + timedelta(hours=25)) == {KEY: AnswerPriority.COLD}

    async def test_is_hot_for_a_saved_search(self, table: SqlAnswers) -> None:
        await table.keep(Entry(stored_answer(), b"rows"))
        until = LATER + timedelta(hours=24)
        assert await table.touched({}, {KEY: until}, at=LATER) == {KEY: AnswerPriority.HOT}


class TestBackOff:
    async def test_rests_longer_each_time_and_no_longer_after_a_success(self, table: SqlAnswers) -> None:
        await table.keep(Entry(stored_answer(), b"rows"))
        rests = [(await table.failed(KEY, at=NOW)) for _ in range(5)]
        assert [until - NOW for until in rests if until] == [timedelta(minutes=each) for each in (1, 5, 15, 30, 30)]
        assert await table.rests(KEY, now=NOW + timedelta(minutes=29))
        assert not await table.rests(KEY, now=NOW + timedelta(minutes=30))
        await table.succeeded(KEY, QUERY, at=NOW, took=timedelta(seconds=4))
        assert not await table.rests(KEY, now=NOW)
        assert await table.failed("v2-unknown", at=NOW) is None


class TestDue:
    async def test_comes_at_once_for_what_lacked_a_source_that_is_back(self, table: SqlAnswers) -> None:
        await table.keep(Entry(stored_answer("v2-a", sources_failed=(Source.PCP,)), b"rows"))
        await table.keep(Entry(stored_answer("v2-b", sources_failed=(Source.PNCP,)), b"rows"))
        await table.keep(Entry(stored_answer("v2-c"), b"rows"))
        back = BreakerChanged(
            source=Source.PCP, before=CircuitState.HALF_OPEN, after=CircuitState.CLOSED, reason="probes_passed", at=NOW
        )
        assert await table.spoiled(back) == ["v2-a"]
        found = await held(table, "v2-a")
        assert found is not None
        assert found.due_at == NOW

    async def test_has_hot_answers_made_anew_that_nobody_asks_for(self, table: SqlAnswers) -> None:
        for key, due in (("v2-due", NOW), ("v2-later", NOW + timedelta(hours=5))):
            await table.keep(Entry(stored_answer(key, due_at=due), b"rows"))
            await table.succeeded(key, QUERY, at=NOW, took=timedelta(seconds=1))
        await table.keep(Entry(stored_answer("v2-cold", due_at=NOW), b"rows"))
        await table.touched({"v2-due": 3, "v2-later": 3}, {}, at=NOW)
        assert await table.wanting(now=LATER, most=9) == [("v2-due", QUERY)]
        soon_stale = NOW + timedelta(hours=5, minutes=31)
        assert [key for key, _ in await table.wanting(now=soon_stale, most=9)] == ["v2-due", "v2-later"]
        await table.failed("v2-due", at=LATER)
        assert await table.wanting(now=LATER, most=9) == []
        assert await table.wanting(now=NOW + STALE_FOR + timedelta(hours=1), most=9) == []


class TestFigures:
    async def test_say_how_the_memory_is_asked(self, database: Database, table: SqlAnswers) -> None:
        figures = SqlFigures(database)
        for key, ago in (("v2-a", 1), ("v2-b", 7), ("v2-c", 30)):
            await table.keep(Entry(stored_answer(key, finished_at=NOW - timedelta(hours=ago)), b"rows"))
        await table.touched({"v2-a": 3, "v2-b": 1}, {}, at=NOW)
        await table.failed("v2-b", at=NOW)
        for _ in range(2):
            await figures.count_hour(hits=2, stale=1, misses=0, at=NOW)
        await figures.count_hour(hits=50, stale=0, misses=0, at=NOW - timedelta(hours=25))
        said = await figures.figures(now=NOW)
        assert said == {
            "hits_24h": 4, "stale_24h": 2, "misses_24h": 0, "total_entries": 3,
            "priority_distribution": {"hot": 1, "warm": 1, "cold": 1},
            "age_distribution": {"fresh": 1, "stale": 1, "expired": 1},
            "degraded_keys": ("v2-b",), "degraded_keys_count": 1, "avg_fail_streak": 0.333,
        }  # fmt: skip
        first, *_ = await figures.entries(key=None, limit=5, now=NOW)
        assert (first.key, first.priority, first.access_count, first.size) == ("v2-a", AnswerPriority.HOT, 3, 4)
        assert await figures.entries(key="v2-none", limit=5, now=NOW) == []


class TestArchives:
    async def test_tell_what_is_over_from_what_never_was(self, database: Database) -> None:
        archives, kept = SqlArchives(database), timedelta(days=90)
        ref = ObjectRef(bucket="ANSWERS", name="archives/1", size=1, sha256="0")
        for _ in range(2):
            await archives.archived(SEARCH_ID, "acme", ref, closed_at=NOW)
        there = await archives.archive(SEARCH_ID, kept=kept, now=LATER)
        assert (there.archive, there.tenant) == (ref, "acme")
        over = await archives.archive(SEARCH_ID, kept=kept, now=NOW + timedelta(days=91))
        assert (over.archive, over.closed_at) == (None, NOW)
        assert (await archives.archive("f" * 32, kept=kept, now=NOW)).closed_at is None
