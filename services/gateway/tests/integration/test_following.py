"""A gateway on a real bus and a real socket, with the facts published by hand as the other services would."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from contracts.answer_codec import encode_answer
from contracts.places import UF
from contracts.state import Status
from contracts.subjects import ANSWERS_BUCKET, FILES_BUCKET, Outgoing
from gateway.adapters.searches import Searches
from gateway.adapters.server import HttpServer
from gateway.adapters.stream import StreamRules
from gateway.domain.keys import LocalKey
from gateway.http import create_http
from gateway.routes.ports import Desk
from servicekit.bus import Bus
from servicekit.embedded_nats import NatsServer
from servicekit.feed import SearchFeed

KEY = "farol_test_0123456789abcdef"
RULES = StreamRules(ping=timedelta(seconds=15), life=timedelta(minutes=10))
SOON = timedelta(seconds=20)


async def until(met: Callable[[], Awaitable[Any]]) -> Any:
    """What `met` gives once it gives something."""
    async with asyncio.timeout(SOON.total_seconds()):
        while not (found := await met()):  # noqa: ASYNC110 - the other side is another process, without an event
            await asyncio.sleep(0.01)
    return found


@dataclass
class Clock:
    """Stands still until a test moves it."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Gateway:
    """One running gateway, and the hand that plays the other services."""

    bus: Bus
    searches: Searches
    server: HttpServer
    client: httpx.AsyncClient
    clock: Clock

    async def tell(self, *facts: Outgoing) -> list[int]:
        return [(await self.bus.publish(fact)).sequence for fact in facts]

    async def get(self, search_id: str, path: str = "", **more: Any) -> httpx.Response:
        return await self.client.get(f"/v1/searches/{search_id}{path}", **more)

    async def until_status(self, search_id: str, wanted: Status) -> dict[str, Any]:
        async def reached() -> Any:
            state = (await self.get(search_id)).json()
            return state if state.get("status") == wanted else None

        return dict(await until(reached))

    async def until_streams(self, count: int) -> None:
        async def reached() -> bool:
            return self.searches.streams == count

        await until(reached)

    async def until_connected(self, *, connected: bool) -> None:
        async def reached() -> bool:
            return self.bus.connected is connected

        await until(reached)

    async def events(self, search_id: str, *, after: str | None = None) -> bytes:
        """The whole stream until the server ends it."""
        headers = {"Last-Event-ID": after} if after else {}
        async with asyncio.timeout(SOON.total_seconds()):
            reply = await self.get(search_id, "/events", headers=headers)
        assert reply.status_code == 200
        return _without_prelude(reply.content)


@asynccontextmanager
async def running(
    url: str, now: datetime, *, rules: StreamRules = RULES, capacity: int = 8, frame_bytes: int = 1 << 20
) -> AsyncIterator[Gateway]:
    clock = Clock(now)
    async with AsyncExitStack() as stack:
        bus = Bus(url=url, service="gateway", publish_budget=timedelta(seconds=3))
        await bus.connect()
        stack.push_async_callback(bus.stop)
        feed = await stack.enter_async_context(SearchFeed(bus))
        searches = Searches(bus=bus, feed=feed, clock=clock, capacity=capacity, rules=rules, frame_bytes=frame_bytes)
        await stack.enter_async_context(searches)
        desk = Desk(
            publisher=bus,
            searches=searches,
            key=LocalKey(KEY),
            clock=clock,
            search_budget=timedelta(seconds=360),
            wait_max=timedelta(seconds=60),
            max_streams=4,
        )
        server = HttpServer(create_http(desk), host="127.0.0.1", port=0, before_shutdown=searches.end_streams)
        await stack.enter_async_context(server)
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)
        )
        yield Gateway(bus, searches, server, client, clock)


@pytest_asyncio.fixture
async def gateway(bus_url: str, told: Any) -> AsyncIterator[Gateway]:
    async with running(bus_url, told.asked_at + timedelta(seconds=30)) as gateway:
        yield gateway


