"""Cancel, and what keeps one tenant from taking everything."""

import asyncio
from datetime import timedelta
from typing import Any

from contracts.state import Status

BODY = {"ufs": ["SP"], "sector": "vestuario"}


async def _ask(gateway: Any, **headers: str) -> Any:
    return await gateway.client.post("/v1/searches", json=BODY, headers=headers)


class TestRunningSearches:
    async def test_of_a_tenant_are_so_many_and_one_more_when_one_is_over(
        self, built: Any, tell: Any, until: Any
    ) -> None:
        async with built(running_searches=2) as gateway:
            first, second, third = [await _ask(gateway) for _ in range(3)]
            assert [reply.status_code for reply in (first, second, third)] == [202, 202, 429]
            assert (third.json()["code"], third.headers["retry-after"]) == ("searches.too_many", "5")
            assert third.headers["ratelimit"].endswith('"searches";r=0')
            _, acme = await gateway.key("acme")
            assert (await _ask(gateway, **acme)).status_code == 202
            told = tell(first.json()["search_id"])
            await gateway.tell(told.completed(None, status=Status.EMPTY_FAILURE))

            async def admitted() -> bool:
                return bool((await _ask(gateway)).status_code == 202)

            await until(admitted)

    async def test_asked_through_another_gateway_count_as_well(self, built: Any, until: Any) -> None:
        async with built(running_searches=2) as one, built(running_searches=2) as other:
            for _ in range(2):
                assert (await _ask(one)).status_code == 202

            async def refused() -> bool:
                return bool((await _ask(other)).status_code == 429)

            await until(refused)

    async def test_are_not_taken_on_while_requests_wait_for_a_coordinator(self, built: Any) -> None:
        async with built(longest_wait=timedelta(milliseconds=50)) as gateway:
            assert (await _ask(gateway)).status_code == 202
            await asyncio.sleep(0.1)
            reply = await _ask(gateway)
            assert (reply.status_code, reply.json()["code"]) == (503, "searches.backed_up")
            assert reply.headers["retry-after"] == "3"


class TestRequests:
    async def test_are_counted_and_refused_when_too_many(self, built: Any) -> None:
        async with built(requests_per_minute=2) as gateway:
            replies = [await gateway.client.get("/v1/sectors") for _ in range(3)]
            assert [reply.status_code for reply in replies] == [200, 200, 429]
            assert replies[0].headers["ratelimit-policy"] == '"requests";q=2;w=60'
            assert replies[1].headers["ratelimit"].startswith('"requests";r=0;t=')
            assert (replies[2].json()["code"], int(replies[2].headers["retry-after"]) <= 60) == (
                "requests.too_many",
                True,
            )
            assert (await gateway.client.get("/v1/health/ready")).status_code == 200


class TestStreams:
    async def test_of_a_tenant_are_so_many(self, built: Any, told: Any) -> None:
        async with built(streams_per_tenant=1) as gateway:
            await gateway.tell(told.requested())
            address = f"/v1/searches/{told.search_id}/events"
            async with gateway.client.stream("GET", address) as first:
                chunks = first.aiter_bytes()
                await anext(chunks)
                second = await gateway.client.get(address)
                assert (second.status_code, second.json()["code"]) == (429, "streams.too_many")
                assert second.headers["retry-after"] == "5"


class TestCancel:
    async def test_is_a_wish_in_the_log_once_however_often_it_is_asked(self, built: Any) -> None:
        async with built() as gateway:
            address = (await _ask(gateway)).json()["links"]["self"]
            replies = [await gateway.client.delete(address) for _ in range(2)]
            assert [reply.status_code for reply in replies] == [202, 202]
            stored = await gateway.bus.history(address.rsplit("/", 1)[1])
            assert [each.subject.rsplit(".", 1)[1] for each in stored] == ["requested", "cancelled"]

    async def test_of_a_search_that_is_over_says_how_it_ended(self, built: Any, told: Any) -> None:
        async with built() as gateway:
            await gateway.tell(told.requested(), told.completed(None, status=Status.EMPTY_FAILURE))
            reply = await gateway.client.delete(f"/v1/searches/{told.search_id}")
            assert (reply.status_code, reply.json()["status"]) == (200, "empty_failure")
            assert len(await gateway.bus.history(told.search_id)) == 2


class TestSlowSenders:
    async def test_are_cut_off_and_others_are_not(self, built: Any) -> None:
        async with built(headers_within=timedelta(milliseconds=200)) as gateway:
            host, port = gateway.url.removeprefix("http://").split(":")
            for first in (b"", b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: "):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(first)
                async with asyncio.timeout(10):
                    assert await reader.read() == b""
                writer.close()
            reply = await gateway.client.post("/v1/searches", json=BODY, headers={"Prefer": "wait=1"})
            assert reply.status_code == 202, "a request that is being served is not slow to be sent"


class TestOrigins:
    async def test_are_none_unless_configured(self, built: Any) -> None:
        asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        async with built() as closed, built(cors_origins=("https://a.example",)) as opened:
            replies = [await each.client.options("/v1/searches", headers=asked) for each in (closed, opened)]
            assert [each.headers.get("access-control-allow-origin") for each in replies] == [None, "https://a.example"]
            other = await opened.client.get("/v1/sectors", headers={"Origin": "https://b.example"})
            assert "access-control-allow-origin" not in other.headers
