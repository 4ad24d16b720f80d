import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.answer_codec import decode_answer
from contracts.classification import AcceptedBid, Arbitrated, RejectedBid, RejectReason
from contracts.events import EventName, events_of
from contracts.fetch import Item, ItemsFetched, SliceStatus
from contracts.fold import SearchState
from contracts.places import UF
from contracts.report import ObjectRef, SpreadsheetReady, Summary, SummaryReady
from contracts.samples import NOW, SEARCH_ID, gathered, judged, requested, stored_answer
from contracts.search import Cancelled, Lease
from contracts.state import AnsweredFrom, JobStatus, ResponseState, Status
from contracts.stored import Level
from contracts.subjects import MAX_MESSAGE_BYTES
from contracts.values import Priority, Source
from coordinator.domain.plan import Budgets
from coordinator.domain.stored import held_of
from coordinator.handlers import run_search
from servicekit.bus import Delivery
from servicekit.errors import Unavailable

BUDGETS = Budgets(per_source=timedelta(seconds=180), consolidation=timedelta(seconds=300), items=0)
REQUEST = requested(UF.SP, UF.RJ, sources=(Source.PNCP,))
FILE = ObjectRef(bucket="FILES", name="f", size=1, sha256="0")
WORLD = (
    gathered(UF.SP, batches=("a",), records=3),
    judged("a", accepted=(1,), rejected=(2,)),
    gathered(UF.RJ),
    SummaryReady(search_id=SEARCH_ID, revision=1, summary=Summary(text="Uma.")),
    SpreadsheetReady(search_id=SEARCH_ID, revision=1, file=FILE, rows=1),
)


DELIVERY = Delivery(
    subject=f"search.v1.{SEARCH_ID}.requested", sequence=1, attempt=1, correlation_id="c", stopping=asyncio.Event()
)


class FakeSearch:
    """A log in memory; each wait lets the next fact of the rest of the world in, or time pass to its end."""

    def __init__(self, world, *, log=(REQUEST,), stored=None):
        self.state = SearchState(SEARCH_ID)
        self.now = NOW
        self.world = list(world)
        self.facts, self.commands, self.objects = [], [], {}
        self.stored, self.asked_memory = stored, False
        self.sequence = 0
        for fact in log:
            self._append(fact)

    @property
    def read_to(self):
        return self.sequence

    def _append(self, fact):
        self.sequence += 1
        self.state.apply(self.sequence, fact)

    async def publish(self, outgoing):
        self.facts.append(outgoing)
        self._append(outgoing.value)

    async def command(self, outgoing):
        self.commands.append(outgoing)

    async def put_answer(self, name, content):
        self.objects[name] = content
        return ObjectRef(bucket="ANSWERS", name=name, size=len(content), sha256="0")

    async def held(self, requested, *, by):
        self.asked_memory = True
        if self.stored is None:
            return None
        head = stored_answer(
            rows=b"old", coverage_pct=self.stored.coverage.coverage_pct, total=len(self.stored.results)
        )
        return held_of(head, self.stored, level=Level.DATABASE, seen=requested.stored is not None, now=self.now)

    async def first_rows_of(self, ref):
        return self.stored.results if self.stored else ()

    async def until(self, done, *, by):
        while not done(self.state):
            if not self.world:
                self.now = max(self.now, by)
                return False
            self._append(self.world.pop(0))
        return True

    def names(self):
        return [fact.topic.name for fact in self.facts if fact.topic.name != "progress"]


async def run(search: FakeSearch, *, budgets: Budgets = BUDGETS, request=REQUEST) -> FakeSearch:
    @asynccontextmanager
    async def hold(_search_id):
        yield search

    async for _ in run_search(request, DELIVERY, hold=hold, budgets=budgets, clock=lambda: search.now):
        raise AssertionError("facts go out under the lease, none is yielded")
    return search


