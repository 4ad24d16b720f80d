"""What a stream has taken, and what it has refused."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.fetch import FetchClaim, FetchRange
from contracts.places import UF
from contracts.search import Lease
from contracts.subjects import CLAIM, FETCHER_CLAIMS, LEASE, MAX_MESSAGE_BYTES, Outgoing
from contracts.values import Modalidade, Source
from servicekit.errors import AlreadyInFlight, Fenced, Rejected, Unavailable
from servicekit.testing import NatsServer, TcpFaultProxy

from .conftest import NOW, Recorder, Server, StartBus, closed, command, new_search


def lease(search_id: str, owner: str) -> Outgoing:
    return LEASE.message(Lease(search_id=search_id, owner=owner, at=NOW), search_id=search_id)


def claim() -> Outgoing:
    asked = FetchRange(modalidade=Modalidade.PREGAO_ELETRONICO, day_from=NOW.date(), day_to=NOW.date())
    return CLAIM.message(
        FetchClaim(source=Source.PNCP, uf=UF.SP, ranges=(asked,), not_after=NOW, claimed_at=NOW),
        source=Source.PNCP, uf=UF.SP,
    )  # fmt: skip


class TestPublish:
    async def test_stores_the_same_id_once(self, start_bus: StartBus) -> None:
        bus, search = await start_bus(), new_search()
        first, second = await bus.publish(closed(search)), await bus.publish(closed(search))
        assert (first.duplicate, second.duplicate) == (False, True)
        assert [row.sequence for row in await bus.history(search)] == [first.sequence]

    async def test_carries_cloudevents_attributes(self, start_bus: StartBus, server: Server) -> None:
        bus = await start_bus()
        ack = await bus.publish(command(new_search()))
        async with server.js() as js:
            headers = (await js.get_msg("WORK", ack.sequence)).headers or {}
        assert headers["ce-id"] == headers["Nats-Msg-Id"]
        assert headers["ce-specversion"] == "1.0"
        assert headers["ce-type"] == "farol.archive.v1"
        assert headers["ce-source"] == "/farol/test"
        assert headers["correlation-id"]

    async def test_refuses_what_is_above_the_bound(self, start_bus: StartBus) -> None:
        bus, search = await start_bus(), new_search()
        fits = replace(closed(search), body=b"x" * MAX_MESSAGE_BYTES)
        with pytest.raises(Rejected, match="262145 bytes"):
            await bus.publish(replace(fits, body=fits.body + b"x"))
        await bus.publish(fits)
        assert len(await bus.history(search)) == 1

    async def test_stores_once_when_the_acknowledgement_was_lost(
        self, start_bus: StartBus, tcp_faults: TcpFaultProxy
    ) -> None:
        bus, search = await start_bus(url=tcp_faults.url), new_search()
        tcp_faults.swallow_replies()
        publishing = asyncio.ensure_future(bus.publish(closed(search)))
        await asyncio.sleep(0.2)
        tcp_faults.reset()
        tcp_faults.heal()
        ack = await publishing
        assert ack.duplicate
        assert len(await bus.history(search)) == 1

    async def test_stores_what_was_published_while_the_server_was_away(
        self, start_bus: StartBus, nats: NatsServer
    ) -> None:
        bus, search = await start_bus(), new_search()
        await nats.kill()
        publishing = asyncio.ensure_future(bus.publish(closed(search)))
        await asyncio.sleep(0.5)
        assert not publishing.done()
        await nats.restart()
        ack = await publishing
        assert [row.sequence for row in await bus.history(search)] == [ack.sequence]

    async def test_gives_up_when_its_budget_is_over(self, start_bus: StartBus, nats: NatsServer) -> None:
        bus = await start_bus(publish_budget=timedelta(milliseconds=300))
        await nats.kill()
        with pytest.raises(Unavailable) as caught:
            await bus.publish(closed(new_search()))
        assert caught.value.bus_itself

    async def test_waits_for_room_in_a_full_work_queue(self, start_bus: StartBus, server: Server) -> None:
        bus = await start_bus(publish_budget=timedelta(milliseconds=500))
        async with server.js() as js:
            config = (await js.stream_info("WORK")).config
            await js.update_stream(replace(config, max_msgs=1))
            try:
                await bus.publish(command(new_search()))
                with pytest.raises(Unavailable) as caught:
                    await bus.publish(command(new_search()))
                assert caught.value.code == "bus.full"
                waiting = asyncio.ensure_future(bus.publish(command(new_search())))
                await asyncio.sleep(0.1)
                await js.purge_stream("WORK")
                assert not (await waiting).duplicate
            finally:
                await js.update_stream(config)


class TestClaim:
    async def test_is_refused_while_another_is_in_flight(self, start_bus: StartBus) -> None:
        bus = await start_bus()
        await bus.publish(claim())
        with pytest.raises(AlreadyInFlight):
            await bus.publish(claim())

    async def test_is_taken_again_after_the_first_is_done(self, start_bus: StartBus, server: Server) -> None:
        consumer = FETCHER_CLAIMS[Source.PNCP]
        handler = Recorder("done")

        async def fetch(message, delivery):  # type: ignore[no-untyped-def]
            handler.calls.append(delivery)
            return
            yield

        bus = await start_bus(fetch, consumer=consumer)
        await bus.publish(claim())
        await server.settled(consumer)
        await bus.publish(claim())
        await server.settled(consumer)
        assert len(handler.calls) == 2

    async def test_that_was_stored_before_its_acknowledgement_was_lost_is_ours(
        self, start_bus: StartBus, tcp_faults: TcpFaultProxy
    ) -> None:
        bus = await start_bus(url=tcp_faults.url)
        tcp_faults.swallow_replies()
        publishing = asyncio.ensure_future(bus.publish(claim()))
        await asyncio.sleep(0.2)
        tcp_faults.reset()
        tcp_faults.heal()
        assert (await publishing).duplicate


class TestFence:
    async def test_lets_the_owner_publish_and_refuses_the_one_before(self, start_bus: StartBus) -> None:
        zombie, owner, search = await start_bus(), await start_bus(), new_search()
        old = await zombie.publish(lease(search, "zombie"), expect_last=0)
        new = await owner.publish(lease(search, "owner"), expect_last=old.sequence)
        with pytest.raises(Fenced):
            await zombie.publish(closed(search), fence=old.sequence)
        ack = await owner.publish(closed(search), fence=new.sequence)
        assert [row.sequence for row in await owner.history(search)] == [old.sequence, new.sequence, ack.sequence]

    async def test_gives_a_lease_to_one_of_many(self, start_bus: StartBus) -> None:
        buses = [await start_bus() for _ in range(4)]
        search = new_search()
        tries = await asyncio.gather(
            *(bus.publish(lease(search, f"owner-{n % 2}"), expect_last=0) for n, bus in enumerate(buses * 5)),
            return_exceptions=True,
        )
        assert sum(not isinstance(each, BaseException) for each in tries) == 1
        assert all(isinstance(each, Fenced) for each in tries if isinstance(each, BaseException))

    async def test_lets_the_same_owner_take_its_lease_anew(self, start_bus: StartBus) -> None:
        bus, search = await start_bus(), new_search()
        first = await bus.publish(lease(search, "me"), expect_last=0)
        second = await bus.publish(lease(search, "me"), expect_last=first.sequence)
        assert not second.duplicate
        found = await bus.last(f"search.v1.{search}.lease")
        assert found is not None
        assert found.sequence == second.sequence > first.sequence

    async def test_knows_its_own_lease_when_the_acknowledgement_was_lost(
        self, start_bus: StartBus, tcp_faults: TcpFaultProxy
    ) -> None:
        bus, search = await start_bus(url=tcp_faults.url), new_search()
        tcp_faults.swallow_replies()
        publishing = asyncio.ensure_future(bus.publish(lease(search, "me"), expect_last=0))
        await asyncio.sleep(0.2)
        tcp_faults.reset()
        tcp_faults.heal()
        ack = await publishing
        assert ack.duplicate
        assert [row.sequence for row in await bus.history(search)] == [ack.sequence]

    async def test_takes_many_facts_of_one_owner_at_once(self, start_bus: StartBus) -> None:
        bus, search = await start_bus(), new_search()
        mine = await bus.publish(lease(search, "me"), expect_last=0)
        facts = [
            replace(closed(search), subject=f"search.v1.{search}.closed.{n}", msg_id=f"{search}:{n}") for n in range(50)
        ]
        await asyncio.gather(*(bus.publish(fact, fence=mine.sequence) for fact in facts))
        assert len(await bus.history(search)) == 51


class TestReading:
    async def test_finds_nothing_where_nothing_is(self, start_bus: StartBus) -> None:
        bus = await start_bus()
        assert await bus.history(new_search()) == []
        assert await bus.last(f"search.v1.{new_search()}.closed") is None

    async def test_gives_a_long_log_whole_and_in_order(self, start_bus: StartBus) -> None:
        bus, search, other = await start_bus(), new_search(), new_search()
        acks = []
        for n in range(1203):
            of = search if n % 3 else other
            acks.append((of, await bus.publish(replace(closed(of), msg_id=f"{of}:{n}"))))
        mine = [ack.sequence for of, ack in acks if of == search]
        assert [row.sequence for row in await bus.history(search)] == mine
        assert [row.sequence for row in await bus.history(search, after=mine[700])] == mine[701:]

    async def test_survives_a_restart_in_its_midst(self, start_bus: StartBus, nats: NatsServer) -> None:
        bus, search = await start_bus(), new_search()
        for n in range(800):
            await bus.publish(replace(closed(search), msg_id=f"{search}:{n}", body=b"x" * 20_000))
        reading = asyncio.ensure_future(bus.history(search))
        await asyncio.sleep(0.02)
        await nats.restart()
        rows = await reading
        assert len(rows) == 800
        assert [row.sequence for row in rows] == sorted({row.sequence for row in rows})


class TestObjects:
    async def test_come_back_as_they_went(self, start_bus: StartBus) -> None:
        bus = await start_bus()
        data = bytes(range(256)) * 2000
        ref = await bus.put_object("ANSWERS", f"answers/{new_search()}/1", data)
        assert ref.size == len(data)
        assert await bus.get_object(ref) == data

    async def test_may_be_empty(self, start_bus: StartBus) -> None:
        bus = await start_bus()
        ref = await bus.put_object("FILES", "nada", b"")
        assert await bus.get_object(ref) == b""

    async def test_are_refused_when_they_are_no_longer_what_was_referred_to(self, start_bus: StartBus) -> None:
        bus = await start_bus()
        ref = await bus.put_object("ANSWERS", "a", b"one")
        await bus.put_object("ANSWERS", "a", b"two")
        with pytest.raises(Rejected) as changed:
            await bus.get_object(ref)
        with pytest.raises(Rejected) as missing:
            await bus.get_object(ref.model_copy(update={"name": "b"}))
        assert (changed.value.code, missing.value.code) == ("object.changed", "object.missing")
