"""The server dies and comes back: work goes on by itself, nothing lost, nothing stuck."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.memory import Archive
from contracts.subjects import Outgoing
from servicekit.bus import Delivery
from servicekit.testing import NatsServer, TcpFaultProxy

from .conftest import QUICK, Recorder, Server, StartBus, closed, command, eventually, new_search


class TestServerRestart:
    async def test_lets_every_command_be_handled(self, start_bus: StartBus, server: Server, nats: NatsServer) -> None:
        handled: Counter[str] = Counter()
        dice = random.Random(7)  # noqa: S311 - repeatable on purpose

        async def work(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            await asyncio.sleep(dice.random() * 0.03)
            yield closed(message.search_id)
            handled[message.search_id] += 1

        searches = [new_search() for _ in range(150)]
        worker = await start_bus(work)
        source = await start_bus()

        async def send() -> None:
            for search in searches:
                await source.publish(command(search))
                await asyncio.sleep(0.005)

        sending = asyncio.ensure_future(send())
        for _ in range(2):
            await asyncio.sleep(0.3)
            await nats.kill()
            await asyncio.sleep(0.2)
            await nats.restart()
        await sending
        await server.settled()
        assert set(handled) == set(searches)
        for search in searches[::10]:
            assert len(await worker.history(search)) == 1
        assert await server.dead_letters() == []

    async def test_is_noticed_by_an_idle_consumer_whose_fetch_the_server_forgot(
        self, start_bus: StartBus, server: Server, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("servicekit.gate.FETCH_TIME", 3600.0)
        handler = Recorder("done")
        bus = await start_bus(handler)
        await asyncio.sleep(0.2)
        await nats.restart()
        await bus.publish(command(new_search()))
        await server.settled()
        assert len(handler.calls) == 1

    async def test_spends_no_try(self, start_bus: StartBus, server: Server, nats: NatsServer) -> None:
        handler = Recorder("done")
        bus = await start_bus(handler, consumer=replace(QUICK, tries=1), publish_budget=timedelta(milliseconds=200))
        reached = asyncio.Event()

        async def needs_the_bus(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            handler.calls.append(delivery)
            reached.set()
            if len(handler.calls) == 1:
                await nats.kill()
            yield closed(message.search_id)

        bus._consumptions[0]._handler = needs_the_bus
        search = new_search()
        await bus.publish(command(search))
        await reached.wait()
        await asyncio.sleep(0.5)
        await nats.restart()
        await server.settled()
        assert {call.attempt for call in handler.calls} == {1}
        assert len(await bus.history(search)) == 1
        assert await server.dead_letters() == []

    async def test_lets_a_running_handler_finish_once(
        self, start_bus: StartBus, server: Server, nats: NatsServer
    ) -> None:
        calls = 0

        async def long(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            nonlocal calls
            calls += 1
            await asyncio.sleep(3)
            yield closed(message.search_id)

        search = new_search()
        bus = await start_bus(long)
        await bus.publish(command(search))
        await eventually(lambda: calls == 1)
        await nats.kill()
        await asyncio.sleep(1.2)  # longer than ack_wait: the server gives it to us again
        await nats.restart()
        await server.settled()
        assert calls == 1
        assert len(await bus.history(search)) == 1


class TestConnection:
    async def test_waits_for_a_server_that_is_not_there_yet(
        self, start_bus: StartBus, server: Server, nats: NatsServer
    ) -> None:
        await nats.kill()
        handler = Recorder("done")
        starting = asyncio.ensure_future(start_bus(handler))
        await asyncio.sleep(0.5)
        assert not starting.done()
        await nats.restart()
        bus = await starting
        await bus.publish(command(new_search()))
        await server.settled()
        assert len(handler.calls) == 1

    async def test_that_is_reset_again_and_again_loses_no_command(
        self, start_bus: StartBus, server: Server, tcp_faults: TcpFaultProxy
    ) -> None:
        handled: Counter[str] = Counter()

        async def work(message: Archive, delivery: Delivery) -> AsyncIterator[Outgoing]:
            yield closed(message.search_id)
            handled[message.search_id] += 1

        await start_bus(work, url=tcp_faults.url)
        source = await start_bus()
        searches = [new_search() for _ in range(60)]
        for n, search in enumerate(searches):
            await source.publish(command(search))
            await asyncio.sleep(0.01)
            if n % 20 == 10:
                tcp_faults.reset()
        await server.settled()
        assert set(handled) == set(searches)

    async def test_says_whether_it_is_there(self, start_bus: StartBus, nats: NatsServer) -> None:
        bus = await start_bus()
        assert bus.connected
        await nats.kill()
        await eventually(lambda: not bus.connected)
        await nats.restart()
        await eventually(lambda: bus.connected)

    async def test_of_a_stopped_bus_is_closed_while_the_server_is_away(
        self, start_bus: StartBus, nats: NatsServer
    ) -> None:
        bus = await start_bus(Recorder("done"))
        await nats.kill()
        await eventually(lambda: not bus.connected)
        async with asyncio.timeout(15):
            await bus.stop()


class TestAbandonedDelivery:
    async def test_comes_back_to_another_process(self, start_bus: StartBus, server: Server) -> None:
        """As after a SIGKILL: the delivery was taken, and neither beat nor answer ever comes."""
        source = await start_bus()
        await source.publish(command(new_search()))
        async with server.js() as js:
            taken = await js.pull_subscribe_bind(durable=QUICK.durable, stream="WORK")
            await taken.fetch(1, timeout=5)
        handler = Recorder("done")
        await start_bus(handler)
        await server.settled()
        assert [call.redelivered for call in handler.calls] == [True]
