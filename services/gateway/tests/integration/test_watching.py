"""What an operator sees, from real heartbeats over a real bus: who works, what waits, what is wrong, who is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from nats import connect

from contracts.memory import Archive
from contracts.samples import NOW
from contracts.subjects import CACHE_ARCHIVE, OPS, Outgoing
from servicekit.bus import Bus, Delivery
from servicekit.health import HealthStatus
from servicekit.provision import provision
from servicekit.service import Service


async def _kept(_command: Archive, _delivery: Delivery) -> AsyncIterator[Outgoing]:
    return
    yield


@asynccontextmanager
async def _worker(url: str) -> AsyncIterator[Service]:
    bus = Bus(url=url, service="cache")
    bus.handle(CACHE_ARCHIVE, _kept)
    service = Service(name="cache", bus=bus)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


@asynccontextmanager
async def _channel() -> AsyncIterator[tuple[str, list[str]]]:
    """A Slack-compatible webhook: its address, and what it was told."""
    told: list[str] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        told.append(orjson.loads(await reader.readexactly(int(length.split(b":")[1])))["text"])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/services/T0/B0/secret", told


class TestWatching:
    async def test_shows_a_worker_from_its_first_beat_to_its_leaving(self, built: Callable[..., Any], until, bus_url):
        async with built() as gateway:

            async def workers() -> set[tuple[str, str]]:
                shown = (await gateway.client.get("/v1/health/workers")).json()["workers"]
                return {(each["service"], each["status"]) for each in shown}

            async def shows(*wanted: tuple[str, str]) -> bool:
                return set(wanted) == await workers()

            async with _worker(bus_url):
                await until(lambda: shows(("cache", "alive"), ("gateway", "alive")))
                deep = (await gateway.client.get("/v1/health/deep")).json()
                assert deep["checks"].keys() >= {"bus", "consumers", "sql", "disk"}
                assert {each["status"] for each in deep["checks"].values()} == {"healthy"}
                assert {each["consumer"] for each in deep["queue"]["queues"]} >= {"cache-archive"}
            await until(lambda: shows(("gateway", "alive")))
            score = (await gateway.client.get("/v1/health/score")).json()
            assert score["components"]["workers"] == 100 // 6

    async def test_sees_a_deleted_consumer_and_tells_people_once_and_again_when_it_is_back(
        self, built: Callable[..., Any], until, bus_url
    ):
        async with (
            _channel() as (webhook, told),
            _worker(bus_url) as worker,
            built(slack_webhook_url=webhook) as gateway,
        ):
            assert (await worker.health()).status is HealthStatus.HEALTHY
            client = await connect(bus_url)
            await client.jetstream().delete_consumer(CACHE_ARCHIVE.stream.name, CACHE_ARCHIVE.durable)

            async def unready() -> bool:
                return (await worker.health()).checks["consumers"].status is HealthStatus.UNHEALTHY

            async def queue() -> str:
                _beat_now(worker)
                return str((await gateway.client.get("/v1/health/queue")).json()["queue"])

            async def says(word: str) -> bool:
                return await queue() == word

            await until(unready)
            await until(lambda: says("unavailable"))
            await until(lambda: _told(told, "cache-archive não existe"))
            await provision(bus_url)
            await until(lambda: says("healthy"))
            await until(lambda: _told(told, "Resolvido: O consumidor cache-archive não existe"))
            assert len([text for text in told if "cache-archive" in text]) == 2
            assert (await worker.health()).status is HealthStatus.HEALTHY
            alerts = await gateway.bus.reader.range(OPS.name, "ops.v1.alert.queue_missing")
            assert [orjson.loads(each.body)["firing"] for each in alerts] == [True, False]
            await client.close()

    async def test_keeps_how_it_was(self, built: Callable[..., Any], until):
        async with built() as gateway:

            async def kept() -> Any:
                return (await gateway.client.get("/v1/metrics/history")).json()["snapshots"]

            first = (await until(kept))[0]["content"]
            assert {"overall_score", "components", "queues", "streams", "firing"} <= first.keys()
            _, searcher = await gateway.key("acme", "search")
            assert (await gateway.client.get("/v1/metrics/history", headers=searcher)).status_code == 403


class TestHolding:
    async def test_takes_no_new_message_until_it_is_released(self, bus_url: str, until):
        taken: list[str] = []

        async def take(command: Archive, _delivery: Delivery) -> AsyncIterator[Outgoing]:
            taken.append(command.search_id)
            return
            yield

        bus = Bus(url=bus_url, service="cache")
        bus.handle(CACHE_ARCHIVE, take)
        await bus.start()
        bus.hold(held=True)
        # A pull that was under way when it was held may still bring one message.
        for number in range(6):
            command = Archive(search_id=f"{number:032x}", closed_at=NOW)
            await bus.publish(CACHE_ARCHIVE.topic.message(command, dedup=str(number)))

        async def waiting() -> bool:
            return (await bus.queues())[0].pending >= 6 - CACHE_ARCHIVE.workers

        await until(waiting)
        assert len(taken) <= CACHE_ARCHIVE.workers
        assert (await bus.queues())[0].paused
        bus.hold(held=False)

        async def all_taken() -> bool:
            return len(taken) == 6

        await until(all_taken)
        await bus.stop()


def _beat_now(service: Service) -> None:
    assert service._heart is not None
    service._heart._beating.nudge()


async def _told(told: list[str], words: str) -> bool:
    return any(words in text for text in told)
