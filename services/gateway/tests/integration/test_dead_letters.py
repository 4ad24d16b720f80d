"""Dead letters over a real bus: a service gives a message up, an admin reads it, and it comes back or goes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest_asyncio

from contracts.fetch import FetchClaim, FetchRange
from contracts.memory import Archive
from contracts.places import UF
from contracts.samples import NOW, SEARCH_ID
from contracts.subjects import ARCHIVE, CACHE_ARCHIVE, CLAIM, FETCHER_CLAIMS, Outgoing
from contracts.values import Modalidade, Source
from servicekit.bus import Bus
from servicekit.errors import Rejected

LETTERS = "/v1/admin/dead-letters"
COMMAND = Archive(search_id=SEARCH_ID, closed_at=NOW)
CLAIMED = CLAIM.message(
    FetchClaim(
        source=Source.PNCP, uf=UF.SP, not_after=NOW + timedelta(days=9), claimed_at=NOW,
        ranges=(FetchRange(modalidade=Modalidade.DISPENSA, day_from=date(2026, 11, 1), day_to=date(2026, 11, 2)),),
    ),
    source=Source.PNCP, uf=UF.SP,
)  # fmt: skip


def command() -> Outgoing:
    """The server remembers ids over the tests of a module."""
    return ARCHIVE.message(COMMAND, dedup=uuid4().hex)


class Worker:
    """A service that gives everything up until it is told not to."""

    def __init__(self, url: str) -> None:
        self.bus = Bus(url=url, service="cache")
        self.willing = False
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.done: list[Any] = []
        for consumer in (CACHE_ARCHIVE, FETCHER_CLAIMS[Source.PNCP]):
            self.bus.handle(consumer, self._handle)

    async def _handle(self, command: Any, _delivery: Any) -> AsyncIterator[Any]:
        if not self.willing:
            raise Rejected("test.refused", "hoje\nnada")
        await self.go_on.wait()
        self.done.append(command)
        return
        yield


@pytest_asyncio.fixture
async def worker(bus_url: str) -> AsyncIterator[Worker]:
    worker = Worker(bus_url)
    await worker.bus.start()
    yield worker
    await worker.bus.stop()


async def listed(gateway: Any, **query: Any) -> list[dict[str, Any]]:
    reply = await gateway.client.get(LETTERS, params=query)
    assert reply.status_code == 200, reply.text
    return list(reply.json()["letters"])


class TestDeadLetters:
    async def test_are_listed_opened_tried_again_and_gone(self, built, until, worker):
        async with built() as gateway:
            await worker.bus.publish(command())
            (letter,) = await until(lambda: listed(gateway))
            assert (letter["consumer"], letter["subject"]) == ("cache-archive", "work.cache.archive.v1")
            assert (letter["reason"], letter["detail"], letter["tries"]) == ("test.refused", "hoje nada", 0)
            place = f"{LETTERS}/{letter['sequence']}"
            assert (await gateway.client.get(place)).json()["content"]["search_id"] == SEARCH_ID

            worker.willing = True
            assert (await gateway.client.post(f"{place}/retry")).status_code == 204
            await until(lambda: asyncio.sleep(0, worker.done))
            assert worker.done == [COMMAND]
            assert await listed(gateway) == []
            for method, path in (("GET", place), ("POST", f"{place}/retry"), ("DELETE", place)):
                assert (await gateway.client.request(method, path)).json()["code"] == "letter.not_found"

    async def test_come_back_when_they_fail_again_and_can_be_thrown_away(self, built, until, worker):
        async with built() as gateway:
            await worker.bus.publish(command())
            (first,) = await until(lambda: listed(gateway))
            assert (await gateway.client.post(f"{LETTERS}/{first['sequence']}/retry")).status_code == 204
            (second,) = await until(lambda: listed(gateway, after=first["sequence"]))
            assert second["subject"] == first["subject"]
            assert (await gateway.client.delete(f"{LETTERS}/{second['sequence']}")).status_code == 204
            assert await listed(gateway) == []

    async def test_are_listed_per_consumer_and_page_by_page(self, built, until, worker):
        async with built() as gateway:
            for _ in range(5):
                await worker.bus.publish(command())

            async def all_five() -> bool:
                return len(await listed(gateway)) == 5

            await until(all_five)
            pages: list[list[int]] = []
            after = 0
            while after is not None:
                query = {"consumer": "cache-archive", "limit": 2, "after": after}
                page = (await gateway.client.get(LETTERS, params=query)).json()
                pages.append([each["sequence"] for each in page["letters"]])
                after = page["next_after"]
            assert [len(page) for page in pages] == [2, 2, 1, 0]
            found = [sequence for page in pages for sequence in page]
            assert found == sorted(set(found))
            assert await listed(gateway, consumer="cache-gather") == []

    async def test_stay_while_nobody_serves_their_consumer(self, built, until, worker):
        async with built() as gateway:
            await worker.bus.publish(command())
            (letter,) = await until(lambda: listed(gateway))
            await worker.bus.stop()
            refused = await gateway.client.post(f"{LETTERS}/{letter['sequence']}/retry")
            assert (refused.status_code, refused.json()["code"]) == (503, "bus.unavailable")
            assert len(await listed(gateway)) == 1

    async def test_of_a_claim_wait_until_the_place_is_free(self, built, until, worker):
        async with built() as gateway:
            await worker.bus.publish(CLAIMED)
            (letter,) = await until(lambda: listed(gateway))
            retry = f"{LETTERS}/{letter['sequence']}/retry"
            worker.willing = True
            worker.go_on.clear()
            await worker.bus.publish(CLAIMED)  # another search claims the same place
            refused = await gateway.client.post(retry)
            assert (refused.status_code, refused.json()["code"]) == (409, "letter.in_flight")
            assert len(await listed(gateway)) == 1
            worker.go_on.set()

            async def taken() -> bool:
                return bool((await gateway.client.post(retry)).status_code == 204)

            await until(taken)
            await until(lambda: asyncio.sleep(0, len(worker.done) == 2))
            assert await listed(gateway) == []

    async def test_are_for_admins(self, built, until):
        async with built() as gateway:
            _, searcher = await gateway.key("acme", "search")
            assert (await gateway.client.get(LETTERS, headers=searcher)).json()["code"] == "scope.missing"