class TestRunSearch:
    async def test_goes_from_request_to_closed(self):
        search = await run(FakeSearch(WORLD))

        assert search.names() == ["planned", "completed", "closed"]
        assert [c.topic.name for c in search.commands] == ["gather", "remember", "summarize", "spreadsheet", "archive"]
        ((name, content),) = search.objects.items()
        assert name.startswith(f"answers/{SEARCH_ID}/1/")
        assert decode_answer(content).status is Status.COMPLETED
        assert search.state.completed.answer_ref.name == name

    async def test_gives_every_place_that_stayed_silent_up_at_the_consolidation_deadline(self):
        search = await run(FakeSearch(WORLD[:2]))

        assert search.state.completed.status is Status.DEGRADED
        assert search.state.completed.at == REQUEST.created_at + timedelta(seconds=300)

    async def test_lets_what_is_gathered_at_the_last_moment_be_judged_after_it(self):
        late = FakeSearch(WORLD)
        until, waits = late.until, []

        async def slow(done, *, by):
            waits.append(by)
            return await until(done, by=by)

        late.until = slow
        late.world = [WORLD[0], WORLD[2], WORLD[1], *WORLD[3:]]  # everything gathered before the last batch is judged
        await run(late)

        assert late.state.completed.status is Status.COMPLETED
        assert REQUEST.deadline - timedelta(seconds=5) in waits, "the wait for the judge goes on to the end"

    async def test_never_writes_over_the_answer_of_another_owner(self):
        """A coordinator that lost its lease writes objects still: they are not fenced."""
        owner, zombie = FakeSearch(WORLD), FakeSearch(WORLD)
        zombie.now += timedelta(seconds=3)
        await run(owner)
        await run(zombie)

        assert not owner.objects.keys() & zombie.objects.keys()

    async def test_remembers_the_answer_that_the_terminal_fact_names(self):
        first = FakeSearch(WORLD)
        first.publish = dying_before(first, "completed")
        with pytest.raises(asyncio.CancelledError):
            await run(first)
        log = [REQUEST, *(fact.value for fact in first.facts)]
        second = FakeSearch(WORLD, log=[*log, Lease(search_id=SEARCH_ID, owner="b", at=NOW)])
        second.now += timedelta(seconds=3)
        await run(second)

        remembered = [c.value for c in (*first.commands, *second.commands) if c.topic.name == "remember"]
        assert {each.answer_ref for each in remembered} == {second.state.completed.answer_ref}

    async def test_does_not_remember_what_a_wish_to_cancel_cut_short(self):
        search = await run(FakeSearch([WORLD[0], WORLD[1], Cancelled(search_id=SEARCH_ID, at=NOW)]))

        assert "remember" not in {c.topic.name for c in search.commands}

    async def test_archives_a_search_whose_owner_died_right_after_closing_it(self):
        first = await run(FakeSearch(WORLD))
        log = [REQUEST, *(fact.value for fact in first.facts)]
        second = await run(FakeSearch([], log=[*log, Lease(search_id=SEARCH_ID, owner="b", at=NOW)]))

        (again,) = second.commands
        assert again.msg_id == first.commands[-1].msg_id
        assert (again.topic.name, again.value.closed_at) == ("archive", first.state.closed.at)

    async def test_leaves_the_state_of_a_closed_search_for_whoever_reads_it_cold(self):
        search = await run(FakeSearch(WORLD[:3]))
        told = [fact.value.view for fact in search.facts if fact.topic.name == "progress"][-1]

        assert (told.progress, told.llm_status, told.excel_status) == (100, JobStatus.FAILED, JobStatus.FAILED)

    async def test_closes_in_time_when_the_judge_is_away(self):
        search = await run(FakeSearch([WORLD[0], WORLD[2]]))

        assert search.state.completed.status is Status.DEGRADED
        assert search.state.completed.at < REQUEST.deadline

    async def test_keeps_no_answer_and_orders_no_report_of_an_empty_failure(self):
        failed = [gathered(uf, status=SliceStatus.FAILED) for uf in (UF.SP, UF.RJ)]
        search = await run(FakeSearch(failed))

        assert search.state.completed.status is Status.EMPTY_FAILURE
        assert search.state.completed.answer_ref is None
        assert [c.topic.name for c in search.commands] == ["gather", "attempted", "archive"]

    async def test_ends_with_its_first_rows_when_no_store_takes_the_answer(self):
        search = FakeSearch(WORLD)
        search.now = REQUEST.deadline
        search.put_answer = refusing
        await run(search)

        assert search.state.completed.answer_ref is None
        assert (search.state.completed.total, len(search.state.completed.first_rows)) == (1, 1)
        assert search.state.closed is not None

    async def test_carries_no_more_rows_than_a_message_can(self):
        long = judged("a", accepted=tuple(range(1, 12)))
        bids = tuple(
            each.model_copy(
                update={"sighted": each.sighted.model_copy(
                    update={"bid": each.sighted.bid.model_copy(update={"objeto": "x" * 40_000})})}
            )
            for each in long.accepted
        )  # fmt: skip
        search = await run(FakeSearch([WORLD[0], long.model_copy(update={"accepted": bids}), *WORLD[2:]]))

        assert search.state.completed.total == 11
        assert 1 <= len(search.state.completed.first_rows) < 10
        assert all(len(fact.body) < MAX_MESSAGE_BYTES for fact in search.facts)

    async def test_ends_at_a_wish_to_cancel(self):
        search = await run(FakeSearch([WORLD[0], WORLD[1], Cancelled(search_id=SEARCH_ID, at=NOW)]))

        assert search.state.completed.status is Status.CANCELLED

    async def test_closes_without_a_reporter(self):
        search = await run(FakeSearch(WORLD[:3]))

        assert search.names() == ["planned", "completed", "closed"]
        assert search.state.closed.at <= REQUEST.created_at + timedelta(seconds=480)

    async def test_has_the_items_of_open_bids_looked_at_before_it_asks_a_model(self):
        verdicts = judged("a", accepted=(1,), uncertain=(2, 3))
        search = FakeSearch([WORLD[0], verdicts, WORLD[2], *WORLD[3:]])
        send, (looked, left) = search.command, verdicts.uncertain
        shirts = (Item(numero=1, descricao="Camiseta"),)

        async def command(outgoing):
            await send(outgoing)
            if outgoing.topic.name == "items":
                for bid_id in outgoing.value.bid_ids:
                    mine = shirts if bid_id == looked.sighted.bid.id else None
                    search.world.insert(0, ItemsFetched(search_id=SEARCH_ID, bid_id=bid_id, items=mine))
            if outgoing.topic.name == "arbitrate":
                of_items = outgoing.value.batch.startswith("items-")
                taken = (AcceptedBid(sighted=looked.sighted, verdict=looked.verdict),) if of_items else ()
                search.world.insert(0, Arbitrated(search_id=SEARCH_ID, batch=outgoing.value.batch, accepted=taken))

        search.command = command
        await run(search, budgets=replace(BUDGETS, items=20, arbitrations=20))

        assert [c.topic.name for c in search.commands][:4] == ["gather", "items", "arbitrate", "arbitrate"]
        of_items, of_model = (c.value for c in search.commands[2:4])
        assert (of_items.ask_model, [b.sighted.bid.id for b in of_items.bids]) == (False, [looked.sighted.bid.id])
        assert (of_model.ask_model, [b.sighted.bid.id for b in of_model.bids]) == (True, [left.sighted.bid.id])
        assert search.state.completed.llm_pending == 1
        assert search.state.completed.at == NOW

    async def test_waits_for_items_that_never_come_within_the_ten_seconds(self):
        search = FakeSearch([WORLD[0], judged("a", accepted=(1,), uncertain=(2,)), WORLD[2]])
        await run(search, budgets=replace(BUDGETS, items=20, arbitrations=20))

        assert search.state.completed.at == NOW + timedelta(seconds=10)
        assert next(c for c in search.commands if c.topic.name == "items").value.deadline == NOW + timedelta(seconds=6)

    async def test_gives_open_bids_to_a_model_and_waits_for_what_comes_of_it(self):
        open_bid = judged("a", accepted=(1,), uncertain=(2,))
        search = FakeSearch([WORLD[0], open_bid, WORLD[2], *WORLD[3:]])
        reply = RejectedBid(id=open_bid.uncertain[0].sighted.bid.id, seen_at=NOW, reason=RejectReason.LLM)
        send = search.command

        async def command(outgoing):
            await send(outgoing)
            if outgoing.topic.name == "arbitrate":
                fact = Arbitrated(search_id=SEARCH_ID, batch=outgoing.value.batch, rejected=(reply,))
                search.world.insert(0, fact)

        search.command = command
        await run(search, budgets=replace(BUDGETS, arbitrations=20))

        assert [c.topic.name for c in search.commands][:2] == ["gather", "arbitrate"]
        assert (search.state.completed.counts.accepted, search.state.completed.llm_pending) == (1, 0)

    async def test_waits_for_a_silent_model_ten_seconds_and_no_longer(self):
        search = FakeSearch([WORLD[0], judged("a", accepted=(1,), uncertain=(2,)), WORLD[2]])
        await run(search, budgets=replace(BUDGETS, arbitrations=20))

        assert search.state.completed.at == NOW + timedelta(seconds=10)
        assert search.state.completed.llm_pending == 1

    async def test_asks_no_model_without_a_budget(self):
        search = await run(FakeSearch([WORLD[0], judged("a", accepted=(1,), uncertain=(2,)), *WORLD[2:]]))

        assert "arbitrate" not in [c.topic.name for c in search.commands]
        assert search.state.completed.at == NOW

    @pytest.mark.parametrize("crash_after", range(7))
    async def test_resumes_from_wherever_it_was_left(self, crash_after):
        reference = await run(FakeSearch(WORLD))
        first = FakeSearch(WORLD)
        first.publish = dying(first, crash_after)
        with pytest.raises(asyncio.CancelledError):
            await run(first)
        log = [REQUEST, *(fact.value for fact in first.facts)]
        second = FakeSearch(WORLD, log=[*log, Lease(search_id=SEARCH_ID, owner="b", at=NOW)])
        await run(second)

        names = [fact.topic.name for fact in (*first.facts, *second.facts) if fact.topic.name != "progress"]
        assert names == ["planned", "completed", "closed"]
        elsewhere = {"folded_to": 0}  # the same facts lie at other places of another log
        assert second.state.completed.model_copy(update=elsewhere) == reference.state.completed.model_copy(
            update=elsewhere
        )


