"""Answers first: a stored answer goes out at once, and is made anew beside it, over a real bus, Redis and files."""

import asyncio
import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from contracts.answer import Answer
from contracts.answer_codec import encode_answer
from contracts.answers import AnswerPriority, AnswerQuery, AnswerReply, ArchiveQuery, ArchiveReply
from contracts.places import UF
from contracts.stored import Level, StoredAnswer
from contracts.subjects import ANSWERS_BUCKET, ARCHIVED, REQUESTED, STORED_ANSWER
from servicekit.bus import Bus
from servicekit.shared.answers import SharedAnswers

ASKED = {"ufs": ["RJ", "SP"], "sector": "vestuario", "sources": ["pncp"], "modalidades": [6]}


class Shelf:
    """The memory as another process: it answers what it is told to, or nothing at all."""

    def __init__(self) -> None:
        self.reply = AnswerReply(answer_ref=None)
        self.archive = ArchiveReply()
        self.asked: list[AnswerQuery] = []

    async def tell(self, query: AnswerQuery) -> AnswerReply:
        self.asked.append(query)
        return self.reply

    async def tell_archive(self, _query: ArchiveQuery) -> ArchiveReply:
        return self.archive


@pytest.fixture
async def shelf(bus_url: str) -> Any:
    shelf, bus = Shelf(), Bus(url=bus_url, service="cache")
    bus.answer(STORED_ANSWER, shelf.tell)
    bus.answer(ARCHIVED, shelf.tell_archive)
    await bus.start()
    yield shelf
    await bus.stop()


def made(told: Any, *, ago: timedelta = timedelta(minutes=5)) -> Answer:
    """What a search of this very question found a while ago; its window is today's."""
    now = datetime.now(UTC)
    fresh = type(told)(search_id="ab" * 16, asked_at=now - ago)
    answer: Answer = fresh.answer()
    today = type(told)(search_id="ab" * 16, asked_at=now).query
    return answer.model_copy(update={"finished_at": now - ago, "query": today})


async def stored(gateway: Any, answer: Answer, *, due_in: timedelta = timedelta(hours=1)) -> StoredAnswer:
    packed = encode_answer(answer)
    ref = await gateway.bus.put_object(ANSWERS_BUCKET, f"answers/{answer.search_id}/1/x", packed)
    due_at = datetime.now(UTC) + due_in
    return StoredAnswer.of(answer, key=answer.query.key, ref=ref, due_at=due_at)


async def alone(gateway: Any) -> None:
    """The bus is noticed to be away."""
    async with asyncio.timeout(20):
        while gateway.bus.connected:  # noqa: ASYNC110 - the client tells of it by its state alone
            await asyncio.sleep(0.02)


class TestFreshAnswer:
    @pytest.mark.parametrize("level", list(Level))
    async def test_goes_out_at_once_and_says_where_it_lay(
        self, built: Any, shelf: Shelf, told: Any, until: Any, level: Level
    ) -> None:
        answer = made(told)
        async with built() as gateway:
            head = await stored(gateway, answer)
            shelf.reply = AnswerReply(answer_ref=head.ref, stored=head, level=level)
            reply = await gateway.client.post("/v1/searches", json=ASKED)
            view = reply.json()
            assert reply.status_code == 200
            assert (view["status"], view["response_state"]) == ("completed", "cached")
            assert view["answered_from"] == {"level": level.value, "cache_age_hours": 0.1}
            assert (view["live_fetch_in_progress"], view["coverage"]["freshness"]) == (False, "cached_fresh")
            assert view["search_id"] != answer.search_id

            place = f"/v1/searches/{view['search_id']}"
            rows = (await gateway.client.get(f"{place}/results")).json()
            assert {row["id"] for row in rows["results"]} == {row.id for row in answer.results}
            assert rows["final"]
            logged = await until(lambda: gateway.bus.last(REQUESTED.subject(search_id=view["search_id"])))
            requested = REQUESTED.decode(logged.body)
            assert (requested.stored_ref, requested.refresh, requested.stored) == (head.ref, False, head)
            assert (await gateway.client.get(place)).json()["response_state"] == "cached"

    async def test_belongs_to_whoever_asked(self, built: Any, shelf: Shelf, told: Any) -> None:
        async with built() as gateway:
            head = await stored(gateway, made(told))
            shelf.reply = AnswerReply(answer_ref=head.ref, stored=head, level=Level.DATABASE)
            _, acme = await gateway.key("acme")
            mine = (await gateway.client.post("/v1/searches", json=ASKED)).json()["search_id"]
            assert (await gateway.client.get(f"/v1/searches/{mine}/results", headers=acme)).status_code == 404
            theirs = (await gateway.client.post("/v1/searches", json=ASKED, headers=acme)).json()["search_id"]
            assert (await gateway.client.get(f"/v1/searches/{theirs}/results", headers=acme)).status_code == 200

    async def test_goes_out_to_a_tenant_whose_places_are_taken(self, built: Any, shelf: Shelf, told: Any) -> None:
        async with built(running_searches=1) as gateway:
            other = {**ASKED, "ufs": ["BA"]}
            assert (await gateway.client.post("/v1/searches", json=other)).status_code == 202
            assert (await gateway.client.post("/v1/searches", json=other)).status_code == 429
            head = await stored(gateway, made(told))
            shelf.reply = AnswerReply(answer_ref=head.ref, stored=head, level=Level.DATABASE, refresh=True)
            view = (await gateway.client.post("/v1/searches", json=ASKED)).json()
            assert (view["response_state"], view["live_fetch_in_progress"]) == ("cached", False)


