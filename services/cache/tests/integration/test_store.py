import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cache.adapters.sql import upkeep
from cache.adapters.sql.answers import SqlAnswers
from cache.adapters.sql.schema import SCHEMA, storing
from cache.adapters.sql.store import SqlMemory
from cache.adapters.sql.tables import bid_history, metadata, ranges, slices
from cache.adapters.sql.upkeep import Keeping, SqlUpkeep
from cache.domain.ledger import OPEN_TODAY, is_due
from contracts.fetch import FetchRange, SliceStatus
from contracts.places import UF
from contracts.samples import stored_answer
from contracts.values import Modalidade, Situacao, Source
from servicekit.cascade import Entry
from servicekit.errors import DependencyAway
from servicekit.sql.database import Database


async def everything(memory: SqlMemory, make: Any, uf: UF = UF.SP, source: Source = Source.PNCP) -> list[Any]:
    days = make.days(30)
    return [each async for page in memory.stored(source, uf, first=days[0], last=days[-1]) for each in page]


async def the_ledger(memory: SqlMemory, make: Any, source: Source = Source.PNCP, **more: Any) -> dict[Any, Any]:
    days = make.days(30)
    records = await memory.ledger(
        source, ufs=tuple(UF), modalidades=tuple(Modalidade), first=days[0], last=days[-1], **more
    )
    return {record.key: record for record in records}