async def _tell_all(gateway: Gateway, told: Any) -> list[int]:
    """A whole search, to the end."""
    answer = await gateway.bus.put_object(ANSWERS_BUCKET, f"answers/{told.search_id}/1", encode_answer(told.answer()))
    file = await gateway.bus.put_object(FILES_BUCKET, f"files/{told.search_id}/1", b"PK-the-workbook" * 9_000)
    return await gateway.tell(
        *told.found(), told.completed(answer), told.summary_ready(), told.spreadsheet_ready(file), told.closed()
    )  # fmt: skip


def _without_prelude(body: bytes) -> bytes:
    prelude, _, rest = body.partition(b"\n\n")
    assert prelude.startswith(b"retry: ")
    return rest


def _frames(body: bytes) -> list[bytes]:
    return [frame + b"\n\n" for frame in body.split(b"\n\n")[:-1]]


def _field(frame: bytes, name: bytes) -> str:
    return next(line[len(name) + 2 :] for line in frame.split(b"\n") if line.startswith(name + b": ")).decode()


def _names(frames: Sequence[bytes]) -> list[str]:
    return [_field(frame, b"event") for frame in frames]


class TestAsking:
    async def test_is_answered_once_the_request_lies_in_the_log(self, gateway: Gateway) -> None:
        reply = await gateway.client.post("/v1/searches", json={"ufs": ["SP"], "sector": "vestuario"})
        view = reply.json()
        (stored,) = await gateway.bus.history(view["search_id"])
        assert (reply.status_code, stored.subject) == (202, f"search.v1.{view['search_id']}.requested")
        assert stored.correlation_id == reply.headers["x-correlation-id"]
        assert (await gateway.get(view["search_id"])).json() == view

    async def test_waits_for_the_end_when_preferred(self, gateway: Gateway, tell: Any) -> None:
        asking = asyncio.create_task(
            gateway.client.post(
                "/v1/searches", json={"ufs": ["SP"], "sector": "vestuario"}, headers={"Prefer": "wait=10"}
            )
        )
        stored = await until(lambda: gateway.bus.last("search.v1.*.requested"))
        told = tell(search_id=stored.subject.split(".")[2])
        await gateway.tell(told.completed(None, status=Status.EMPTY_FAILURE))
        reply = await asking
        assert (reply.status_code, reply.json()["status"]) == (200, "empty_failure")
        assert reply.headers["preference-applied"] == "wait=10"

    async def test_answers_as_it_stands_when_the_preferred_time_is_up(self, gateway: Gateway) -> None:
        reply = await gateway.client.post(
            "/v1/searches", json={"ufs": ["SP"], "sector": "vestuario"}, headers={"Prefer": "wait=1"}
        )
        assert (reply.status_code, reply.json()["status"]) == (202, "accepted")

    async def test_bad_input_leaves_the_log_empty(self, gateway: Gateway) -> None:
        for body in ({"ufs": ["ZZ"], "sector": "vestuario"}, {"ufs": ["SP"]}):
            assert (await gateway.client.post("/v1/searches", json=body)).status_code == 422
        assert (await gateway.client.post("/v1/searches", content=b"x" * 1024 * 1024)).status_code == 413
        assert await gateway.bus.last("search.v1.*.requested") is None