class TestStaleAnswer:
    async def test_goes_out_at_once_while_it_is_made_anew(self, built: Any, shelf: Shelf, told: Any) -> None:
        answer = made(told, ago=timedelta(hours=7))
        async with built() as gateway:
            head = await stored(gateway, answer, due_in=-timedelta(hours=1))
            shelf.reply = AnswerReply(answer_ref=head.ref, stored=head, level=Level.DATABASE, refresh=True)
            reply = await gateway.client.post("/v1/searches", json=ASKED)
            view = reply.json()
            assert (reply.status_code, view["response_state"], view["live_fetch_in_progress"]) == (200, "cached", True)
            assert view["degraded"]["cache_age_hours"] == 7.0
            assert view["operational_state"] == "degraded"
            fact = await gateway.bus.last(REQUESTED.subject(search_id=view["search_id"]))
            assert REQUESTED.decode(fact.body).refresh
            rows = (await gateway.client.get(f"/v1/searches/{view['search_id']}/results")).json()
            assert {row["id"] for row in rows["results"]} == {row.id for row in answer.results}
            assert not rows["final"]

    async def test_keeps_its_rows_in_sight_while_live_ones_come(
        self, built: Any, shelf: Shelf, told: Any, tell: Any, until: Any
    ) -> None:
        answer = made(told, ago=timedelta(hours=7))
        kept = answer.model_copy(update={"results": answer.results[:1]})
        async with built() as gateway:
            head = await stored(gateway, kept, due_in=-timedelta(hours=1))
            shelf.reply = AnswerReply(answer_ref=head.ref, stored=head, level=Level.DATABASE, refresh=True)
            search_id = (await gateway.client.post("/v1/searches", json=ASKED)).json()["search_id"]
            live = tell(search_id=search_id, asked_at=datetime.now(UTC))
            await gateway.tell(live.planned(), live.gathered(UF.SP), live.judged(UF.SP))

            async def four() -> Any:
                rows = (await gateway.client.get(f"/v1/searches/{search_id}/results")).json()["results"]
                return len(rows) > 1 and rows

            rows = await until(four)
            assert kept.results[0].id in {row["id"] for row in rows}

    async def test_tells_other_listeners_of_the_same_question(
        self, built: Any, told: Any, tell: Any, until: Callable[..., Any]
    ) -> None:
        first, second = told, tell(search_id="cd" * 16, asked_at=told.asked_at)
        async with built() as gateway:
            await gateway.tell(first.requested(), first.planned(), second.requested())
            ref = await gateway.bus.put_object(ANSWERS_BUCKET, "answers/x", encode_answer(first.answer()))
            heard: list[str] = []

            async def listen() -> None:
                place = f"/v1/searches/{first.search_id}/events"
                async with gateway.client.stream("GET", place) as events:
                    async for line in events.aiter_lines():
                        heard.append(line)
                        if line.startswith("event: revalidated"):
                            return

            listening = asyncio.create_task(listen())

            async def followed() -> bool:
                return any(line.startswith("event: progress") for line in heard)

            await until(followed)
            await gateway.tell(second.completed(ref))
            async with asyncio.timeout(20):
                await listening


class TestWithoutTheMemory:
    async def test_a_search_is_made_live(self, built: Any) -> None:
        async with built() as gateway:
            reply = await gateway.client.post("/v1/searches", json=ASKED)
            assert (reply.status_code, reply.json()["answered_from"]) == (202, None)


