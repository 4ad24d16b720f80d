import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from cache.adapters.bells import Bells, Heard
from cache.adapters.sql.store import Stored as Kept
from cache.handlers.answers import compressed, tell_needed
from cache.handlers.gather import TICK, gather
from cache.handlers.pages import keep, keep_later
from contracts.classification import JudgeBids
from contracts.fetch import Bell, BellKind, NeededQuery, SliceStatus
from contracts.memory import Gather, Gathered
from contracts.places import UF
from contracts.subjects import BELL, CANCELLED, CHANGED, FETCHED_LATER, GATHERED, Outgoing
from contracts.values import Source
from servicekit.bus import Delivery, Stored
from servicekit.errors import AlreadyInFlight, DependencyAway

DELIVERY = Delivery(subject="s", sequence=1, attempt=1, correlation_id="c", stopping=asyncio.Event())


async def all_of(stream: AsyncIterator[Outgoing]) -> list[Outgoing]:
    return [each async for each in stream]


@dataclass
class Memory:
    """As SQL would be; `away` while it is not there."""

    kept: Kept = field(default_factory=Kept)
    away: bool = False
    bids_away: bool = False
    """SQL that goes away between the ledger and the bids."""
    records: list[Any] = field(default_factory=list)
    bids: list[Any] = field(default_factory=list)
    seq_is: int = 1
    open_at: set[datetime] = field(default_factory=set)

    def _check(self) -> None:
        if self.away:
            raise DependencyAway("sql")

    async def store(self, message: Any) -> Kept:
        self._check()
        return self.kept

    async def seq(self) -> int:
        self._check()
        return self.seq_is

    async def ledger(self, source: Source, **_asked: Any) -> list[Any]:
        self._check()
        return self.records

    def _check_bids(self) -> None:
        self._check()
        if self.bids_away:
            raise DependencyAway("sql")

    async def stored(self, source: Source, uf: UF, **_asked: Any) -> AsyncIterator[list[Any]]:
        self._check_bids()
        yield [each for each in self.bids if each.bid.uf is uf]

    async def still_open(self, source: Source, uf: UF, *, at: datetime) -> AsyncIterator[list[Any]]:
        self._check_bids()
        self.open_at.add(at)
        yield [each for each in self.bids if each.bid.uf is uf]

    async def news(self, source: Source, **_asked: Any) -> AsyncIterator[list[Any]]:
        self._check_bids()
        yield self.bids

    async def pages(self, source: Source, uf: UF, **_asked: Any) -> int:
        self._check()
        return 0


@dataclass
class LogAndClaims:
    """The log of the search and the queue of claims."""

    facts: list[Stored] = field(default_factory=list)
    claims: list[Any] = field(default_factory=list)
    in_flight: bool = False

    async def history(self, search_id: str) -> list[Stored]:
        return self.facts

    async def last(self, subject: str) -> Stored | None:
        return next((fact for fact in self.facts if fact.subject == subject), None)

    async def publish(self, outgoing: Outgoing) -> None:
        if self.in_flight:
            raise AlreadyInFlight(outgoing.subject)
        self.claims.append(outgoing.value)


@dataclass
class Script:
    """Bells that ring as written, each after its own time; then only ticks."""

    clock: datetime
    rings: Iterator[Heard] = field(default_factory=lambda: iter(()))

    def now(self) -> datetime:
        return self.clock

    @contextmanager
    def waiting(self, source: Source, ufs: Iterable[UF]) -> Iterator["Script"]:
        yield self

    async def rung(self, *, within: timedelta) -> Heard:
        self.clock += within or timedelta(milliseconds=1)
        return next(self.rings, Heard())


async def run(command: Gather, memory: Memory, bus: LogAndClaims, script: Script) -> list[Any]:
    ports: dict[str, Any] = {"memory": memory, "bells": script, "bus": bus, "now": script.now}
    stream = gather(command, DELIVERY, **ports, retry_delay=lambda: timedelta(seconds=1))
    return [outgoing.value for outgoing in await all_of(stream)]


