"""Levers pulled over HTTP reach every service within seconds, are audited first, and never overwrite one another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from contracts.control import Flag
from contracts.memory import Archive
from contracts.samples import NOW
from contracts.subjects import CACHE_ARCHIVE, CANCELLED, CONTROLLED, Outgoing
from contracts.values import Source
from servicekit.bus import Bus, Delivery
from servicekit.levers import Levers
from servicekit.service import Service

WHY = {"reason": "manutenção combinada"}


class TestLevers:
    async def test_reach_a_service_and_are_audited(self, built: Callable[..., Any], until, bus_url):
        async with built() as gateway:
            levers = Levers(gateway.bus)
            await levers.start()
            before = (await gateway.client.get("/v1/admin/levers")).json()
            assert {each["on"] for each in before["flags"]} == {True}
            told = await gateway.client.put("/v1/admin/flags/llm_arbitration", json={"on": False, **WHY})
            assert told.status_code == 200
            wish = {"paused": True, "rate": 2.5, "breaker": "open", **WHY}
            assert (await gateway.client.put("/v1/admin/sources/pncp", json=wish)).status_code == 200
            assert (
                await gateway.client.put("/v1/admin/sources/pncp", json={"paused": False, **WHY})
            ).status_code == 200

            async def seen() -> bool:
                return not levers.on(Flag.LLM_ARBITRATION) and levers.control.of(Source.PNCP).rate == 2.5

            await until(seen)
            assert levers.on(Flag.VIABILITY)
            assert (levers.control.of(Source.PNCP).paused, levers.control.of(Source.PNCP).breaker) == (False, "open")
            records = (await gateway.client.get("/v1/admin/audit")).json()["records"]
            assert [(each["action"], each["subject"], each["reason"]) for each in records] == [
                ("source", "pncp", WHY["reason"]),
                ("source", "pncp", WHY["reason"]),
                ("flag", "llm_arbitration", WHY["reason"]),
            ]
            assert (records[-1]["before"], records[-1]["after"]) == ("on", "off")
            assert all("local" in each["actor"] for each in records)
            again = await gateway.client.put("/v1/admin/flags/llm_arbitration", json={"on": False, **WHY})
            assert again.status_code == 200
            assert len((await gateway.client.get("/v1/admin/audit")).json()["records"]) == 3
            await levers.stop()

    async def test_of_many_operators_at_once_are_all_kept(self, built: Callable[..., Any]):
        async with built() as gateway:
            wishes: list[tuple[str, dict[str, Any]]] = [
                ("flags/viability", {"on": False}),
                ("sources/pcp", {"rate": 3}),
                ("workers/fetcher", {"drained": True}),
            ]
            replies = await asyncio.gather(
                *(gateway.client.put(f"/v1/admin/{path}", json={**wish, **WHY}) for path, wish in wishes)
            )
            assert {reply.status_code for reply in replies} == {200}
            now = (await gateway.client.get("/v1/admin/levers")).json()
            assert {each["name"] for each in now["flags"] if not each["on"]} == {"viability"}
            assert {each["source"]: each["rate"] for each in now["sources"]} == {"pncp": None, "pcp": 3.0}
            assert now["drained"] == ["fetcher"]
            history = await gateway.bus.reader.range("KV_CONTROL", CONTROLLED.subject())
            assert len(history) == 3

    async def test_are_for_admins_with_a_reason(self, built: Callable[..., Any]):
        async with built() as gateway:
            _, searcher = await gateway.key("acme", "search")
            path = "/v1/admin/flags/viability"
            assert (await gateway.client.put(path, json={"on": False, **WHY}, headers=searcher)).status_code == 403
            for wrong in ({"on": False}, {"on": False, "reason": ""}, {"on": False, "more": 1, **WHY}):
                assert (await gateway.client.put(path, json=wrong)).status_code == 422
            assert (await gateway.client.put("/v1/admin/flags/unknown", json={"on": False, **WHY})).status_code == 422
            assert (await gateway.client.get("/v1/admin/audit")).json()["records"] == []

    async def test_stop_new_searches_and_cancel_those_that_run(self, built: Callable[..., Any], until):
        async with built() as gateway:
            asked = await gateway.client.post("/v1/searches", json={"ufs": ["SP"], "sector": "vestuario"})
            search_id = asked.json()["search_id"]
            done = await gateway.client.post(f"/v1/admin/searches/{search_id}/cancel", json=WHY)
            assert done.status_code == 202
            assert await gateway.bus.last(CANCELLED.subject(search_id=search_id)) is not None
            await gateway.client.put("/v1/admin/flags/new_searches", json={"on": False, **WHY})

            async def refused() -> bool:
                reply = await gateway.client.post("/v1/searches", json={"ufs": ["SP"], "sector": "vestuario"})
                return (reply.status_code, reply.json().get("code")) == (503, "searches.closed")

            await until(refused)
            assert (await gateway.client.get(f"/v1/searches/{search_id}")).status_code == 200
            records = (await gateway.client.get("/v1/admin/audit")).json()["records"]
            assert [each["action"] for each in records] == ["flag", "cancel"]

    async def test_drain_a_worker_and_give_it_work_again(self, built: Callable[..., Any], until, bus_url):
        taken: list[str] = []

        async def take(command: Archive, _delivery: Delivery) -> AsyncIterator[Outgoing]:
            taken.append(command.search_id)
            return
            yield

        bus = Bus(url=bus_url, service="cache")
        bus.handle(CACHE_ARCHIVE, take)
        worker = Service(name="cache", bus=bus)
        await worker.start()
        assert worker._heart is not None
        async with built() as gateway:
            path = f"/v1/admin/workers/{worker._heart.worker}"
            await gateway.client.put(path, json={"drained": True, **WHY})

            async def drained() -> bool:
                return bus.drained

            await until(drained)
            for number in range(5):
                command = Archive(search_id=f"{number:032x}", closed_at=NOW)
                await gateway.bus.publish(CACHE_ARCHIVE.topic.message(command, dedup=str(number)))

            async def waiting() -> bool:
                return (await bus.queues())[0].pending >= 5 - CACHE_ARCHIVE.workers

            await until(waiting)
            assert len(taken) <= CACHE_ARCHIVE.workers
            await gateway.client.put(path, json={"drained": False, **WHY})

            async def all_taken() -> bool:
                return len(taken) == 5

            await until(all_taken)
        await worker.stop()