async def refusing(_name, _content):
    raise Unavailable("bus.object_store")


def dying(search, facts):
    publish = search.publish

    async def once(outgoing):
        if len(search.facts) >= facts:
            raise asyncio.CancelledError
        await publish(outgoing)

    return once


def dying_before(search, name):
    publish = search.publish

    async def once(outgoing):
        if outgoing.topic.name == name:
            raise asyncio.CancelledError
        await publish(outgoing)

    return once


HEAD = stored_answer(rows=b"old")
ANSWERED = AnsweredFrom(level="memory", cache_age_hours=1.0)
STORED = REQUEST.model_copy(update={"stored": HEAD, "stored_ref": HEAD.ref, "answered_from": ANSWERED})
REFRESHING = STORED.model_copy(update={"refresh": True, "priority": Priority.REFRESH})
JOBS = WORLD[-2:]


async def an_answer():
    """What an earlier search of the same question has found."""
    search = await run(FakeSearch(WORLD))
    return decode_answer(next(iter(search.objects.values())))


class TestStoredAnswer:
    async def test_is_the_answer_at_once_while_nothing_of_it_is_due(self):
        stored = await an_answer()
        search = await run(FakeSearch(JOBS, log=(STORED,), stored=stored), request=STORED)

        assert search.names() == ["completed", "closed"]
        done = search.state.completed
        assert (done.response_state, done.answer_ref, done.answered_from) == (ResponseState.CACHED, HEAD.ref, ANSWERED)
        assert done.first_rows == stored.results
        assert [c.topic.name for c in search.commands] == ["attempted", "summarize", "spreadsheet", "archive"]
        assert search.commands[0].value.status is Status.CANCELLED, "nothing was tried, so nothing has failed"

    async def test_is_replaced_by_what_a_refresh_finds(self):
        stored = await an_answer()
        world = (gathered(UF.SP, batches=("a",)), judged("a", accepted=(7,), rejected=(1,)), gathered(UF.RJ), *JOBS)
        search = await run(FakeSearch(world, log=(REFRESHING,), stored=stored), request=REFRESHING)

        done = search.state.completed
        assert (done.response_state, done.revision, done.added, done.answered_from) == (ResponseState.LIVE, 2, 1, None)
        ((gone,),) = [done.gone]
        assert (gone.id, gone.reason_code) == (stored.results[0].id, RejectReason.NO_MATCH)
        assert "remember" in {c.topic.name for c in search.commands}
        before = SearchState(SEARCH_ID)
        before.apply(1, REFRESHING)
        names = [event.name for event in events_of(before, 9, done)]
        assert names == [EventName.REFRESH_AVAILABLE, EventName.COMPLETED]

    async def test_stands_when_its_refresh_finds_less(self):
        stored = await an_answer()
        world = [gathered(uf, status=SliceStatus.FAILED) for uf in (UF.SP, UF.RJ)]
        search = await run(FakeSearch([*world, *JOBS], log=(REFRESHING,), stored=stored), request=REFRESHING)

        done = search.state.completed
        assert (done.status, done.response_state) == (Status.DEGRADED, ResponseState.CACHED)
        assert (done.answer_ref, done.revision, done.coverage.coverage_pct) == (HEAD.ref, 1, 100)
        assert done.first_rows == stored.results
        assert "remember" not in {c.topic.name for c in search.commands}
        before = SearchState(SEARCH_ID)
        before.apply(1, REFRESHING)
        assert [event.name for event in events_of(before, 9, done)] == [EventName.DEGRADED]

    async def test_keeps_its_rows_beside_those_that_a_cut_refresh_has_found(self):
        stored = await an_answer()
        world = (
            gathered(UF.SP, batches=("a",)), judged("a", accepted=(7,)), gathered(UF.RJ, status=SliceStatus.FAILED),
            *JOBS,
        )  # fmt: skip
        search = await run(FakeSearch(world, log=(REFRESHING,), stored=stored), request=REFRESHING)

        done = search.state.completed
        rows = {row.id for row in decode_answer(next(iter(search.objects.values()))).results}
        assert rows == {stored.results[0].id, *(row.id for row in done.first_rows)}
        assert (done.response_state, done.revision, done.added, done.gone) == (ResponseState.CACHED, 2, 1, ())
        assert done.counts.fetched == done.counts.accepted + done.counts.rejected

    async def test_is_looked_for_before_a_search_gives_up(self):
        failed = [gathered(uf, status=SliceStatus.FAILED) for uf in (UF.SP, UF.RJ)]
        search = await run(FakeSearch([*failed, *JOBS], stored=await an_answer()))

        done = search.state.completed
        assert search.asked_memory
        assert (done.status, done.response_state) == (Status.DEGRADED, ResponseState.CACHED)
        assert done.answered_from.level == "database"
        assert done.total == 1

    async def test_is_not_looked_for_when_everything_was_read(self):
        search = await run(FakeSearch(WORLD, stored=await an_answer()))

        assert not search.asked_memory
        assert search.state.completed.response_state is ResponseState.LIVE

    async def test_of_nobody_gets_no_report(self):
        alone = REQUEST.model_copy(update={"priority": Priority.REFRESH})
        search = await run(FakeSearch(WORLD[:3], log=(alone,)), request=alone)

        assert [c.topic.name for c in search.commands] == ["gather", "remember", "archive"]
        assert search.commands[0].value.priority is Priority.REFRESH