def fact(subject: str, make: Any) -> Stored:
    return Stored(sequence=1, subject=subject, body=b"{}", time=make.now)


class TestGather:
    async def test_reports_every_uf_once_at_its_time_when_nothing_answers(self, make: Any) -> None:
        script = Script(make.now)
        command = make.gather(ufs=(UF.RJ, UF.SP), deadline=make.now + timedelta(seconds=15))
        out = await run(command, Memory(), bus := LogAndClaims(), script)
        assert [(each.uf, each.records) for each in out if isinstance(each, Gathered)] == [(UF.RJ, 0), (UF.SP, 0)]
        assert script.clock == command.deadline - timedelta(seconds=5)
        assert [claim.uf for claim in bus.claims] == [UF.RJ, UF.SP] * 2

    async def test_asks_the_fetch_of_another_to_hurry_and_to_go_on_long_enough(self, make: Any) -> None:
        command = make.gather(deadline=make.now + timedelta(seconds=12))
        out = await run(command, Memory(), LogAndClaims(in_flight=True), Script(make.now))
        wanted = [each for each in out if isinstance(each, Bell)]
        assert wanted
        assert {(each.kind, each.uf, each.priority, each.not_after) for each in wanted} == {
            (BellKind.WANTED, UF.SP, command.priority, make.now + timedelta(seconds=5))
        }

    async def test_leaves_out_the_ufs_that_the_log_has(self, make: Any) -> None:
        said = fact(GATHERED.subject(search_id=make.search_id, source="pncp", uf="RJ"), make)
        out = await run(make.gather(ufs=(UF.RJ, UF.SP)), Memory(), LogAndClaims([said]), Script(make.now))
        assert [each.uf for each in out if isinstance(each, Gathered)] == [UF.SP]

    async def test_does_nothing_for_a_search_that_is_over(self, make: Any) -> None:
        said = fact(CANCELLED.subject(search_id=make.search_id), make)
        assert await run(make.gather(), Memory(), bus := LogAndClaims([said]), Script(make.now)) == []
        assert bus.claims == []

    async def test_emits_what_it_holds_before_it_reports_late_as_it_is(self, make: Any, stored_bid: Any) -> None:
        memory = Memory(bids=[stored_bid(make.bid(number)) for number in (1, 2)])
        out = await run(make.gather(), memory, LogAndClaims(), Script(make.now + timedelta(hours=1)))
        assert [type(each) for each in out] == [JudgeBids, Gathered]
        assert out[1].batches == (out[0].batch,)
        assert out[1].records == 2

    async def test_goes_by_the_bells_while_sql_is_away(self, make: Any) -> None:
        page = make.page(make.bid())
        end = make.end(page)
        rings = iter([Heard(carried=(page,)), Heard(carried=(end,))])
        script = Script(make.now, rings)
        out = await run(make.gather(days=make.days(1)), Memory(away=True), LogAndClaims(), script)
        assert [type(each) for each in out] == [JudgeBids, Gathered]
        assert {run.status for run in out[1].runs} == {SliceStatus.COMPLETE}
        assert script.clock < make.now + timedelta(seconds=15), "it does not wait for SQL to the end"

    async def test_takes_the_memory_up_again_when_sql_is_back(self, make: Any, stored_bid: Any) -> None:
        memory = Memory(away=True, bids=[stored_bid(make.bid())])

        def back() -> Iterator[Heard]:
            yield Heard()
            memory.away = False
            memory.records = make.records(make.end(range=make.range(count=1)))

        out = await run(make.gather(days=make.days(1)), memory, LogAndClaims(), Script(make.now, back()))
        assert [type(each) for each in out] == [JudgeBids, Gathered]

    async def test_does_not_call_complete_what_it_could_not_read(self, make: Any, stored_bid: Any) -> None:
        """The ledger says that all of it is there, but SQL went away before the bids were read."""
        memory = Memory(records=make.records(make.end()), bids=[stored_bid(make.bid())], bids_away=True)
        out = await run(make.gather(days=make.days(1)), memory, LogAndClaims(), Script(make.now))
        assert [type(each) for each in out] == [Gathered]
        assert [(each.status, each.why) for each in out[0].runs] == [(SliceStatus.FAILED, "memory.away")]

    async def test_does_not_call_complete_the_news_that_it_could_not_read(self, make: Any, stored_bid: Any) -> None:
        memory = Memory()

        def fetched_and_then_gone() -> Iterator[Heard]:
            memory.seq_is, memory.bids_away = 2, True
            memory.records, memory.bids = make.records(make.end()), [stored_bid(make.bid())]
            yield Heard()

        script = Script(make.now, fetched_and_then_gone())
        out = await run(make.gather(days=make.days(1)), memory, LogAndClaims(), script)
        assert [(each.status, each.why) for each in out[-1].runs] == [(SliceStatus.FAILED, "memory.away")]

    async def test_counts_what_it_reads_at_the_end_after_all(self, make: Any, stored_bid: Any) -> None:
        memory = Memory(records=make.records(make.end()), bids=[stored_bid(make.bid())], bids_away=True)

        def bids_are_back() -> Iterator[Heard]:
            yield Heard()
            memory.bids_away = False
            yield Heard()

        out = await run(make.gather(days=make.days(1)), memory, LogAndClaims(), Script(make.now, bids_are_back()))
        assert [type(each) for each in out] == [JudgeBids, Gathered]
        assert {each.status for each in out[1].runs} == {SliceStatus.COMPLETE}

    async def test_reads_what_is_open_where_no_days_are_named(self, make: Any, stored_bid: Any) -> None:
        memory = Memory(bids=[stored_bid(make.bid(data_encerramento=make.now + timedelta(days=9)))])
        out = await run(make.gather(days=(), scope="open"), memory, LogAndClaims(), Script(make.now))
        assert [type(each) for each in out] == [JudgeBids, Gathered]
        assert memory.open_at == {make.now}

    async def test_looks_at_least_at_every_tick(self, make: Any, stored_bid: Any) -> None:
        """A lost bell costs one tick."""
        memory = Memory()

        def nothing_rings() -> Iterator[Heard]:
            yield Heard()
            memory.seq_is = 2
            memory.bids = [stored_bid(make.bid())]
            memory.records = make.records(make.end())

        script = Script(make.now, nothing_rings())
        out = await run(make.gather(days=make.days(1)), memory, LogAndClaims(), script)
        assert [type(each) for each in out] == [JudgeBids, Gathered]
        assert script.clock <= make.now + 2 * TICK