async def count(database: Database, table: sa.Table) -> int:
    async with database.reading() as connection:
        number: int = (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one()
    return number


class TestMigrations:
    async def test_make_the_tables_that_the_code_speaks_of(self, database: Database) -> None:
        await database.migrate()
        async with database.reading() as connection:
            made = await connection.run_sync(
                lambda sync: {
                    name: {
                        "columns": {column["name"] for column in sa.inspect(sync).get_columns(name)},
                        "indexes": {index["name"] for index in sa.inspect(sync).get_indexes(name)},
                        "keys": sa.inspect(sync).get_pk_constraint(name)["constrained_columns"],
                    }
                    for name in metadata.tables
                }
            )
        assert made == {
            name: {
                "columns": set(table.columns.keys()),
                "indexes": {index.name for index in table.indexes},
                "keys": [column.name for column in table.primary_key],
            }
            for name, table in metadata.tables.items()
        }

    async def test_run_once_when_several_processes_start_together(self, database: Database) -> None:
        others = [Database(SCHEMA, database._url) for _ in range(4)]
        await asyncio.gather(database.migrate(), *(other.migrate() for other in others))
        assert [await SqlMemory(other).seq() for other in (database, *others)] == [0] * 5
        for other in others:
            await other.close()

    async def test_keep_what_is_there_when_run_again(self, database: Database, memory: SqlMemory, make: Any) -> None:
        await memory.store(make.page(make.bid()))
        again = Database(SCHEMA, database._url)
        assert await SqlMemory(again).bid(make.bid().id) is not None
        await again.close()


class TestStoringPages:
    async def test_keeps_the_bids_as_they_came(self, memory: SqlMemory, make: Any) -> None:
        bid = make.bid(municipio="São José dos Campos", data_encerramento=make.now)
        page = make.page(bid)
        stored = await memory.store(page)

        (held,) = await everything(memory, make)
        assert held.bid == bid
        assert (held.since, held.last_seen, held.hash) == (page.fetched_at, page.fetched_at, bid.content_hash)
        assert not stored.settled
        assert stored.changes == ()

    async def test_tells_each_amendment_and_keeps_the_old_content(
        self, database: Database, memory: SqlMemory, make: Any
    ) -> None:
        old, new = make.bid(), make.bid(valor_estimado=Decimal(5), situacao=Situacao.REVOGADA, numero="9/2026")
        await memory.store(make.page(old))
        page = make.page(new, page=2)
        first = await memory.store(page)
        again = await memory.store(page)

        assert {change.field: change.new for change in first.changes} == {"valor_estimado": "5", "situacao": "revogada"}
        assert again.changes == first.changes, "a redelivered page tells its changes again"
        assert await count(database, bid_history) == 1
        held = await memory.bid(old.id)
        assert held is not None
        assert (held.bid, held.since) == (new, page.fetched_at)
        assert await memory.changes(old.id) == first.changes

    async def test_tells_the_history_of_a_bid_the_newest_change_first(self, memory: SqlMemory, make: Any) -> None:
        for number, value in enumerate((1, 2, 3), start=1):
            await memory.store(make.page(make.bid(valor_estimado=Decimal(value)), page=number))
        changes = await memory.changes(make.bid().id)
        assert [(change.old, change.new) for change in changes] == [("2", "3"), ("1", "2")]
        assert await memory.changes("PCP-1") == ()

    async def test_notes_a_bid_seen_again_unchanged(self, database: Database, memory: SqlMemory, make: Any) -> None:
        await memory.store(make.page(make.bid()))
        before = await memory.seq()
        later = make.page(make.bid(), fetch_id=8, fetched_at=make.now + timedelta(minutes=40))
        await memory.store(later)

        ((held,),) = [page async for page in memory.news(Source.PNCP, ufs=(UF.SP,), after=before)]
        assert held.last_seen == later.fetched_at
        assert held.since < later.fetched_at
        assert await count(database, bid_history) == 0

    async def test_does_not_let_an_older_page_overwrite_a_newer_one(self, memory: SqlMemory, make: Any) -> None:
        new = make.bid(objeto="Aquisição retificada")
        await memory.store(make.page(new, fetched_at=make.now + timedelta(minutes=5)))
        stored = await memory.store(make.page(make.bid(), page=2, fetched_at=make.now))
        held = await memory.bid(new.id)
        assert held is not None
        assert held.bid == new
        assert stored.changes == ()

    async def test_reads_long_lists_whole_and_once(self, memory: SqlMemory, make: Any) -> None:
        days = make.days(3)
        bids = [make.bid(number, day=days[number % 3]) for number in range(1, 1203)]
        for number in range(0, len(bids), 300):
            await memory.store(make.page(*bids[number : number + 300], page=number + 1))
        assert sorted(each.bid.id for each in await everything(memory, make)) == sorted(bid.id for bid in bids)
        news = [each.bid.id async for page in memory.news(Source.PNCP, ufs=(UF.SP, UF.RJ), after=1) for each in page]
        assert sorted(news) == sorted(bid.id for bid in bids[300:])


class TestStoringEnds:
    async def test_completes_the_slices_with_whichever_message_comes_last(
        self, database: Database, memory: SqlMemory, make: Any
    ) -> None:
        for fetch_id, order in enumerate(permutations(range(3)), start=1):
            pages = [make.page(make.bid(number), page=number, fetch_id=fetch_id) for number in (1, 2)]
            started = make.now + timedelta(minutes=fetch_id)
            end = make.end(*pages, fetch_id=fetch_id, started_at=started, ended_at=started)
            outcomes = [await memory.store([*pages, end][which]) for which in order]
            assert [outcome.settled for outcome in outcomes] == [False, False, True]
            assert [outcome.claim_done for outcome in outcomes] == [False, False, True]
            (record,) = (await the_ledger(memory, make)).values()
            assert (record.status, record.fetched_at, record.attempt_id) == (SliceStatus.COMPLETE, started, fetch_id)

    async def test_changes_nothing_when_a_message_comes_again(
        self, database: Database, memory: SqlMemory, make: Any
    ) -> None:
        page = make.page(make.bid())
        messages = [page, make.end(page)]
        first = [await memory.store(message) for message in messages]
        ledger = await the_ledger(memory, make)
        seq = await memory.seq()
        again = [await memory.store(message) for message in messages]

        assert again[1] == first[1]
        assert await the_ledger(memory, make) == ledger
        assert await the_ledger(memory, make, after=seq) == {}
        assert (await count(database, slices), await count(database, ranges)) == (1, 1)

    async def test_counts_the_records_of_each_slice(self, database: Database, memory: SqlMemory, make: Any) -> None:
        today, before = make.today, make.days(2)[0]
        page = make.page(make.bid(1), make.bid(2), make.bid(3, day=before), range=make.range(count=3))
        await memory.store(page)
        await memory.store(make.end(page, range=make.range(count=3)))
        async with database.reading() as connection:
            counted = {row.day: row.records for row in await connection.execute(sa.select(slices))}
        assert counted == {today: 2, before: 1, make.days(3)[0]: 0}

    async def test_keeps_a_complete_look_when_a_later_fetch_fails(self, memory: SqlMemory, make: Any) -> None:
        await memory.store(make.end())
        later = make.now + timedelta(minutes=31)
        failed = make.end(fetch_id=8, status=SliceStatus.FAILED, started_at=later, ended_at=later)
        outcome = await memory.store(failed)
        (record,) = (await the_ledger(memory, make)).values()
        assert outcome.settled
        assert (record.status, record.fetched_at) == (SliceStatus.COMPLETE, make.now)
        assert (record.attempt_id, record.attempt_status, record.attempt_at) == (8, SliceStatus.FAILED, later)
        assert is_due(record, now=later)

    async def test_sets_every_slice_of_the_country_for_a_national_listing(self, memory: SqlMemory, make: Any) -> None:
        plain = {"source": Source.PCP, "uf": None, "range": make.range(None, 4)}
        page = make.page(make.bid(1, source=Source.PCP, uf=UF.XX, modalidade=Modalidade.OUTRA), **plain)
        days = make.days(4)
        await memory.store(page)
        await memory.store(make.end(page, **plain, inner_from=days[1], inner_to=days[2]))
        ledger = await the_ledger(memory, make, Source.PCP)
        assert {key.day for key in ledger} == {days[1], days[2]}
        assert len(ledger) == 28 * 16 * 2
        assert {record.status for record in ledger.values()} == {SliceStatus.COMPLETE}
        assert await memory.pages(Source.PCP, UF.AC, first=days[0], last=days[1], since=make.now) == 1

    async def test_ends_the_claim_with_the_last_of_its_ranges(self, memory: SqlMemory, make: Any) -> None:
        of = [make.range(Modalidade.PREGAO_ELETRONICO), make.range(Modalidade.DISPENSA), make.range(count=3)]
        outcomes = [await memory.store(make.end(range=each, claim_ranges=3)) for each in of]
        assert [outcome.claim_done for outcome in outcomes] == [False, False, True]

    async def test_begins_anew_when_fetch_ids_are_used_again(self, memory: SqlMemory, make: Any) -> None:
        page = make.page(make.bid())
        await memory.store(page)
        await memory.store(make.end(page))
        later = make.now + timedelta(hours=5)
        outcome = await memory.store(make.end(page, started_at=later, ended_at=later))
        assert not outcome.settled, "the page of the other age does not complete this one"
        straggler = await memory.store(page)
        assert not straggler.settled


class TestWhatIsOpen:
    async def still_open(self, memory: SqlMemory, make: Any) -> list[str]:
        pages = memory.still_open(Source.PNCP, UF.SP, at=make.now)
        return [each.bid.id async for page in pages for each in page]

    async def test_is_what_closes_later_or_was_listed_of_late(self, memory: SqlMemory, make: Any) -> None:
        later, before = make.now + timedelta(days=1), make.now - timedelta(hours=1)
        published = [make.bid(1, data_encerramento=later), make.bid(2, data_encerramento=before), make.bid(3)]
        listed, long_ago = make.bid(4), make.bid(5)
        a_list = FetchRange(
            modalidade=Modalidade.PREGAO_ELETRONICO, day_from=make.today, day_to=make.today, open_today=True
        )
        await memory.store(make.page(*published))
        await memory.store(make.page(listed, range=a_list))
        await memory.store(make.page(long_ago, range=a_list, page=2, fetched_at=make.now - timedelta(hours=25)))
        assert await self.still_open(memory, make) == [published[0].id, listed.id]

    async def test_is_still_known_when_a_list_of_another_kind_shows_the_bid(self, memory: SqlMemory, make: Any) -> None:
        a_list = FetchRange(
            modalidade=Modalidade.PREGAO_ELETRONICO, day_from=make.today, day_to=make.today, open_today=True
        )
        await memory.store(make.page(make.bid(), range=a_list))
        await memory.store(make.page(make.bid(objeto="Retificado"), page=2))
        assert await self.still_open(memory, make) == [make.bid().id]

    async def test_has_a_slice_apart_from_the_day_that_it_was_read_on(
        self, database: Database, memory: SqlMemory, make: Any
    ) -> None:
        a_list = FetchRange(
            modalidade=Modalidade.PREGAO_ELETRONICO, day_from=make.today, day_to=make.today, open_today=True
        )
        page = make.page(make.bid(1), make.bid(2, day=make.days(90)[0]), range=a_list)
        await memory.store(page)
        assert (await memory.store(make.end(page, range=a_list))).settled
        assert await the_ledger(memory, make) == {}
        async with database.reading() as connection:
            rows = (await connection.execute(sa.select(slices.c.day, slices.c.records))).all()
        assert [tuple(row) for row in rows] == [(OPEN_TODAY, 2)]


class TestTheIncrementalSync:
    async def test_renews_looks_without_completing_any(self, memory: SqlMemory, make: Any) -> None:
        days = make.days(6)
        old = FetchRange(modalidade=Modalidade.PREGAO_ELETRONICO, day_from=days[0], day_to=days[0])
        await memory.store(make.end(range=old))
        changed = FetchRange(modalidade=Modalidade.PREGAO_ELETRONICO, day_from=days[0], day_to=days[-1], updated=True)
        later = make.now + timedelta(hours=20)
        amended = make.bid(1, day=days[0], objeto="Retificado")
        page = make.page(amended, range=changed, fetch_id=8, fetched_at=later)
        await memory.store(page)
        await memory.store(make.end(page, range=changed, fetch_id=8, started_at=later, ended_at=later))
        (only,) = (await the_ledger(memory, make)).values()
        assert (only.key.day, only.renewed_at) == (days[0], later)
        assert await memory.synced_upto(Source.PNCP) == {(UF.SP, Modalidade.PREGAO_ELETRONICO): later}
        assert not is_due(only, now=make.now + timedelta(hours=30))
        assert [each.bid.objeto for each in await everything(memory, make)] == ["Retificado"]


class TestAudits:
    async def test_keep_what_the_source_counts_beside_what_is_held(self, memory: SqlMemory, make: Any) -> None:
        days = make.days(9)
        await memory.store(make.page(make.bid(1, day=days[2]), make.bid(2, day=days[0]), make.bid(3, uf=UF.RJ)))
        counted = FetchRange(modalidade=Modalidade.PREGAO_ELETRONICO, day_from=days[1], day_to=days[8], count_only=True)
        for number, published in enumerate((5, 2), start=8):
            end = make.end(range=counted, fetch_id=number, published=published)
            assert (await memory.store(end)).settled
        (audit,) = await memory.audits(Source.PNCP)
        assert (audit.uf, audit.held, audit.published, audit.day_from) == (UF.SP, 1, 2, days[1])
        assert await the_ledger(memory, make) == {}


class TestUpkeep:
    KEEPING = Keeping(bids=timedelta(days=20), most_bytes=10**9)

    async def test_lets_go_of_what_is_old_and_of_the_days_that_it_made_incomplete(
        self, database: Database, memory: SqlMemory, make: Any
    ) -> None:
        days = make.days(30)
        old, kept = make.bid(1, day=days[0]), make.bid(3)
        open_still = make.bid(2, day=days[0], data_encerramento=make.now + timedelta(days=1))
        for number, day in enumerate((days[0], days[-1]), start=1):
            here = FetchRange(modalidade=Modalidade.PREGAO_ELETRONICO, day_from=day, day_to=day)
            page = make.page(*([old, open_still] if number == 1 else [kept]), range=here, fetch_id=number)
            await memory.store(page)
            await memory.store(make.end(page, range=here, fetch_id=number))
        await memory.store(make.page(old.model_copy(update={"objeto": "Outro"}), page=3))
        gone = await SqlUpkeep(database, self.KEEPING).prune(now=make.now + timedelta(hours=1))
        assert (gone.bids, await count(database, bid_history)) == (1, 0)
        assert {each.bid.id for each in await everything(memory, make)} == {open_still.id, kept.id}
        assert {key.day for key in await the_ledger(memory, make)} == {days[-1]}

    async def test_does_it_in_steps_that_hold_nobody_up(
        self, database: Database, memory: SqlMemory, make: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(upkeep, "STEP", 3)
        monkeypatch.setattr(upkeep, "MOST_STEPS", 2)
        await memory.store(make.page(*(make.bid(n, day=make.days(30)[0]) for n in range(1, 9))))
        keeper = SqlUpkeep(database, self.KEEPING)
        first, second = [await keeper.prune(now=make.now) for _ in range(2)]
        assert (first.bids, first.most_steps, second.bids, second.most_steps) == (6, True, 2, False)

    async def test_lets_the_oldest_day_go_when_it_is_too_much_and_never_the_last_month(
        self, database: Database, memory: SqlMemory, make: Any
    ) -> None:
        days = make.days(40)
        await memory.store(make.page(*(make.bid(n, day=days[n]) for n in (0, 1, 39))))
        async with storing(database) as (connection, _):
            await connection.exec_driver_sql("ANALYZE")
        keeper = SqlUpkeep(database, replace(self.KEEPING, bids=timedelta(days=400), most_bytes=1))
        gone = [(await keeper.prune(now=make.now)).bids for _ in range(4)]
        assert gone == [1, 1, 0, 0]

    async def test_forgets_answers_that_are_not_served_any_more(self, database: Database, make: Any) -> None:
        for number, ago in enumerate((0, 3)):
            stored = stored_answer(f"v2-{number}", finished_at=make.now - timedelta(days=ago))
            await SqlAnswers(database).keep(Entry(stored, b"rows"))
        assert (await SqlUpkeep(database, self.KEEPING).prune(now=make.now)).answers == 1

    async def test_gives_back_to_the_disk_what_it_has_let_go(
        self, memory: SqlMemory, make: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a SQLite file; PostgreSQL fills the room of dead rows again by autovacuum."""
        if not memory._database._sqlite:
            async with memory._database.reading() as connection:
                on = (await connection.exec_driver_sql("SHOW autovacuum")).scalar_one()
            assert on == "on"
            return
        monkeypatch.setattr(upkeep, "PAGES_KEPT", 10)
        monkeypatch.setattr(upkeep, "PAGES", 7)
        old = make.days(60)[0]
        for page in range(1, 13):
            bids = [make.bid(100 * page + n, day=old, objeto=f"{n} " + "uniforme " * 400) for n in range(50)]
            await memory.store(make.page(*bids, page=page))
        await SqlUpkeep(memory._database, replace(self.KEEPING, bids=timedelta(days=400))).prune(now=make.now)
        full, _ = await pages_of(memory)
        await SqlUpkeep(memory._database, self.KEEPING).prune(now=make.now)
        left, free = await pages_of(memory)
        assert full > 200
        assert free <= 10
        assert left < full / 2


async def pages_of(memory: SqlMemory) -> tuple[int, int]:
    """Of a SQLite file: all pages, and those that are free."""
    async with memory._database.reading() as connection:
        pages: int = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        free: int = (await connection.exec_driver_sql("PRAGMA freelist_count")).scalar_one()
    return pages, free


class TestStoreSeq:
    async def test_is_never_seen_to_grow_behind_a_reader(
        self, database: Database, memory: SqlMemory, make: Any
    ) -> None:
        """Several processes store at once; a reader that follows by `store_seq` alone misses nothing."""
        await database.migrate()
        databases = [Database(SCHEMA, database._url) for _ in range(3)]
        writers = [SqlMemory(each) for each in databases]
        total = 3 * 15
        seen: set[str] = set()

        async def write(which: int, writer: SqlMemory) -> None:
            for number in range(15):
                identity = 1 + which * 15 + number
                # the larger page commits later than the smaller one that took its number after it would
                size = 1 if number % 2 else 8
                bids = [make.bid(identity * 100 + n) for n in range(size)]
                await writer.store(make.page(*bids, page=identity, fetch_id=which + 1))

        async def follow() -> None:
            after = 0
            while after < total:
                upto = await memory.seq()
                seen.update(
                    [each.bid.id async for page in memory.news(Source.PNCP, ufs=(UF.SP,), after=after) for each in page]
                )
                after = upto

        async with asyncio.timeout(60):
            await asyncio.gather(follow(), *(write(which, writer) for which, writer in enumerate(writers)))

        assert await memory.seq() == total
        assert seen == {each.bid.id for each in await everything(memory, make)}
        for each in databases:
            await each.close()

    async def test_does_not_move_when_a_store_fails(self, database: Database, memory: SqlMemory, make: Any) -> None:
        await memory.store(make.page(make.bid()))
        with pytest.raises(ZeroDivisionError):
            async with storing(database):
                _ = 1 / 0
        assert await memory.seq() == 1


async def until_no_driver_runs() -> None:
    """A connection that could not be opened leaves its thread behind, which must not outlive the test's loop."""
    async with asyncio.timeout(10):
        while any("_connection_worker_thread" in each.name for each in threading.enumerate()):  # noqa: ASYNC110 - threads
            await asyncio.sleep(0.01)


class TestAway:
    async def test_is_told_as_such_when_postgres_cannot_be_reached(self, tmp_path: Path, make: Any) -> None:
        database = Database.of(SCHEMA, "postgresql://nobody@127.0.0.1:9/none", tmp_path)
        memory = SqlMemory(database)
        with pytest.raises(DependencyAway):
            await memory.store(make.page(make.bid()))
        with pytest.raises(DependencyAway):
            await memory.seq()
        await database.close()

    async def test_is_told_as_such_when_the_file_cannot_be_opened(self, tmp_path: Path, make: Any) -> None:
        (tmp_path / "cache.db").mkdir()
        database = Database.of(SCHEMA, None, tmp_path)
        memory = SqlMemory(database)
        with pytest.raises(DependencyAway):
            await memory.store(make.page(make.bid()))
        await database.close()
        await until_no_driver_runs()

    async def test_is_over_when_the_database_is_back(self, tmp_path: Path, make: Any) -> None:
        (tmp_path / "cache.db").mkdir()
        database = Database.of(SCHEMA, None, tmp_path)
        memory = SqlMemory(database)
        with pytest.raises(DependencyAway):
            await memory.seq()
        await until_no_driver_runs()
        (tmp_path / "cache.db").rmdir()
        await memory.store(make.page(make.bid()))
        assert await memory.seq() == 1
        await database.close()
