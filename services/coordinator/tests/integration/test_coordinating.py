"""Real coordinators on a real server; the rest of the world is a few handlers of this file."""

import asyncio
import functools
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.fold import SearchState
from contracts.places import UF
from contracts.report import ObjectRef, SpreadsheetReady, Summary, SummaryReady
from contracts.samples import gathered, judged, requested
from contracts.state import Status
from contracts.subjects import (
    CACHE_GATHER,
    CLOSED,
    COORDINATOR_REQUESTED,
    GATHERED,
    JUDGED,
    PLANNED,
    REPORTER_SPREADSHEET,
    REPORTER_SUMMARIZE,
    REQUESTED,
    SPREADSHEET_READY,
    SUMMARY_READY,
    fact_topic,
)
from contracts.values import Source
from coordinator.adapters.log import hold
from coordinator.domain.plan import Budgets, plan
from coordinator.handlers import run_search
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.errors import Abandoned
from servicekit.feed import SearchFeed
from servicekit.service import Service

BUDGETS = Budgets(per_source=timedelta(seconds=180), consolidation=timedelta(seconds=300))
UFS = (UF.SP, UF.RJ, UF.MG)


def a_request():
    now = utc_now()
    sample = requested(*UFS, sources=(Source.PNCP,))
    return sample.model_copy(
        update={"search_id": uuid4().hex, "created_at": now, "deadline": now + timedelta(seconds=60)}
    )


def coordinator(url):
    bus = Bus(url=url, service="coordinator", grace=timedelta(milliseconds=50))
    feed = SearchFeed(bus)
    holding = functools.partial(hold_as, bus, feed, uuid4().hex[:6])
    bus.handle(COORDINATOR_REQUESTED, functools.partial(run_search, hold=holding, budgets=BUDGETS, clock=utc_now))
    return Service(name="coordinator", bus=bus, parts=(feed,))


def hold_as(bus, feed, owner, search_id):
    return hold(bus, feed, search_id, owner=owner, clock=utc_now)


def world(url, *, pause=0.0):
    """Cache, classifier and reporter in one: every UF has one accepted and one rejected bid."""
    bus = Bus(url=url, service="world", grace=timedelta(milliseconds=50))

    async def gather(command, _):
        for n, uf in enumerate(command.ufs):
            await asyncio.sleep(pause)
            batch, search = f"pncp-{uf}-1", {"search_id": command.search_id}
            verdicts = judged(batch, uf=uf, accepted=(2 * n + 1,), rejected=(2 * n + 2,)).model_copy(update=search)
            yield JUDGED.message(verdicts, batch=batch, part=1, **search)
            fact = gathered(uf, batches=(batch,), records=2).model_copy(update=search)
            yield GATHERED.message(fact, source=Source.PNCP, uf=uf, **search)

    async def summarize(command, _):
        ready = SummaryReady(search_id=command.search_id, revision=command.revision, summary=Summary(text="Três."))
        yield SUMMARY_READY.message(ready, search_id=command.search_id, revision=command.revision)

    async def spreadsheet(command, _):
        file = ObjectRef(bucket="FILES", name="f", size=1, sha256="0")
        ready = SpreadsheetReady(search_id=command.search_id, revision=command.revision, file=file, rows=3)
        yield SPREADSHEET_READY.message(ready, search_id=command.search_id, revision=command.revision)

    bus.handle(CACHE_GATHER, gather)
    bus.handle(REPORTER_SUMMARIZE, summarize)
    bus.handle(REPORTER_SPREADSHEET, spreadsheet)
    return Service(name="world", bus=bus)


@asynccontextmanager
async def running(*services):
    for service in services:
        await service.start()
    try:
        yield
    finally:
        for service in reversed(services):
            await service.stop()


async def facts_of(bus, search_id):
    rows = await bus.history(search_id)
    return [(row.sequence, topic.name, topic.decode(row.body)) for row in rows if (topic := fact_topic(row.subject))]


async def until_closed(bus, search_id, *, within=20):
    async with asyncio.timeout(within):
        while await bus.last(CLOSED.subject(search_id=search_id)) is None:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)
    facts = await facts_of(bus, search_id)
    state = SearchState(search_id)
    for sequence, _, fact in facts:
        state.apply(sequence, fact)
    return state, [name for _, name, _ in facts]


@pytest.fixture
async def bus(bus_url):
    bus = Bus(url=bus_url, service="test")
    await bus.connect()
    yield bus
    await bus.stop()


async def ask(bus, request):
    await bus.publish(REQUESTED.message(request, search_id=request.search_id))


class TestCoordinating:
    async def test_takes_a_search_from_request_to_closed(self, bus, bus_url):
        request = a_request()
        async with running(world(bus_url), coordinator(bus_url)):
            await ask(bus, request)
            state, names = await until_closed(bus, request.search_id)

        assert state.completed.status is Status.COMPLETED
        assert (state.completed.total, state.completed.coverage.coverage_pct) == (3, 100)
        assert [name for name in names if name in {"planned", "completed", "closed"}] == [
            "planned",
            "completed",
            "closed",
        ]

    async def test_runs_many_searches_at_once(self, bus, bus_url):
        requests = [a_request() for _ in range(20)]
        async with running(world(bus_url), coordinator(bus_url), coordinator(bus_url)):
            await asyncio.gather(*(ask(bus, request) for request in requests))
            states = [(await until_closed(bus, request.search_id))[0] for request in requests]

        assert {state.completed.total for state in states} == {3}

    @pytest.mark.parametrize("after", [0.05, 0.4, 0.7])
    async def test_hands_a_search_over_when_it_is_stopped(self, bus, bus_url, after):
        request = a_request()
        first = coordinator(bus_url)
        async with running(world(bus_url, pause=0.3)):
            await first.start()
            await ask(bus, request)
            await asyncio.sleep(after)
            async with running(coordinator(bus_url)):
                await first.stop()
                state, names = await until_closed(bus, request.search_id)

        assert state.completed.total == 3
        assert names.count("completed") == names.count("planned") == names.count("closed") == 1

    async def test_refuses_the_facts_of_whoever_lost_the_lease(self, bus, bus_url):
        request = a_request()
        feed = SearchFeed(bus)
        async with feed:
            await ask(bus, request)
            async with hold_as(bus, feed, "first", request.search_id) as zombie:
                async with hold_as(bus, feed, "second", request.search_id) as owner:
                    fact = PLANNED.message(plan(request, budgets=BUDGETS), search_id=request.search_id)
                    with pytest.raises(Abandoned):
                        await zombie.publish(fact)
                    await owner.publish(fact)
                with pytest.raises(Abandoned):
                    await zombie.until(lambda state: state.closed is not None, by=utc_now() + timedelta(seconds=5))

        assert [name for _, name, _ in await facts_of(bus, request.search_id)] == [
            "requested", "lease", "lease", "planned",
        ]  # fmt: skip

    async def test_survives_a_restart_of_the_server(self, bus, bus_url, nats):
        request = a_request()
        async with running(world(bus_url, pause=0.2), coordinator(bus_url)):
            await ask(bus, request)
            await asyncio.sleep(0.3)
            await nats.kill()
            await asyncio.sleep(0.5)
            await nats.restart()
            state, names = await until_closed(bus, request.search_id, within=40)

        assert state.completed.total == 3
        assert names.count("completed") == 1