class TestKeep:
    async def test_rings_when_a_page_is_stored_and_when_a_range_is_over(self, make: Any) -> None:
        page = make.page(make.bid())
        stored = await all_of(keep(page, DELIVERY, memory=Memory()))
        settled = await all_of(keep(make.end(page), DELIVERY, memory=Memory(Kept(settled=True, claim_done=True))))
        unsettled = await all_of(keep(make.end(page), DELIVERY, memory=Memory()))
        assert [(each.value.kind, each.value.claim_done) for each in stored] == [(BellKind.STORED, False)]
        assert [(each.value.kind, each.value.claim_done) for each in settled] == [(BellKind.ENDED, True)]
        assert unsettled == []

    async def test_tells_amendments_under_ids_that_a_repeat_shares(self, make: Any) -> None:
        page = make.page(make.bid())
        memory = Memory(Kept(changes=make.changes()))
        first, again = [await all_of(keep(page, DELIVERY, memory=memory)) for _ in range(2)]
        changes = [each for each in first if each.topic is CHANGED]
        assert [each.subject for each in changes] == ["changes.v1.pncp.SP"]
        assert [each.msg_id for each in again] == [each.msg_id for each in first]

    async def test_lets_the_bell_carry_it_and_puts_it_aside_while_sql_is_away(self, make: Any) -> None:
        page = make.page(make.bid())
        for message in (page, make.end(page)):
            later, bell = await all_of(keep(message, DELIVERY, memory=Memory(away=True)))
            assert (later.topic, later.value) == (FETCHED_LATER, message)
            assert later.subject == "pages.v1.pncp.later"
            assert message in {bell.value.page, bell.value.end}
            assert BELL.decode(bell.body) == bell.value

    async def test_pauses_only_the_queue_of_what_was_put_aside(self, make: Any) -> None:
        with pytest.raises(DependencyAway):
            await all_of(keep_later(make.page(), DELIVERY, memory=Memory(away=True)))
        (bell,) = await all_of(keep_later(make.page(), DELIVERY, memory=Memory()))
        assert bell.value.page is None


