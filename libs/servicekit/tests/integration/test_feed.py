"""Joining a search's log: history, then what comes, without gap or repeat, whatever happens meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from contracts.subjects import Outgoing
from servicekit.bus import Bus, Stored
from servicekit.errors import FeedOverflow, Unavailable
from servicekit.feed import SearchFeed
from servicekit.testing import NatsServer, TcpFaultProxy

from .conftest import Server, StartBus, closed, new_search


def fact(search_id: str, number: int) -> Outgoing:
    return replace(
        closed(search_id), subject=f"search.v1.{search_id}.judged.b{number}.1", msg_id=f"{search_id}:{number}"
    )


@asynccontextmanager
async def feed_on(bus: Bus) -> AsyncIterator[SearchFeed]:
    async with SearchFeed(bus) as feed:
        yield feed


async def follow(feed: SearchFeed, search: str, *, count: int, after: int = 0) -> list[Stored]:
    """As a browser does: join again from the last seen whenever the stream ends."""
    rows: list[Stored] = []
    async with asyncio.timeout(60):
        while len(rows) < count:
            last = rows[-1].sequence if rows else after
            try:
                async with feed.join(search, after=last) as joined:
                    async for row in joined:
                        rows.append(row)
                        if len(rows) == count:
                            break
            except (FeedOverflow, Unavailable):
                continue
    return rows


class TestJoin:
    async def test_gives_the_history_and_then_what_comes(self, start_bus: StartBus) -> None:
        bus, search = await start_bus(), new_search()
        async with feed_on(bus) as feed:
            acks = [await bus.publish(fact(search, n)) for n in range(3)]
            async with feed.join(search) as joined:
                rows = [await anext(joined) for _ in range(3)]
                acks.append(await bus.publish(fact(search, 3)))
                rows.append(await anext(joined))
        assert [row.sequence for row in rows] == [ack.sequence for ack in acks]
        assert rows[-1].subject == f"search.v1.{search}.judged.b3.1"
        assert rows[-1].event_id == f"{search}:3"
        assert rows[-1].body == fact(search, 3).body

    async def test_begins_above_the_sequence_it_was_given(self, start_bus: StartBus) -> None:
        bus, search = await start_bus(), new_search()
        acks = [await bus.publish(fact(search, n)) for n in range(4)]
        async with feed_on(bus) as feed, feed.join(search, after=acks[1].sequence) as joined:
            assert [(await anext(joined)).sequence for _ in range(2)] == [ack.sequence for ack in acks[2:]]

    @pytest.mark.parametrize("seed", range(3))
    async def test_has_no_gap_and_no_repeat_under_load(self, start_bus: StartBus, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
        publisher, bus = await start_bus(), await start_bus()
        searches = [new_search() for _ in range(6)]
        sequences: dict[str, list[int]] = {search: [] for search in searches}
        total = 120

        async def publish() -> None:
            for n in range(total):
                for search in searches:
                    sequences[search].append((await publisher.publish(fact(search, n))).sequence)

        async with feed_on(bus) as feed:
            publishing = asyncio.ensure_future(publish())

            async def joins(search: str) -> None:
                await asyncio.sleep(dice.random() * 0.6)
                known = list(sequences[search])
                after = dice.choice([0, known[-1] if known else 0, dice.choice(known) if known else 0])
                rows = await follow(feed, search, after=after, count=total - sum(each <= after for each in known))
                await publishing
                assert [row.sequence for row in rows] == [each for each in sequences[search] if each > after]

            await asyncio.gather(*(joins(dice.choice(searches)) for _ in range(25)))
            assert feed.followed == 0

    async def test_has_no_gap_and_no_repeat_over_a_server_restart(self, start_bus: StartBus, nats: NatsServer) -> None:
        publisher, bus = await start_bus(), await start_bus()
        searches = [new_search() for _ in range(4)]
        total = 150

        async def publish(search: str) -> list[int]:
            return [(await publisher.publish(fact(search, n))).sequence for n in range(total)]

        async with feed_on(bus) as feed:
            following = [asyncio.ensure_future(follow(feed, search, count=total)) for search in searches * 2]
            publishing = [asyncio.ensure_future(publish(search)) for search in searches]
            for _ in range(2):
                await asyncio.sleep(0.15)
                await nats.kill()
                await asyncio.sleep(0.2)
                await nats.restart()
            stored = dict(zip(searches, await asyncio.gather(*publishing), strict=True))
            for search, rows in zip(searches * 2, await asyncio.gather(*following), strict=True):
                assert [row.sequence for row in rows] == stored[search]

    async def test_has_no_gap_and_no_repeat_when_its_connection_is_reset(
        self, start_bus: StartBus, tcp_faults: TcpFaultProxy
    ) -> None:
        publisher, bus, search = await start_bus(), await start_bus(url=tcp_faults.url), new_search()
        async with feed_on(bus) as feed:
            following = asyncio.ensure_future(follow(feed, search, count=200))
            sequences = []
            for n in range(200):
                sequences.append((await publisher.publish(fact(search, n))).sequence)
                if n % 50 == 25:
                    tcp_faults.reset()
                await asyncio.sleep(0.003)
            assert [row.sequence for row in await following] == sequences

    async def test_goes_on_when_the_consumer_was_deleted_on_the_server(
        self, start_bus: StartBus, server: Server
    ) -> None:
        bus, search = await start_bus(), new_search()
        async with feed_on(bus) as feed, feed.join(search) as joined:
            async with server.js() as js:
                for info in await js.consumers_info("SEARCH"):
                    if info.config.durable_name is None:
                        await js.delete_consumer("SEARCH", info.name)
            ack = await bus.publish(fact(search, 1))
            async with asyncio.timeout(15):
                assert (await anext(joined)).sequence == ack.sequence

    async def test_overflows_a_reader_that_does_not_read_and_no_other(self, start_bus: StartBus) -> None:
        bus, search = await start_bus(), new_search()
        async with feed_on(bus) as feed, feed.join(search, maxsize=5) as slow, feed.join(search) as quick:
            first = await bus.publish(fact(search, 0))
            assert (await anext(slow)).sequence == (await anext(quick)).sequence == first.sequence
            sequences = [(await bus.publish(fact(search, n))).sequence for n in range(1, 20)]
            assert [(await anext(quick)).sequence for _ in sequences] == sequences
            taken: list[int] = []

            async def read_on() -> None:
                async for row in slow:
                    taken.append(row.sequence)  # noqa: PERF401 - what came before the overflow counts

            with pytest.raises(FeedOverflow):
                await read_on()
        assert taken == sequences[: len(taken)]
        assert 0 < len(taken) <= 5


class TestEpoch:
    async def test_is_that_of_the_stream(self, start_bus: StartBus) -> None:
        first, second = await start_bus(), await start_bus()
        async with feed_on(first) as one, feed_on(second) as two:
            assert one.epoch == two.epoch
            int(one.epoch, 16)


class FaultyFeed(SearchFeed):
    """Meets once what nobody foresaw."""

    faults = 1

    async def _find_start(self) -> None:
        if self.faults:
            self.faults -= 1
            raise ValueError("not what a server answers")
        await super()._find_start()


class TestFeed:
    async def test_goes_on_after_what_nobody_foresaw(self, start_bus: StartBus) -> None:
        bus, search = await start_bus(), new_search()
        async with FaultyFeed(bus) as feed, feed.join(search) as joined:
            await bus.publish(fact(search, 1))
            async with asyncio.timeout(5):
                assert (await anext(joined)).subject.endswith("judged.b1.1")