class TestWithoutTheBus:
    async def test_answers_from_redis_while_nats_is_away(
        self, built: Any, redis: Any, nats: Any, told: Any, bus_url: str
    ) -> None:
        answer = made(told)
        async with SharedAnswers(redis.url) as shared, built(redis_url=redis.url) as gateway:
            head = await stored(gateway, answer)
            await shared.put(head, encode_answer(answer), AnswerPriority.WARM)
            await nats.kill()
            await alone(gateway)
            reply = await gateway.client.post("/v1/searches", json=ASKED)
            assert (reply.status_code, reply.json()["answered_from"]["level"]) == (200, "memory")
            place = f"/v1/searches/{reply.json()['search_id']}"
            assert (await gateway.client.get(place)).json()["status"] == "completed"
            rows = await gateway.client.get(f"{place}/results")
            assert {row["id"] for row in rows.json()["results"]} == {row.id for row in answer.results}
            other = await gateway.client.post("/v1/searches", json={**ASKED, "ufs": ["BA"]})
            assert (other.status_code, other.json()["code"]) == (503, "bus.unavailable")
            assert "retry-after" in other.headers

    async def test_answers_from_what_it_has_served_before(
        self, built: Any, nats: Any, shelf: Shelf, told: Any, tmp_path: Any, until: Any
    ) -> None:
        answer = made(told)
        async with built() as gateway:
            head = await stored(gateway, answer)
            shelf.reply = AnswerReply(answer_ref=head.ref, stored=head, level=Level.DATABASE)
            first = (await gateway.client.post("/v1/searches", json=ASKED)).json()["search_id"]
            await gateway.client.get(f"/v1/searches/{first}/results")

            async def written() -> list[Any]:
                return list((tmp_path / "served").glob("*.answer"))

            await until(written)
        async with built() as gateway:  # a new process: nothing is in its memory
            await nats.kill()
            await alone(gateway)
            view = (await gateway.client.post("/v1/searches", json=ASKED)).json()
            assert view["answered_from"]["level"] == "local"
            rows = await gateway.client.get(f"/v1/searches/{view['search_id']}/results")
            assert {row["id"] for row in rows.json()["results"]} == {row.id for row in answer.results}


class TestArchivedSearch:
    async def test_is_read_from_its_archive_once_its_log_is_gone(
        self, built: Any, shelf: Shelf, told: Any, bus_url: str
    ) -> None:
        async with built() as gateway:
            ref = await gateway.bus.put_object(ANSWERS_BUCKET, "answers/y", encode_answer(told.answer()))
            facts = (*told.found(), told.completed(ref), told.summary_ready(), told.closed())
            lines = [
                orjson.dumps(
                    {
                        "sequence": n, "subject": fact.subject, "time": told.asked_at.isoformat(),
                        "correlation_id": None, "event_id": None, "body": orjson.Fragment(fact.body),
                    }
                )
                for n, fact in enumerate(facts, 1)
            ]  # fmt: skip
            archive = await gateway.bus.put_object(
                ANSWERS_BUCKET, f"archives/{told.search_id}", gzip.compress(b"\n".join(lines))
            )
            shelf.archive = ArchiveReply(archive=archive, tenant="local", closed_at=told.asked_at)
            place = f"/v1/searches/{told.search_id}"
            view = await gateway.client.get(place)
            assert (view.status_code, view.json()["status"]) == (200, "completed")
            rows = (await gateway.client.get(f"{place}/results")).json()
            assert rows["total"] == len(told.answer().results)
            assert (await gateway.client.get(f"{place}/summary")).json()["summary"]["text"].startswith("4 licit")
            events = await gateway.client.get(f"{place}/events", headers={"Accept": "application/json"})
            assert "closed" in events.text

    async def test_is_gone_after_its_time(self, built: Any, shelf: Shelf, told: Any) -> None:
        shelf.archive = ArchiveReply(tenant="local", closed_at=told.asked_at)
        async with built() as gateway:
            for place in ("", "/results", "/summary"):
                reply = await gateway.client.get(f"/v1/searches/{told.search_id}{place}")
                assert (reply.status_code, reply.json()["code"]) == (410, "search.expired")

    async def test_never_was_when_nobody_archived_it(self, built: Any, shelf: Shelf, told: Any) -> None:
        async with built() as gateway:
            assert (await gateway.client.get(f"/v1/searches/{told.search_id}")).status_code == 404
