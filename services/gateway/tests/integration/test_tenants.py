"""What a key opens: its tenant's searches on every route, its scopes, and nothing once it is revoked."""

import asyncio
import time
from typing import Any

import orjson
import pytest

from contracts.answer_codec import encode_answer
from contracts.places import UF
from contracts.subjects import ANSWERS_BUCKET, FILES_BUCKET
from gateway.document import document

DOCUMENT = orjson.loads(document())
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
OF_A_SEARCH = [(method, path) for method, path, _ in OPERATIONS if path.startswith("/v1/searches/{search_id}")]
"""An admin cancels anyone's search, and a signed link is its own permission: both have tests of their own."""
KEYED = [(method, path) for method, path, operation in OPERATIONS if operation["security"]]
BODY = {"ufs": ["SP"], "sector": "vestuario"}


def _address(path: str, told: Any) -> str:
    return (
        path.replace("{search_id}", told.search_id).replace("{bid_id}", told.bid_id(UF.SP, 1)).replace("{key_id}", "x")
    )


async def _whole(gateway: Any, told: Any) -> None:
    answer = await gateway.bus.put_object(ANSWERS_BUCKET, f"answers/{told.search_id}/1", encode_answer(told.answer()))
    file = await gateway.bus.put_object(FILES_BUCKET, f"files/{told.search_id}/1", b"PK-the-workbook")
    facts = (told.completed(answer), told.summary_ready(), told.spreadsheet_ready(file), told.closed())
    await gateway.tell(*told.found(), *facts)


class TestTenants:
    async def test_see_their_own_searches_on_every_route_and_no_other_on_any(self, built: Any, tell: Any) -> None:
        assert len(OF_A_SEARCH) >= 7
        async with built() as gateway:
            _, acme = await gateway.key("acme")
            _, local = await gateway.key("local")
            ours, theirs = tell("a" * 32), tell("b" * 32, tenant="acme")
            for told in (ours, theirs):
                await _whole(gateway, told)
            for method, path in OF_A_SEARCH:
                for told, mine, foreign in ((ours, local, acme), (theirs, acme, local)):
                    seen = await gateway.client.request(method, _address(path, told), headers=mine)
                    hidden = await gateway.client.request(method, _address(path, told), headers=foreign)
                    assert seen.status_code in {200, 202}, (method, path, seen.text)
                    assert (hidden.status_code, hidden.json()["code"]) == (404, "search.not_found"), (method, path)
                    assert b"uniformes" not in hidden.content

    async def test_ask_searches_of_their_own(self, built: Any) -> None:
        async with built() as gateway:
            _, acme = await gateway.key("acme")
            asked = (await gateway.client.post("/v1/searches", json=BODY, headers=acme)).json()
            address = asked["links"]["self"]
            assert (await gateway.client.get(address, headers=acme)).status_code == 200
            assert (await gateway.client.get(address)).status_code == 404
            async with built() as another:
                assert (await another.client.get(address, headers=acme)).status_code == 200
                assert (await another.client.get(address)).status_code == 404


class TestScopes:
    @pytest.mark.parametrize(
        ("scope", "opened"), [("metrics", "/v1/metrics"), ("search", "/v1/"), ("admin", "/v1/admin")]
    )
    async def test_open_their_routes_only(self, built: Any, told: Any, scope: str, opened: str) -> None:
        async with built() as gateway:
            _, key = await gateway.key("acme", scope)
            for method, path in KEYED:
                admin, metrics = path.startswith("/v1/admin"), path.startswith("/v1/metrics")
                open_here = {"metrics": metrics, "admin": admin or metrics, "search": not (admin or metrics)}[scope]
                reply = await gateway.client.request(
                    method, _address(path, told), headers={**key, "Content-Type": "application/json"}
                )
                refused = (reply.status_code, reply.json().get("code") if reply.content else None) == (
                    403,
                    "scope.missing",
                )
                assert refused is not open_here, (method, path, reply.text)

    async def test_no_key_opens_nothing(self, built: Any, told: Any) -> None:
        async with built() as gateway:
            for method, path in KEYED:
                reply = await gateway.client.request(method, _address(path, told), headers={"Authorization": ""})
                assert (reply.status_code, reply.json()["code"]) == (401, "key.missing"), (method, path)


class TestRevocation:
    async def test_ends_a_key_in_every_gateway_within_a_second(self, built: Any) -> None:
        async with built() as one, built() as other:
            key_id, acme = await one.key("acme")
            clients = (one.client, other.client)
            assert [(await each.get("/v1/sectors", headers=acme)).status_code for each in clients] == [200, 200]
            assert (await one.client.delete(f"/v1/admin/keys/{key_id}")).status_code == 204
            end = time.monotonic() + 1
            while (reply := await other.client.get("/v1/sectors", headers=acme)).status_code == 200:
                assert time.monotonic() < end
                await asyncio.sleep(0.01)
            assert (reply.status_code, reply.json()["code"]) == (401, "key.wrong")
            assert (await one.client.get("/v1/sectors", headers=acme)).status_code == 401
            (listed,) = (await one.client.get("/v1/admin/keys")).json()["keys"]
            assert (listed["id"], listed["revoked_at"] is None, "key" in listed) == (key_id, False, False)
            assert (await one.client.delete("/v1/admin/keys/nobody")).status_code == 404

    async def test_outlives_a_restart(self, built: Any) -> None:
        async with built() as gateway:
            _, acme = await gateway.key("acme")
            ended, gone = await gateway.key("acme")
            await gateway.client.delete(f"/v1/admin/keys/{ended}")
        async with built() as gateway:
            assert (await gateway.client.get("/v1/sectors", headers=acme)).status_code == 200
            assert (await gateway.client.get("/v1/sectors", headers=gone)).status_code == 401

    async def test_keeps_no_secret_in_the_database(self, built: Any, tmp_path: Any) -> None:
        async with built() as gateway:
            _, acme = await gateway.key("acme")
        secret = acme["Authorization"].rsplit("_", 1)[1].encode()
        files = [path for path in tmp_path.iterdir() if path.is_file()]
        assert any(path.name == "gateway.db" for path in files)
        assert not any(secret in path.read_bytes() for path in files)

    async def test_a_key_signs_a_browser_in(self, built: Any) -> None:
        async with built() as gateway:
            _, acme = await gateway.key("acme")
            key = acme["Authorization"].removeprefix("Bearer ")
            entered = await gateway.client.post("/entrar", data={"key": key}, headers={"Authorization": ""})
            cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0], "Authorization": ""}
            asked = await gateway.client.post("/v1/searches", json=BODY, headers=cookie)
            assert (asked.status_code, key in cookie["Cookie"]) == (202, False)
            assert (await gateway.client.get(asked.json()["links"]["self"])).status_code == 404
