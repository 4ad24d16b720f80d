"""What becomes of a message, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.memory import Archive
from contracts.subjects import Outgoing
from servicekit.bus import Bus, Delivery
from servicekit.correlation import correlated, correlation_id
from servicekit.errors import Abandoned, DependencyAway, Fenced, Rejected, Transient, Unavailable

from .conftest import QUICK, Recorder, Server, StartBus, closed, command, eventually, new_search

SOON = timedelta(milliseconds=20)


class TestOutcome:
    async def test_is_an_ack_when_the_generator_is_exhausted(self, start_bus: StartBus, server: Server) -> None:
        handler, search = Recorder("done"), new_search()
        bus = await start_bus(handler)
        await bus.publish(command(search))
        await server.settled()
        assert [row.subject for row in await bus.history(search)] == [f"search.v1.{search}.closed"]
        assert await server.count("WORK") == 0
        assert [call.attempt for call in handler.calls] == [1]
        assert not handler.calls[0].redelivered

    async def test_is_another_try_after_a_transient_error(self, start_bus: StartBus, server: Server) -> None:
        handler = Recorder(Transient("pncp.busy", delay=SOON), Transient("pncp.busy", delay=SOON), "done")
        bus = await start_bus(handler)
        await bus.publish(command(new_search()))
        await server.settled()
        assert [call.attempt for call in handler.calls] == [1, 2, 3]
        assert [call.redelivered for call in handler.calls] == [False, True, True]
        assert await server.dead_letters() == []

    async def test_is_a_dead_letter_at_once_when_permanent(self, start_bus: StartBus, server: Server) -> None:
        handler, search = Recorder(Rejected("answer.gone", "não há")), new_search()
        bus = await start_bus(handler)
        with correlated("c-7"):
            await bus.publish(command(search))
        await server.settled()
        [(headers, body)] = await server.dead_letters()
        assert len(handler.calls) == 1
        assert headers["dlq-reason"] == "answer.gone"
        assert headers["dlq-subject"] == "work.cache.archive.v1"
        assert headers["dlq-sequence"] == str(handler.calls[0].sequence)
        assert headers["correlation-id"] == "c-7"
        assert body == command(search).body
        assert await server.count("WORK") == 0

    async def test_is_a_dead_letter_when_the_last_try_fails(self, start_bus: StartBus, server: Server) -> None:
        handler = Recorder(Transient("pncp.busy", delay=SOON))
        bus = await start_bus(handler, consumer=replace(QUICK, tries=3))
        await bus.publish(command(new_search()))
        await server.settled()
        [(headers, _)] = await server.dead_letters()
        assert [call.last_try for call in handler.calls] == [False, False, True]
        assert (headers["dlq-reason"], headers["dlq-tries"]) == ("pncp.busy", "3")
        assert await server.count("WORK") == 0

    async def test_is_another_try_and_one_error_line_after_a_bug(
        self, start_bus: StartBus, server: Server, capsys: pytest.CaptureFixture[str]
    ) -> None:
        handler = Recorder(KeyError("oops"), "done")
        bus = await start_bus(handler)
        await bus.publish(command(new_search()))
        await server.settled()
        assert len(handler.calls) == 2
        assert capsys.readouterr().out.count("handler.failed") == 1

    async def test_is_a_dead_letter_when_the_body_is_not_of_the_model(
        self, start_bus: StartBus, server: Server
    ) -> None:
        handler = Recorder("done")
        bus = await start_bus(handler)
        broken = replace(command(new_search()), body=b'{"search_id": 1}')
        await bus.publish(broken)
        await server.settled()
        [(headers, body)] = await server.dead_letters()
        assert handler.calls == []
        assert headers["dlq-reason"] == "invalid"
        assert body == broken.body

    @pytest.mark.parametrize("error", [Abandoned(), Fenced()], ids=["abandoned", "fenced"])
    async def test_is_neither_ack_nor_nak_nor_beat_when_abandoned(
        self, start_bus: StartBus, server: Server, error: Exception
    ) -> None:
        handler = Recorder(error, "done")
        bus = await start_bus(handler)
        await bus.publish(command(new_search()))
        await eventually(lambda: len(handler.calls) == 1)
        assert await server.waiting() == 1
        await server.settled()
        assert len(handler.calls) == 2
        assert handler.times[1] - handler.times[0] >= 0.9

    async def test_of_a_group_is_that_of_what_its_tasks_raised(self, start_bus: StartBus, server: Server) -> None:
        handler = Recorder(ExceptionGroup("tasks", [Transient("x"), ExceptionGroup("inner", [Rejected("gone")])]))
        bus = await start_bus(handler)
        await bus.publish(command(new_search()))
        await server.settled()
        [(headers, _)] = await server.dead_letters()
        assert headers["dlq-reason"] == "gone"

    async def test_is_a_dead_letter_unseen_after_too_many_deliveries(
        self, start_bus: StartBus, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("servicekit.consuming.delivery_limit", lambda consumer: 2)
        handler = Recorder(Abandoned())
        bus = await start_bus(handler)
        await bus.publish(command(new_search()))
        await server.settled()
        [(headers, _)] = await server.dead_letters()
        assert headers["dlq-reason"] == "delivered_too_often"
        assert len(handler.calls) == 2

    async def test_is_not_too_many_deliveries_where_this_process_answered_one(
        self, start_bus: StartBus, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("servicekit.consuming.delivery_limit", lambda consumer: 1)
        handler = Recorder(Transient("x", delay=timedelta(seconds=1.1)), Transient("x", delay=SOON), "done")
        bus = await start_bus(handler)
        await bus.publish(command(new_search()))
        await server.settled()
        assert [call.attempt for call in handler.calls] == [1, 2, 3]
        assert await server.dead_letters() == []

    async def test_spends_neither_a_try_nor_a_delivery_while_the_bus_takes_nothing(
        self, start_bus: StartBus, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("servicekit.consuming.backoff", lambda failures: 0.4)
        handler = Recorder(*[Unavailable("bus.full")] * 4, "done")
        before = await server.deliveries()
        bus = await start_bus(handler, consumer=replace(QUICK, tries=1))
        await bus.publish(command(new_search()))
        await server.settled()
        assert [(call.attempt, call.redelivered) for call in handler.calls] == [(1, False), *[(1, True)] * 4]
        assert await server.deliveries() == before + 1
        assert await server.dead_letters() == []


class TestHandler:
    async def test_gets_a_late_command_too(self, start_bus: StartBus, server: Server) -> None:
        seen: list[Archive] = []

        async def late(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            seen.append(message)
            yield closed(message.search_id)

        bus = await start_bus(late)
        await bus.publish(command(new_search()))
        await server.settled()
        assert len(seen) == 1
        assert await server.dead_letters() == []

    async def test_is_not_given_a_message_twice_while_it_works_longer_than_ack_wait(
        self, start_bus: StartBus, server: Server
    ) -> None:
        calls = 0

        async def slow(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            nonlocal calls
            calls += 1
            await asyncio.sleep(2.5)
            yield closed(message.search_id)

        bus = await start_bus(slow)
        await bus.publish(command(new_search()))
        await server.settled()
        assert calls == 1

    async def test_runs_as_often_at_once_as_it_has_workers(self, start_bus: StartBus, server: Server) -> None:
        running, most = 0, 0
        enough = asyncio.Event()

        async def together(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == QUICK.workers:
                enough.set()
            await enough.wait()
            await asyncio.sleep(0.05)
            running -= 1
            yield closed(message.search_id)

        bus = await start_bus(together)
        for _ in range(12):
            await bus.publish(command(new_search()))
        await server.settled()
        assert most == QUICK.workers

    async def test_holds_no_message_that_it_has_no_worker_for(self, start_bus: StartBus, server: Server) -> None:
        held = asyncio.Event()

        async def stuck(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            await held.wait()
            yield closed(message.search_id)

        bus = await start_bus(stuck, consumer=replace(QUICK, workers=2))
        for _ in range(6):
            await bus.publish(command(new_search()))
        await server.delivered(2)
        await asyncio.sleep(0.2)
        await server.delivered(2)
        held.set()
        await server.settled()

    async def test_carries_the_correlation_id_of_its_command_into_what_it_yields(
        self, start_bus: StartBus, server: Server
    ) -> None:
        search = new_search()
        seen: list[tuple[str, str | None]] = []

        async def handler(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            seen.append((delivery.correlation_id, correlation_id()))
            yield closed(message.search_id)

        bus = await start_bus(handler)
        with correlated("from-the-browser"):
            await bus.publish(command(search))
        await server.settled()
        [row] = await bus.history(search)
        assert seen == [("from-the-browser", "from-the-browser")]
        assert row.correlation_id == "from-the-browser"

    async def test_yields_again_without_effect_after_a_redelivery(self, start_bus: StartBus, server: Server) -> None:
        search = new_search()

        async def crashes_once(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            yield closed(message.search_id)
            if not delivery.redelivered:
                raise Transient("after.effect", delay=SOON)

        bus = await start_bus(crashes_once)
        await bus.publish(command(search))
        await server.settled()
        assert len(await bus.history(search)) == 1


class TestDependencyAway:
    async def test_pauses_the_subscription_and_spends_no_try(self, start_bus: StartBus, server: Server) -> None:
        away = DependencyAway("sql", delay=SOON)
        handler = Recorder(*[away] * 8, "done")
        bus = await start_bus(handler, consumer=replace(QUICK, tries=2, workers=1))
        await bus.publish(command(new_search()))
        await server.settled()
        assert [call.attempt for call in handler.calls] == [1] * 9
        assert await server.dead_letters() == []
        assert bus.paused_consumers() == ()

    async def test_takes_no_other_message_meanwhile(self, start_bus: StartBus, server: Server) -> None:
        back = asyncio.Event()
        tried: list[str] = []

        async def needs_sql(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            tried.append(message.search_id)
            if not back.is_set():
                raise DependencyAway("sql", delay=SOON)
            yield closed(message.search_id)

        bus = await start_bus(needs_sql, consumer=replace(QUICK, workers=1))
        searches = [new_search() for _ in range(5)]
        for search in searches:
            await bus.publish(command(search))
        await eventually(lambda: len(tried) > 4)
        assert set(tried) == {searches[0]}
        assert bus.paused_consumers() == (QUICK.durable,)
        back.set()
        await server.settled()
        assert set(tried) == set(searches)

    async def test_keeps_its_in_flight_messages_so_that_no_pause_counts_as_a_delivery(
        self, start_bus: StartBus, server: Server
    ) -> None:
        back = asyncio.Event()
        tried: list[Delivery] = []
        done: list[str] = []
        before = await server.deliveries()

        async def needs_sql(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            tried.append(delivery)
            if not back.is_set():
                await asyncio.sleep(0.05)
                raise DependencyAway("sql", delay=SOON)
            done.append(message.search_id)
            yield closed(message.search_id)

        bus = await start_bus(needs_sql, consumer=replace(QUICK, tries=1))
        searches = [new_search() for _ in range(8)]
        for search in searches:
            await bus.publish(command(search))
        await eventually(lambda: bus.paused_consumers() and len(tried) > 30)
        back.set()
        await server.settled()
        assert await server.deliveries() == before + len(searches)
        assert sorted(done) == sorted(searches)
        assert {delivery.attempt for delivery in tried} == {1}
        assert await server.dead_letters() == []


class TestStop:
    async def test_hands_a_running_message_over_at_once_and_as_no_dead_letter(
        self, start_bus: StartBus, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cleaned = asyncio.Event()

        async def endless(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            try:
                await asyncio.sleep(3600)
                yield closed(message.search_id)
            finally:
                cleaned.set()

        patient = replace(QUICK, ack_wait=timedelta(seconds=60))
        await server.put(patient)
        first = await start_bus(endless, consumer=patient, grace=timedelta(milliseconds=50))
        await first.publish(command(new_search()))
        await server.delivered(1)
        second_handler = Recorder("done")
        monkeypatch.setattr("servicekit.consuming.delivery_limit", lambda consumer: 1)
        await first.stop()
        assert cleaned.is_set()
        await start_bus(second_handler, consumer=patient)
        await server.settled(patient)
        assert [call.attempt for call in second_handler.calls] == [1]
        assert await server.dead_letters(patient) == []

    async def test_lets_a_handler_finish_that_heeds_the_sign(self, start_bus: StartBus, server: Server) -> None:
        search = new_search()
        started = asyncio.Event()

        async def heeds(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            started.set()
            await delivery.stopping.wait()
            yield closed(message.search_id)

        bus = await start_bus(heeds)
        await bus.publish(command(search))
        await started.wait()
        await bus.drain()
        assert len(await bus.history(search)) == 1
        assert await server.waiting() == 0

    async def test_hands_over_the_probe_of_a_paused_subscription(self, start_bus: StartBus, server: Server) -> None:
        bus = await start_bus(Recorder(DependencyAway("sql", delay=timedelta(hours=1))))
        await bus.publish(command(new_search()))
        await eventually(bus.paused_consumers)
        await bus.stop()
        other = Recorder("done")
        await start_bus(other)
        await server.settled()
        assert len(other.calls) == 1

    async def test_is_quiet_when_it_was_never_started(self, bus_url: str) -> None:
        await Bus(url=bus_url, service="test").stop()


class TestRegistration:
    async def test_is_refused_after_the_start(self, start_bus: StartBus) -> None:
        bus = await start_bus()
        with pytest.raises(RuntimeError, match="before start"):
            bus.handle(QUICK, Recorder("done"))

    async def test_of_a_consumer_that_is_not_provisioned_waits_for_it(
        self, start_bus: StartBus, server: Server
    ) -> None:
        nowhere = replace(QUICK, durable="cache-nowhere", filter="work.cache.nowhere.v1")
        starting = asyncio.ensure_future(start_bus(Recorder("done"), consumer=nowhere))
        await asyncio.sleep(0.1)
        assert not starting.done()
        await server.put(nowhere)
        await asyncio.wait_for(starting, 10)
        async with server.js() as js:
            info = await js.consumer_info("WORK", "cache-nowhere")
            await js.delete_consumer("WORK", "cache-nowhere")
        assert info.config.ack_wait == 1.0