class TestTellNeeded:
    async def test_takes_out_what_is_fresh(self, make: Any) -> None:
        memory = Memory(records=make.records(make.end()))
        query = NeededQuery(source=Source.PNCP, uf=UF.SP, ranges=(make.range(count=2),))
        reply = await tell_needed(query, memory=memory, now=lambda: make.now)
        assert [(each.day_from, each.day_to) for each in reply.ranges] == [(make.days(2)[0],) * 2]

    async def test_asks_for_all_of_it_while_sql_is_away(self, make: Any) -> None:
        query = NeededQuery(source=Source.PNCP, uf=UF.SP, ranges=(make.range(count=2),))
        reply = await tell_needed(query, memory=Memory(away=True), now=lambda: make.now)
        assert reply.ranges == query.ranges

    async def test_asks_for_what_was_read_before_a_forced_refresh(self, make: Any) -> None:
        memory = Memory(records=make.records(make.end()))
        later = make.now + timedelta(seconds=1)
        query = NeededQuery(source=Source.PNCP, uf=UF.SP, ranges=(make.range(),), newer_than=later)
        assert (await tell_needed(query, memory=memory, now=lambda: later)).ranges == query.ranges


class TestCompressed:
    def test_has_one_line_per_fact_and_the_same_bytes_each_time(self, make: Any) -> None:
        facts = [
            Stored(sequence=n, subject=f"search.v1.x.{n}", body=b'{"n":"\xc3\xa7"}', time=make.now) for n in (1, 2)
        ]
        lines = [json.loads(line) for line in gzip.decompress(compressed(facts)).splitlines()]
        assert [(line["sequence"], line["body"]) for line in lines] == [(1, {"n": "ç"}), (2, {"n": "ç"})]
        assert compressed(facts) == compressed(facts)


class TestBells:
    async def test_pass_on_what_happens_to_the_places_waited_for(self) -> None:
        bells = Bells()
        soon = timedelta(milliseconds=1)
        with bells.waiting(Source.PNCP, (UF.SP,)) as ear:
            for source, uf, kind in (
                (Source.PNCP, UF.RJ, BellKind.ENDED),
                (Source.PCP, UF.SP, BellKind.ENDED),
                (Source.PNCP, UF.SP, BellKind.WANTED),
            ):
                await bells.heard(Bell(kind=kind, source=source, uf=uf, claim_done=True))
            assert await ear.rung(within=soon) == Heard()
            await bells.heard(Bell(kind=BellKind.ENDED, source=Source.PNCP, uf=UF.SP, claim_done=True))
            await bells.heard(Bell(kind=BellKind.STORED, source=Source.PNCP, uf=UF.SP))
            assert await ear.rung(within=timedelta(seconds=5)) == Heard(done=frozenset({UF.SP}))
            assert await ear.rung(within=soon) == Heard()

    async def test_of_a_national_listing_reach_every_uf(self) -> None:
        bells = Bells()
        with bells.waiting(Source.PCP, (UF.SP,)) as ear:
            await bells.heard(Bell(kind=BellKind.ENDED, source=Source.PCP, uf=None, claim_done=True))
            assert await ear.rung(within=timedelta(seconds=5)) == Heard(done=frozenset({None}))
