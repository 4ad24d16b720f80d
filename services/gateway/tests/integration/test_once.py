"""`Idempotency-Key`: one effect, the same bytes, over two gateways and over a death."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.sql.promises import SqlPromises
from gateway.adapters.sql.schema import SCHEMA
from gateway.domain.once import Begun, InFlight, Mismatch, Reply
from servicekit.sql.database import Database

BODY = {"ufs": ["SP"], "sector": "vestuario"}
ONCE = {"Idempotency-Key": "order-1"}
NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)


class TestIdempotencyKey:
    async def test_gives_the_same_bytes_for_the_same_request_in_any_gateway(self, built: Any) -> None:
        async with built() as one, built() as other:
            replies = [await each.client.post("/v1/searches", json=BODY, headers=ONCE) for each in (one, other, one)]
            assert {(reply.status_code, reply.content, reply.headers["location"]) for reply in replies} == {
                (202, replies[0].content, replies[0].headers["location"])
            }
            assert [reply.headers.get("idempotency-replayed") for reply in replies] == [None, "true", "true"]
            assert await one.bus.last("search.v1.*.requested") is not None
            (stored,) = await one.bus.history(replies[0].json()["search_id"])
            assert stored.sequence == (await one.bus.last("search.v1.*.requested")).sequence

    async def test_refuses_another_body_and_keeps_tenants_apart(self, built: Any) -> None:
        async with built() as gateway:
            first = await gateway.client.post("/v1/searches", json=BODY, headers=ONCE)
            other = await gateway.client.post("/v1/searches", json={**BODY, "ufs": ["RJ"]}, headers=ONCE)
            assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
            _, acme = await gateway.key("acme")
            theirs = await gateway.client.post("/v1/searches", json=BODY, headers={**ONCE, **acme})
            assert theirs.json()["search_id"] != first.json()["search_id"]

    async def test_answers_409_while_the_first_is_being_served(self, built: Any, until: Any) -> None:
        async with built() as gateway:
            waiting = {**ONCE, "Prefer": "wait=2"}
            first = asyncio.create_task(gateway.client.post("/v1/searches", json=BODY, headers=waiting))
            await until(lambda: gateway.bus.last("search.v1.*.requested"))
            second = await gateway.client.post("/v1/searches", json=BODY, headers=ONCE)
            assert (second.status_code, second.json()["code"]) == (409, "idempotency.in_flight")
            assert second.headers["retry-after"] == "1"
            again = await first, await gateway.client.post("/v1/searches", json=BODY, headers=ONCE)
            assert again[0].content == again[1].content

    async def test_repeats_a_refusal_of_the_body_and_refuses_a_key_that_is_none(self, built: Any) -> None:
        async with built() as gateway:
            bad = [await gateway.client.post("/v1/searches", json={"ufs": []}, headers=ONCE) for _ in range(2)]
            assert [(reply.status_code, reply.content) for reply in bad] == [(422, bad[0].content)] * 2
            for key in ("", "x" * 256, "com espaço"):
                reply = await gateway.client.post("/v1/searches", json=BODY, headers={"Idempotency-Key": key.encode()})
                assert (reply.status_code, reply.json()["code"]) == (422, "idempotency.invalid"), key

    async def test_never_keeps_a_reply_that_shows_a_key(self, built: Any) -> None:
        async with built() as gateway:
            made = [
                (await gateway.client.post("/v1/admin/keys", json={"tenant": "acme"}, headers=ONCE)).json()["key"]
                for _ in range(2)
            ]
            assert made[0] != made[1]


class TestPromises:
    @pytest.fixture
    def clock(self) -> list[datetime]:
        return [NOW]

    @pytest.fixture
    async def promises(self, tmp_path: Path, clock: list[datetime]) -> Any:
        async with Database.of(SCHEMA, None, tmp_path) as database:
            yield SqlPromises(database, clock=lambda: clock[0])

    async def test_pass_to_the_next_with_the_same_id_when_the_first_died(self, promises: Any, clock: Any) -> None:
        first = await promises.begin("local", "k", "f")
        assert isinstance(first, Begun)
        assert await promises.begin("local", "k", "f") == InFlight()
        assert await promises.begin("local", "k", "other") == Mismatch()
        clock[0] += timedelta(minutes=3)
        assert await promises.begin("local", "k", "f") == Begun(effect_id=first.effect_id, again=True)
        assert await promises.begin("local", "k", "f") == InFlight()

    async def test_pass_on_at_once_when_the_first_failed_and_begin_anew_when_it_did_nothing(
        self, promises: Any
    ) -> None:
        first = await promises.begin("local", "k", "f")
        await promises.release("local", "k")
        assert await promises.begin("local", "k", "f") == Begun(effect_id=first.effect_id, again=True)
        await promises.forget("local", "k")
        anew = await promises.begin("local", "k", "f")
        assert (anew.again, anew.effect_id != first.effect_id) == (False, True)

    async def test_are_kept_a_day(self, promises: Any, clock: Any) -> None:
        await promises.begin("local", "k", "f")
        reply = Reply(status=202, headers={"location": "/x"}, body=b"{}\x00")
        await promises.keep("local", "k", reply)
        clock[0] += timedelta(hours=23)
        assert await promises.begin("local", "k", "f") == reply
        clock[0] += timedelta(hours=2)
        assert isinstance(await promises.begin("local", "k", "f"), Begun)

    async def test_are_begun_by_one_of_many(self, promises: Any) -> None:
        begun = await asyncio.gather(*(promises.begin("local", "k", "f") for _ in range(20)))
        assert sorted(type(each).__name__ for each in begun) == ["Begun"] + ["InFlight"] * 19
