"""Every bad request is refused in Portuguese, by field, and nothing of it is published."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from contracts.subjects import Outgoing
from gateway.adapters.stream import StreamRules
from gateway.domain.keys import LocalKey
from gateway.http import create_http
from gateway.routes.ports import Desk
from servicekit.envelope import Ack
from servicekit.errors import Unavailable

KEY = "farol_test_0123456789abcdef"
NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
GOOD = {"ufs": ["SP"], "sector": "vestuario"}
SOME_ID = "9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"


@dataclass
class Published:
    """A bus that keeps what it is given."""

    connected: bool = True
    fails: Exception | None = None
    outgoing: list[Outgoing] = field(default_factory=list)

    async def publish(self, outgoing: Outgoing) -> Ack:
        if self.fails:
            raise self.fails
        self.outgoing.append(outgoing)
        return Ack(sequence=len(self.outgoing), duplicate=False)


class NoSearches:
    """Nobody asked for anything yet; `broken` makes every read a bug."""

    streams = 0
    broken = False

    def asked(self, search_id: str) -> None:
        self.last_asked = search_id

    def __getattr__(self, name: str) -> Any:
        async def read(*_args: object, **_named: object) -> None:
            if self.broken:
                raise RuntimeError("farol_test_0123456789abcdef must not leak")

        return read


@dataclass
class Http:
    client: httpx.AsyncClient
    published: Published
    searches: NoSearches

    async def ask(self, body: Any = None, **more: Any) -> httpx.Response:
        return await self.client.post("/v1/searches", **({"json": body} if body is not None else {}), **more)


@pytest_asyncio.fixture
async def http() -> AsyncIterator[Http]:
    published, searches = Published(), NoSearches()
    desk = Desk(
        publisher=published,
        searches=searches,
        key=LocalKey(KEY),
        clock=lambda: NOW,
        search_budget=timedelta(seconds=360),
        wait_max=timedelta(seconds=60),
        max_streams=10,
    )
    transport = httpx.ASGITransport(create_http(desk))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://farol", headers={"Authorization": f"Bearer {KEY}"}
    ) as client:
        yield Http(client, published, searches)


def _problem(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    problem: dict[str, Any] = reply.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:farol:problem:{code}"
    assert problem["correlation_id"] == reply.headers["x-correlation-id"]
    return problem


class TestAsking:
    async def test_publishes_the_request_with_every_default_and_answers_202(self, http: Http) -> None:
        reply = await http.ask(GOOD)
        (outgoing,) = http.published.outgoing
        requested = outgoing.value
        assert reply.status_code == 202
        assert reply.headers["location"] == f"/v1/searches/{requested.search_id}"
        assert requested.deadline - requested.created_at == timedelta(seconds=360)
        assert requested.correlation_id == reply.headers["x-correlation-id"]
        assert (requested.query.date_to - requested.query.date_from).days == 9
        assert (reply.json()["status"], reply.json()["links"]["events"]) == (
            "accepted",
            f"/v1/searches/{requested.search_id}/events",
        )
        assert http.searches.last_asked == requested.search_id

    async def test_keeps_a_sane_correlation_id_and_replaces_another(self, http: Http) -> None:
        kept = await http.ask(GOOD, headers={"X-Correlation-Id": "0f9d-me-again"})
        made = await http.ask(GOOD, headers={"X-Correlation-Id": "a b\tc" * 9})
        assert kept.headers["x-correlation-id"] == "0f9d-me-again"
        assert len(made.headers["x-correlation-id"]) == 32
        assert http.published.outgoing[0].value.correlation_id == "0f9d-me-again"

    async def test_answers_503_with_retry_after_while_the_bus_is_away(self, http: Http) -> None:
        http.published.connected = False
        reply = await http.ask(GOOD)
        _problem(reply, 503, "bus.unavailable")
        assert int(reply.headers["retry-after"]) > 0

    async def test_answers_503_when_the_request_may_not_have_been_stored(self, http: Http) -> None:
        http.published.fails = Unavailable("bus.no_ack")
        _problem(await http.ask(GOOD), 503, "bus.unavailable")


class TestBadFields:
    @pytest.mark.parametrize(
        ("change", "pointer", "words"),
        [
            ({"ufs": ["ZZ"]}, "#/ufs/0", "'ZZ'"),
            ({"ufs": ["SP", "XX"]}, "#/ufs", "XX não é"),
            ({"ufs": []}, "#/ufs", "pelo menos 1"),
            ({"ufs": "SP"}, "#/ufs", "lista"),
            ({"ufs": None}, "#/ufs", "lista"),
            ({"sector": "padaria"}, "#/sector", "setor desconhecido"),
            ({"sector": None}, "#/sector", "informe um setor ou termos"),
            ({"terms": ["uniforme"]}, "#/sector", "não os dois"),
            ({"date_from": "2026-11-20", "date_to": "2026-11-10"}, "#/date_from", "posterior"),
            ({"date_from": "2025-10-01", "date_to": "2026-11-04"}, "#/date_from", "365 dias"),
            ({"date_from": "20/11/2026"}, "#/date_from", "AAAA-MM-DD"),
            ({"date_from": "2026-02-30"}, "#/date_from", "AAAA-MM-DD"),
            ({"date_to": "0001-01-01"}, "#/date_to", "calendário"),
            ({"colour": "blue"}, "#/colour", "campo desconhecido"),
            ({"a/b~c": 1}, "#/a~1b~0c", "campo desconhecido"),
            ({"modalidades": [99]}, "#/modalidades/0", "99"),
            ({"modalidades": [0]}, "#/modalidades", "1 a 15"),
            ({"value_min": "-1"}, "#/value_min", "no mínimo 0"),
            ({"value_min": "muito"}, "#/value_min", "número"),
            ({"value_min": "2", "value_max": "1"}, "#/value_min", "maior que o máximo"),
            ({"value_min": "1.23456"}, "#/value_min", "4 casas"),
            ({"municipio_ibge": "35"}, "#/municipio_ibge", "formato inválido"),
            ({"esfera": "X"}, "#/esfera", "'X'"),
            ({"sort": "best"}, "#/sort", "'best'"),
            ({"force_refresh": "perhaps"}, "#/force_refresh", "true ou false"),
            ({"sector": None, "terms": ["a"]}, "#/terms/0", "2 caracteres"),
        ],
    )
    async def test_are_named_by_pointer_and_publish_nothing(
        self, http: Http, change: dict[str, Any], pointer: str, words: str
    ) -> None:
        problem = _problem(await http.ask({**GOOD, **change}), 422, "request.invalid")
        assert [(error["pointer"], words in error["message"]) for error in problem["errors"]] == [(pointer, True)]
        assert problem["detail"].endswith(problem["errors"][0]["message"])
        assert http.published.outgoing == []

    async def test_are_all_named_at_once(self, http: Http) -> None:
        problem = _problem(await http.ask({"ufs": ["ZZ"], "sector": "vestuario", "x": 1}), 422, "request.invalid")
        assert {error["pointer"] for error in problem["errors"]} == {"#/ufs/0", "#/x"}

    async def test_a_missing_field_is_named(self, http: Http) -> None:
        problem = _problem(await http.ask({"sector": "vestuario"}), 422, "request.invalid")
        assert problem["errors"] == [{"pointer": "#/ufs", "message": "campo obrigatório"}]

    async def test_a_window_is_refused_where_there_is_none(self, http: Http) -> None:
        asked = {**GOOD, "scope": "open", "date_from": "2026-02-01"}
        problem = _problem(await http.ask(asked), 422, "request.invalid")
        assert problem["errors"][0]["pointer"] == "#/date_from"
        assert http.published.outgoing == []

    @pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "sort=best", "uf=ZZ", "value_min=-1"])
    async def test_a_query_parameter_is_named(self, http: Http, query: str) -> None:
        problem = _problem(
            await http.client.get(f"/v1/searches/{SOME_ID}/results?{query}"), 422, "request.invalid"
        )  # fmt: skip
        assert [error["parameter"] for error in problem["errors"]] == [query.split("=", maxsplit=1)[0]]


class TestBadBodies:
    @pytest.mark.parametrize("body", [b"{", b"", b"{'ufs': ['SP']}", b"\xff\xfe", b"[" * 60_000, b'{"ufs": ["SP"]'])
    async def test_broken_json_is_refused(self, http: Http, body: bytes) -> None:
        reply = await http.ask(content=body, headers={"Content-Type": "application/json"})
        if body:
            _problem(reply, 400, "json.invalid")
        else:
            assert _problem(reply, 422, "request.invalid")["errors"][0]["pointer"] == "#"
        assert http.published.outgoing == []

    @pytest.mark.parametrize("body", [b"[]", b"1", b'"SP"', b"null"])
    async def test_json_that_is_no_object_is_refused(self, http: Http, body: bytes) -> None:
        reply = await http.ask(content=body, headers={"Content-Type": "application/json"})
        assert _problem(reply, 422, "request.invalid")["errors"][0]["pointer"] == "#"
        assert http.published.outgoing == []

    async def test_a_megabyte_is_refused_before_it_is_parsed(self, http: Http) -> None:
        big = b'{"ufs": ["SP"], "sector": "vestuario", "terms": "' + b"a" * 1024 * 1024
        _problem(await http.ask(content=big, headers={"Content-Type": "application/json"}), 413, "body.too_large")
        assert http.published.outgoing == []

    async def test_a_megabyte_without_its_length_is_refused(self, http: Http) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(64):
                yield b" " * 16 * 1024

        reply = await http.ask(content=pieces(), headers={"Content-Type": "application/json"})
        _problem(reply, 413, "body.too_large")

    @pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
    async def test_another_content_type_is_refused(self, http: Http, media_type: str | None) -> None:
        headers = {"Content-Type": media_type} if media_type else {}
        _problem(
            await http.ask(content=b'{"ufs": ["SP"], "sector": "vestuario"}', headers=headers),
            415, "media_type.unsupported",
        )  # fmt: skip
        assert http.published.outgoing == []


class TestUnknownPlaces:
    @pytest.mark.parametrize(
        "path", ["", "/results", "/events", "/summary", "/spreadsheet", "/results/PCP-1/explanation"]
    )
    @pytest.mark.parametrize("search_id", [SOME_ID, "nonsense", SOME_ID.upper(), "*", "a.b"])
    async def test_a_search_that_nobody_asked_for_is_not_found(self, http: Http, search_id: str, path: str) -> None:
        _problem(await http.client.get(f"/v1/searches/{search_id}{path}"), 404, "search.not_found")

    async def test_another_route_is_not_found(self, http: Http) -> None:
        _problem(await http.client.get("/v2/searches"), 404, "route.not_found")

    async def test_another_method_is_told_which_one_is_right(self, http: Http) -> None:
        reply = await http.client.put("/v1/searches", json=GOOD)
        _problem(reply, 405, "method.not_allowed")
        assert reply.headers["allow"] == "POST"

    async def test_a_bug_is_a_problem_too_and_tells_nothing(self, http: Http) -> None:
        http.searches.broken = True
        reply = await http.client.get(f"/v1/searches/{SOME_ID}")
        _problem(reply, 500, "internal")
        assert "leak" not in reply.text


class TestKey:
    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({}, "key.missing"),
            ({"Authorization": "Bearer farol_test_wrong"}, "key.wrong"),
            ({"Authorization": f"Basic {KEY}"}, "key.wrong"),
            ({"Cookie": f"farol_sessao={KEY}"}, "key.wrong"),
            ({"Cookie": "farol_sessao=é"}, "key.missing"),
            ({"Cookie": "farol_sessao=" + "0" * 64}, "key.wrong"),
        ],
    )
    async def test_is_asked_of_every_api_route_before_anything_is_read(
        self, http: Http, headers: dict[str, str], code: str
    ) -> None:
        http.client.headers.pop("authorization")
        raw = {name: value.encode() for name, value in headers.items()}
        for reply in (
            await http.ask(content=b"{", headers=raw),
            await http.client.get(f"/v1/searches/{SOME_ID}", headers=raw),  # type: ignore[arg-type]  # the same
            await http.client.get("/v1/sectors", headers=raw),  # type: ignore[arg-type]  # the same
        ):
            _problem(reply, 401, code)
            assert reply.headers["www-authenticate"].startswith("Bearer")
        assert http.published.outgoing == []

    @pytest.mark.parametrize("path", ["/v1/health", "/v1/health/live", "/v1/health/ready", "/v1/openapi.json"])
    async def test_is_not_asked_of_health_and_the_document(self, http: Http, path: str) -> None:
        http.client.headers.pop("authorization")
        assert (await http.client.get(path)).status_code == 200

    async def test_sends_a_page_to_the_sign_in(self, http: Http) -> None:
        http.client.headers.pop("authorization")
        reply = await http.client.get("/", headers={"Accept": "text/html"})
        assert (reply.status_code, reply.headers["location"]) == (303, "/entrar")

    async def test_the_link_leaves_a_cookie_that_opens_and_no_key_anywhere(self, http: Http) -> None:
        http.client.headers.pop("authorization")
        reply = await http.client.get(f"/entrar?key={KEY}")
        cookie = reply.headers["set-cookie"]
        assert (reply.status_code, reply.headers["location"]) == (303, "/")
        assert KEY not in cookie
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert (await http.client.get("/v1/sectors")).status_code == 200

    async def test_the_form_does_the_same(self, http: Http) -> None:
        http.client.headers.pop("authorization")
        wrong = await http.client.post("/entrar", data={"key": "farol_no"})
        right = await http.client.post("/entrar", data={"key": f" {KEY} "})
        assert (wrong.status_code, "Chave não reconhecida" in wrong.text) == (401, True)
        assert (right.status_code, (await http.client.get("/v1/sectors")).status_code) == (303, 200)


class TestEveryResponse:
    async def test_carries_the_headers_that_keep_a_browser_safe(self, http: Http) -> None:
        for reply in (await http.client.get("/v1/sectors"), await http.client.get("/nowhere")):
            assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["cache-control"] == "no-store"
            assert reply.headers["x-correlation-id"]


class TestHealth:
    async def test_is_ready_only_with_the_bus(self, http: Http) -> None:
        ready = await http.client.get("/v1/health/ready")
        http.published.connected = False
        away = await http.client.get("/v1/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready", "checks": {"bus": "ok"}})
        assert (away.status_code, away.json()) == (503, {"status": "not_ready", "checks": {"bus": "away"}})
        assert (await http.client.get("/v1/health/live")).status_code == 200
        assert (await http.client.get("/v1/health")).json()["queue"] == "unavailable"


class TestVocabulary:
    async def test_names_everything_a_form_needs(self, http: Http) -> None:
        words = (await http.client.get("/v1/vocabulary")).json()
        assert [len(words[name]) for name in ("sectors", "ufs", "modalidades")] == [30, 27, 15]
        assert [m["id"] for m in words["modalidades"] if m["default"]] == [4, 5, 6, 7, 8]
        assert words["ufs"][24] == {"sigla": "SP", "nome": "São Paulo", "regiao": "Sudeste"}
        assert (await http.client.get("/v1/sectors")).json()["sectors"] == words["sectors"]


class TestStreamRules:
    def test_ask_a_browser_to_come_back_soon(self) -> None:
        rules = StreamRules(ping=timedelta(seconds=15), life=timedelta(minutes=10))
        assert rules.retry < timedelta(seconds=5)
