"""Saved searches, triage, what is new, and the rows as files."""

import csv
import io
from typing import Any

import orjson
import pytest

from contracts.answer_codec import encode_answer
from contracts.places import UF
from contracts.subjects import ANSWERS_BUCKET

REQUEST = {"ufs": ["SP"], "sector": "vestuario"}


async def _whole(gateway: Any, told: Any) -> str:
    answer = await gateway.bus.put_object(ANSWERS_BUCKET, f"answers/{told.search_id}/1", encode_answer(told.answer()))
    await gateway.tell(*told.found(), told.completed(answer), told.closed())
    return f"/v1/searches/{told.search_id}"


class TestSavedSearches:
    async def test_are_made_changed_asked_and_forgotten_by_their_tenant_only(self, built: Any) -> None:
        async with built() as gateway:
            _, acme = await gateway.key("acme")
            body = {"name": "Uniformes", "request": REQUEST}
            made = await gateway.client.post("/v1/saved-searches", json=body)
            address = made.headers["location"]
            assert (made.status_code, (await gateway.client.get(address)).json()) == (201, made.json())
            for method in ("GET", "PUT", "DELETE"):
                more = {"json": body} if method == "PUT" else {}
                foreign = await gateway.client.request(method, address, headers=acme, **more)
                assert (foreign.status_code, foreign.json()["code"]) == (404, "saved.not_found"), method
            assert (await gateway.client.get("/v1/saved-searches", headers=acme)).json() == {"saved_searches": []}
            changed = await gateway.client.put(address, json={"name": "Outro", "request": {**REQUEST, "ufs": ["RJ"]}})
            (listed,) = (await gateway.client.get("/v1/saved-searches")).json()["saved_searches"]
            assert (listed["name"], listed["request"]["ufs"], listed) == ("Outro", ["RJ"], changed.json())
            assert (await gateway.client.delete(address)).status_code == 204
            assert (await gateway.client.get(address)).status_code == 404

    @pytest.mark.parametrize("body", [{"name": "", "request": REQUEST}, {"name": "x", "request": {"ufs": []}}, {}])
    async def test_refuse_what_could_not_be_asked(self, built: Any, body: Any) -> None:
        async with built() as gateway:
            reply = await gateway.client.post("/v1/saved-searches", json=body)
            assert (reply.status_code, reply.json()["code"]) == (422, "request.invalid")


class TestTriage:
    async def test_lasts_and_belongs_to_its_tenant(self, built: Any, told: Any) -> None:
        bids = [told.bid_id(UF.SP, n) for n in range(1, 4)]
        async with built() as gateway:
            _, acme = await gateway.key("acme")
            for bid, mark in zip(bids, ("interessa", "vista", "interessa"), strict=True):
                reply = await gateway.client.put(f"/v1/triage/{bid}", json={"mark": mark, "note": f"nota {mark}"})
                assert (reply.status_code, reply.json()["bid_id"]) == (200, bid)
            assert (await gateway.client.get(f"/v1/triage/{bids[0]}", headers=acme)).status_code == 404
            assert (await gateway.client.get("/v1/triage", headers=acme)).json()["marks"] == []
        async with built() as gateway:
            await gateway.client.put(f"/v1/triage/{bids[0]}", json={"mark": "descartada"})
            first = (await gateway.client.get("/v1/triage", params={"limit": 2})).json()
            rest = (await gateway.client.get("/v1/triage", params={"before": first["next_before"]})).json()
            assert [each["bid_id"] for each in first["marks"] + rest["marks"]] == [bids[0], bids[2], bids[1]]
            assert rest["next_before"] is None
            wanted = (await gateway.client.get("/v1/triage", params={"mark": "interessa"})).json()["marks"]
            assert [each["bid_id"] for each in wanted] == [bids[2]]
            removed = [(await gateway.client.delete(f"/v1/triage/{bids[1]}")).status_code for _ in range(2)]
            assert removed == [204, 404]


class TestNews:
    async def test_are_what_no_earlier_search_of_the_tenant_has_shown(self, built: Any, tell: Any) -> None:
        async with built() as gateway:
            first, second = [await _whole(gateway, tell(each * 32)) for each in "ab"]
            shown = (await gateway.client.get(f"{first}/results", params={"limit": 2})).json()["results"]
            assert [row["new_since_last"] for row in shown] == [True, True]
            await gateway.client.put(f"/v1/triage/{shown[0]['id']}", json={"mark": "interessa"})
            again = (await gateway.client.get(f"{first}/results")).json()["results"]
            assert [row["new_since_last"] for row in again] == [True] * 4, "what this search shows stays new in it"
            only = (await gateway.client.get(f"{second}/results", params={"new": "true"})).json()
            assert (only["results"], only["matched"], only["total"]) == ([], 0, 4)
            later = (await gateway.client.get(f"{second}/results")).json()["results"]
            assert [row["new_since_last"] for row in later] == [False] * 4
            assert {row["id"]: row["triage"] for row in later}[shown[0]["id"]] == "interessa"


class TestFiles:
    async def test_have_every_row_in_the_order_of_the_results(self, built: Any, told: Any) -> None:
        async with built() as gateway:
            address = await _whole(gateway, told)
            rows = (await gateway.client.get(f"{address}/results")).json()["results"]
            lines = await gateway.client.get(f"{address}/results.jsonl")
            assert [orjson.loads(line)["id"] for line in lines.content.splitlines()] == [row["id"] for row in rows]
            table = await gateway.client.get(f"{address}/results.csv", params={"uf": "SP"})
            parsed = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig")), delimiter=";"))
            assert [row["Identificador"] for row in parsed] == [row["id"] for row in rows if row["uf"] == "SP"]
            assert {row["Valor estimado"] for row in parsed} == {"1000"}
            assert table.headers["content-disposition"].endswith('.csv"')

    async def test_wait_for_the_end_of_the_search(self, built: Any, told: Any) -> None:
        async with built() as gateway:
            await gateway.tell(*told.found())
            reply = await gateway.client.get(f"/v1/searches/{told.search_id}/results.csv")
            assert (reply.status_code, reply.json()["code"]) == (409, "search.running")
