"""The table of contracts, as the server has it."""

import asyncio
from dataclasses import replace

from nats.js.api import ConsumerConfig

from contracts.subjects import CONSUMERS, SEARCH, STREAMS
from servicekit.provision import BUCKETS, consumer_config, provision

from .conftest import Server, StartBus, closed, new_search


class TestProvision:
    async def test_makes_what_the_table_says(self, server: Server) -> None:
        await provision(server.url)
        async with server.js() as js:
            for stream in STREAMS:
                config = (await js.stream_info(stream.name)).config
                assert tuple(config.subjects or ()) == stream.subjects
                assert config.max_bytes == stream.max_bytes
                assert config.duplicate_window == stream.duplicate_window.total_seconds()
                assert config.discard_new_per_subject is stream.one_per_subject
                assert config.allow_direct
            for consumer in CONSUMERS:
                made = (await js.consumer_info(consumer.stream.name, consumer.durable)).config
                assert made.filter_subject == consumer.filter
                assert made.ack_wait == consumer.ack_wait.total_seconds()
                assert (made.max_ack_pending, made.max_deliver) == (consumer.max_ack_pending, -1)
            for bucket, size in BUCKETS.items():
                assert (await js.stream_info(f"OBJ_{bucket}")).config.max_bytes == size

    async def test_may_run_twice_at_once_and_keeps_what_is_stored(self, server: Server, start_bus: StartBus) -> None:
        bus, search = await start_bus(), new_search()
        ack = await bus.publish(closed(search))
        await asyncio.gather(*(provision(server.url) for _ in range(4)))
        assert [row.sequence for row in await bus.history(search)] == [ack.sequence]

    async def test_mends_what_has_drifted(self, server: Server) -> None:
        consumer = CONSUMERS[0]
        async with server.js() as js:
            drifted: ConsumerConfig = replace(consumer_config(consumer), ack_wait=77, max_ack_pending=3)
            await js.add_consumer(consumer.stream.name, drifted)
            search = (await js.stream_info("SEARCH")).config
            await js.update_stream(replace(search, max_bytes=123_456_789))
            await provision(server.url)
            made = (await js.consumer_info(consumer.stream.name, consumer.durable)).config
            assert made.ack_wait == consumer.ack_wait.total_seconds()
            assert (await js.stream_info("SEARCH")).config.max_bytes == SEARCH.max_bytes