class TestState:
    async def test_follows_the_facts(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(told.requested())
        assert (await gateway.get(told.search_id)).json()["status"] == "accepted"
        await gateway.tell(told.planned(), told.gathered(UF.RJ))
        state = await gateway.until_status(told.search_id, Status.RUNNING)
        assert state["coverage"]["ufs_requested"] == 2
        await gateway.tell(*told.found()[3:], told.completed(None))
        state = await gateway.until_status(told.search_id, Status.COMPLETED)
        assert (state["counts"]["accepted"], state["coverage"]["coverage_pct"]) == (4, 100)

    async def test_is_the_same_for_a_gateway_that_saw_none_of_it(
        self, gateway: Gateway, told: Any, bus_url: str
    ) -> None:
        await _tell_all(gateway, told)
        warm = (await gateway.get(told.search_id)).json()
        async with running(bus_url, gateway.clock.now) as another:
            assert (await another.get(told.search_id)).json() == warm
        assert (warm["excel_status"], warm["llm_status"], warm["progress"]) == ("ready", "ready", 100)

    async def test_of_a_search_that_nobody_took_ends_after_480_seconds(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(told.requested())
        gateway.clock.now = told.asked_at + timedelta(seconds=479)
        before = (await gateway.get(told.search_id)).json()
        gateway.clock.now = told.asked_at + timedelta(seconds=480)
        after = (await gateway.get(told.search_id)).json()
        assert (before["status"], after["status"]) == ("accepted", "empty_failure")
        (last,) = _frames(await gateway.events(told.search_id))[-1:]
        assert (_field(last, b"event"), b"id:" in last) == ("closed", False)

    async def test_is_kept_for_few_searches_and_right_for_all(self, bus_url: str, tell: Any) -> None:
        many = [tell(search_id=uuid4().hex) for _ in range(7)]
        async with running(bus_url, many[0].asked_at, capacity=1) as gateway:
            for told in many:
                await gateway.tell(*told.found())
            for told in (*many, *reversed(many)):
                assert (await gateway.get(told.search_id)).json()["counts"]["accepted"] == 4
                assert len(gateway.searches._watches) <= 4

    async def test_of_a_streamed_search_is_kept_however_many_others_are_asked_for(
        self, bus_url: str, tell: Any
    ) -> None:
        streamed, *others = [tell(search_id=uuid4().hex) for _ in range(7)]
        async with running(bus_url, streamed.asked_at, capacity=1) as gateway:
            for told in (streamed, *others):
                await gateway.tell(*told.found())
            reader = asyncio.create_task(gateway.events(streamed.search_id))
            await gateway.until_streams(1)
            for told in others:
                await gateway.get(told.search_id)
            await gateway.tell(streamed.completed(None), streamed.closed())
            assert _names(_frames(await reader))[-1] == "closed"


class TestResults:
    async def test_come_from_the_fold_while_it_runs_and_from_the_answer_afterwards(
        self, gateway: Gateway, told: Any
    ) -> None:
        await gateway.tell(*told.found())
        running_page = (await gateway.get(told.search_id, "/results")).json()
        await _tell_all(gateway, told)
        await gateway.until_status(told.search_id, Status.COMPLETED)
        final_page = (await gateway.get(told.search_id, "/results")).json()
        assert [(page["final"], page["revision"], page["total"]) for page in (running_page, final_page)] == [
            (False, 0, 4),
            (True, 1, 4),
        ]
        assert running_page["results"] == final_page["results"]
        assert [row["confidence_score"] for row in final_page["results"]] == [95, 95, 70, 70]

    async def test_are_walked_by_cursor_without_gap_or_repeat(self, gateway: Gateway, told: Any) -> None:
        await _tell_all(gateway, told)
        seen, path = [], "/results?limit=3&sort=closing"
        while path:
            page = (await gateway.get(told.search_id, path)).json()
            seen += [row["id"] for row in page["results"]]
            path = page["links"].get("next", "").removeprefix(f"/v1/searches/{told.search_id}")
        ordered = sorted(told.answer().results, key=lambda row: (row.data_encerramento, -row.confidence_score, row.id))
        assert seen == [row.id for row in ordered]

    async def test_are_filtered(self, gateway: Gateway, told: Any) -> None:
        await _tell_all(gateway, told)
        page = (await gateway.get(told.search_id, "/results?uf=SP&confidence=high&q=SAO%20jose")).json()
        assert ([row["id"] for row in page["results"]], page["matched"]) == ([told.bid_id(UF.SP, 1)], 1)

    async def test_refuse_a_cursor_that_was_never_given(self, gateway: Gateway, told: Any) -> None:
        await _tell_all(gateway, told)
        for cursor in ("x", "WzEsMl0", "e30", "===="):
            reply = await gateway.get(told.search_id, f"/results?cursor={cursor}")
            assert (reply.status_code, reply.json()["code"]) == (422, "cursor.invalid")

    async def test_of_a_search_without_answer_are_empty_and_final(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(told.requested(), told.completed(None, status=Status.EMPTY_FAILURE), told.closed())
        page = (await gateway.get(told.search_id, "/results")).json()
        assert (page["results"], page["final"], page["status"]) == ([], True, "empty_failure")

    async def test_say_when_the_answer_is_no_longer_kept(self, gateway: Gateway, told: Any) -> None:
        answer = await gateway.bus.put_object(ANSWERS_BUCKET, "a", encode_answer(told.answer()))
        await gateway.tell(*told.found(), told.completed(answer.model_copy(update={"name": "gone"})))
        reply = await gateway.get(told.search_id, "/results")
        assert (reply.status_code, reply.json()["code"]) == (410, "search.expired")


class TestExplanation:
    async def test_shows_what_led_to_a_bid(self, gateway: Gateway, told: Any) -> None:
        await _tell_all(gateway, told)
        bid_id = told.bid_id(UF.SP, 1)
        page = (await gateway.get(told.search_id, f"/results/{bid_id}/explanation")).json()
        assert (page["decision"], page["result"]["id"], page["final"]) == ("accepted", bid_id, True)
        assert page["trace"] == ["keyword: uniformes escolares", "density: 0.2"]

    async def test_shows_why_a_bid_was_left_out(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(*told.found())
        page = (await gateway.get(told.search_id, f"/results/{told.bid_id(UF.SP, 3)}/explanation")).json()
        assert (page["decision"], page["reason_code"], page["detail"], page["final"]) == (
            "rejected",
            "co_occurrence",
            "co-occurrence: uniformização + fachada",
            False,
        )

    async def test_says_when_a_bid_was_not_looked_at(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(*told.found())
        reply = await gateway.get(told.search_id, "/results/PCP-1/explanation")
        assert (reply.status_code, reply.json()["code"]) == (404, "bid.not_found")


class TestReports:
    async def test_are_told_to_be_early_on_their_way_and_ready(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(*told.found())
        paths = ("/summary", "/spreadsheet")
        early = [await gateway.get(told.search_id, path) for path in paths]
        assert [(reply.status_code, reply.json()["code"]) for reply in early] == [(409, "search.running")] * 2
        answer = await gateway.bus.put_object(ANSWERS_BUCKET, "a", encode_answer(told.answer()))
        await gateway.tell(told.completed(answer))
        await gateway.until_status(told.search_id, Status.COMPLETED)
        gateway.clock.now = told.asked_at + timedelta(seconds=10)
        on_the_way = [await gateway.get(told.search_id, path) for path in paths]
        assert [(reply.status_code, reply.json()["status"]) for reply in on_the_way] == [(202, "processing")] * 2
        file = await gateway.bus.put_object(FILES_BUCKET, "f", b"PK" + bytes(300_000))
        await gateway.tell(told.summary_ready(), told.spreadsheet_ready(file))
        summary, sheet = [await gateway.get(told.search_id, path) for path in paths]
        assert summary.json()["summary"]["text"] == "4 licitações em SP e RJ."
        assert sheet.content == b"PK" + bytes(300_000)
        assert sheet.headers["content-disposition"] == 'attachment; filename="farol-vestuario-RJ-SP-2026-11-22.xlsx"'
        assert sheet.headers["content-length"] == "300002"

    async def test_a_spreadsheet_that_failed_says_so_kindly(self, gateway: Gateway, told: Any) -> None:
        answer = await gateway.bus.put_object(ANSWERS_BUCKET, "a", encode_answer(told.answer()))
        await gateway.tell(*told.found(), told.completed(answer), told.spreadsheet_failed(), told.closed())
        reply = await gateway.get(told.search_id, "/spreadsheet")
        assert (reply.status_code, reply.json()["code"], reply.json()["detail"]) == (
            503,
            "spreadsheet.failed",
            "Não deu para gerar a planilha.",
        )

    async def test_a_search_that_closed_without_summary_is_told_in_plain_words(
        self, gateway: Gateway, told: Any
    ) -> None:
        answer = await gateway.bus.put_object(ANSWERS_BUCKET, "a", encode_answer(told.answer()))
        await gateway.tell(*told.found(), told.completed(answer), told.closed())
        reply = await gateway.get(told.search_id, "/summary")
        assert (reply.status_code, reply.json()["summary"]["method"]) == (200, "fallback")
        assert reply.json()["summary"]["text"].startswith("Foram encontradas 4 licitações de ")

    async def test_a_search_without_answer_has_none(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(told.requested(), told.completed(None, status=Status.EMPTY_FAILURE))
        for path in ("/summary", "/spreadsheet"):
            reply = await gateway.get(told.search_id, path)
            assert (reply.status_code, reply.json()["code"]) == (404, "answer.none")


class TestEventStream:
    async def test_tells_the_search_in_order_and_ends(self, gateway: Gateway, told: Any) -> None:
        await _tell_all(gateway, told)
        frames = _frames(await gateway.events(told.search_id))
        assert _names(frames) == [
            "progress", "progress", "progress", "uf_completed", "partial_results", "progress", "uf_completed",
            "partial_results", "completed", "llm_ready", "excel_ready", "closed",
        ]  # fmt: skip

    async def test_brings_each_event_as_it_happens(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(told.requested())
        async with gateway.client.stream("GET", f"/v1/searches/{told.search_id}/events") as reply:
            chunks = reply.aiter_bytes()
            body = b""
            for fact in (*told.found()[1:], told.completed(None), told.closed()):
                before = body
                await gateway.tell(fact)
                if fact.value == told.judged(UF.SP).value:
                    continue
                async with asyncio.timeout(SOON.total_seconds()):
                    while body.count(b"event: ") <= before.count(b"event: "):
                        body += await anext(chunks)
            async with asyncio.timeout(SOON.total_seconds()):
                body += b"".join([chunk async for chunk in chunks])
        assert _without_prelude(body) == await gateway.events(told.search_id)
        assert _names(_frames(_without_prelude(body)))[-1] == "closed"

    async def test_resumes_at_every_boundary_to_the_byte(self, gateway: Gateway, told: Any, bus_url: str) -> None:
        await _tell_all(gateway, told)
        whole = await gateway.events(told.search_id)
        frames = _frames(whole)
        ids = [_field(frame, b"id") for frame in frames]
        assert len(set(ids)) == len(ids)
        assert any("." in each for each in ids)
        async with running(bus_url, gateway.clock.now) as another:
            for reader in (gateway, another):
                for n, last_seen in enumerate(ids[:-1], 1):
                    rest = await reader.events(told.search_id, after=last_seen)
                    assert b"".join(frames[:n]) + rest == whole

    async def test_resumes_while_it_runs(self, gateway: Gateway, told: Any) -> None:
        facts = (*told.found(), told.completed(None), told.closed())
        await gateway.tell(*facts[:4])
        history = (await gateway.get(told.search_id, "/events", headers={"Accept": "application/json"})).json()
        readers = [
            asyncio.create_task(gateway.events(told.search_id, after=event["id"])) for event in history["events"][2:5]
        ]
        await gateway.until_streams(len(readers))
        await gateway.tell(*facts[4:])
        frames = _frames(await gateway.events(told.search_id))
        assert [_frames(await reader) for reader in readers] == [frames[3:], frames[4:], frames[5:]]

    async def test_has_nothing_left_for_who_has_seen_the_end(self, gateway: Gateway, told: Any) -> None:
        await _tell_all(gateway, told)
        last_id = _field(_frames(await gateway.events(told.search_id))[-1], b"id")
        reply = await gateway.get(told.search_id, "/events", headers={"Last-Event-ID": last_id})
        assert (reply.status_code, reply.content) == (204, b"")

    @pytest.mark.parametrize("foreign", ["0abc-7", "0abc-7.1", "nonsense", "-", "9" * 70])
    async def test_starts_again_after_an_id_of_another_life(self, gateway: Gateway, told: Any, foreign: str) -> None:
        await _tell_all(gateway, told)
        assert await gateway.events(told.search_id, after=foreign) == await gateway.events(told.search_id)

    async def test_is_the_same_from_a_log_that_no_longer_fits_the_memory(
        self, gateway: Gateway, told: Any, bus_url: str
    ) -> None:
        await _tell_all(gateway, told)
        whole = await gateway.events(told.search_id)
        frames = _frames(whole)
        async with running(bus_url, gateway.clock.now, frame_bytes=1_000) as small:
            for n in range(len(frames) - 1):
                after = _field(frames[n - 1], b"id") if n else None
                assert await small.events(told.search_id, after=after) == b"".join(frames[n:])
            (watch,) = small.searches._watches.values()
            assert watch.folded.dropped > 0
            history = await small.get(told.search_id, "/events", headers={"Accept": "application/json"})
            assert [event["id"] for event in history.json()["events"]] == [_field(frame, b"id") for frame in frames]

    async def test_as_json_is_the_same_history(self, gateway: Gateway, told: Any) -> None:
        await _tell_all(gateway, told)
        frames = _frames(await gateway.events(told.search_id))
        history = (await gateway.get(told.search_id, "/events", headers={"Accept": "application/json"})).json()
        assert [(event["id"], event["event"]) for event in history["events"]] == [
            (_field(frame, b"id"), _field(frame, b"event")) for frame in frames
        ]
        assert history["closed"] is True
        later = (await gateway.get(told.search_id, f"/events?after={history['events'][4]['id']}",
                                   headers={"Accept": "application/json"})).json()  # fmt: skip
        assert later["events"] == history["events"][5:]

    async def test_pings_and_says_reconnect_at_the_end_of_its_life(self, bus_url: str, told: Any) -> None:
        rules = StreamRules(ping=timedelta(seconds=0.05), life=timedelta(seconds=0.4))
        async with running(bus_url, told.asked_at, rules=rules) as gateway:
            await gateway.tell(told.requested())
            body = await gateway.events(told.search_id)
        assert body.count(b": ping\n\n") >= 2
        last = _frames(body)[-1]
        assert (_field(last, b"event"), b"id:" in last) == ("reconnect", False)

    async def test_is_refused_when_there_are_too_many(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(told.requested())
        gateway.searches.streams = 4
        reply = await gateway.get(told.search_id, "/events")
        assert (reply.status_code, reply.json()["code"]) == (503, "streams.full")
        gateway.searches.streams = 0

    async def test_forgets_a_listener_that_left(self, gateway: Gateway, told: Any) -> None:
        await gateway.tell(told.requested())
        async with gateway.client.stream("GET", f"/v1/searches/{told.search_id}/events") as reply:
            await anext(reply.aiter_bytes())
            assert gateway.searches.streams == 1
        await gateway.until_streams(0)


class TestShutdown:
    async def test_ends_open_streams_with_reconnect(self, bus_url: str, told: Any) -> None:
        async with running(bus_url, told.asked_at) as gateway:
            await gateway.tell(told.requested())
            readers = [asyncio.create_task(gateway.events(told.search_id)) for _ in range(3)]
            await gateway.until_streams(len(readers))
            async with asyncio.timeout(SOON.total_seconds()):
                await gateway.server.__aexit__(None, None, None)
            assert [_names(_frames(await reader)) for reader in readers] == [["progress", "reconnect"]] * 3


class TestNatsAway:
    async def test_answers_503_for_new_work_and_recovers(self, gateway: Gateway, told: Any, nats: NatsServer) -> None:
        await gateway.tell(*told.found())
        known = (await gateway.get(told.search_id)).json()
        await nats.kill()
        await gateway.until_connected(connected=False)
        body = {"ufs": ["SP"], "sector": "vestuario"}
        refused = await gateway.client.post("/v1/searches", json=body)
        assert (refused.status_code, refused.json()["code"]) == (503, "bus.unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert (await gateway.client.get("/v1/health/ready")).status_code == 503
        assert (await gateway.get(told.search_id)).json() == known
        await nats.restart()
        await gateway.until_connected(connected=True)
        assert (await gateway.client.post("/v1/searches", json=body)).status_code == 202
        assert (await gateway.client.get("/v1/health/ready")).status_code == 200

    async def test_an_open_stream_goes_on_without_a_gap(self, gateway: Gateway, told: Any, nats: NatsServer) -> None:
        facts = (*told.found(), told.completed(None), told.closed())
        await gateway.tell(*facts[:4])
        reader = asyncio.create_task(gateway.get(told.search_id, "/events"))
        await gateway.until_streams(1)
        await nats.kill()
        await gateway.until_connected(connected=False)
        await nats.restart()
        await gateway.until_connected(connected=True)
        async with asyncio.timeout(SOON.total_seconds() * 2):
            await gateway.tell(*facts[4:])
            body = _without_prelude((await reader).content)
        assert body == await gateway.events(told.search_id)
        assert _names(_frames(body))[-1] == "closed"
