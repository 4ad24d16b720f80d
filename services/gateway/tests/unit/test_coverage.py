"""`/v1/coverage` and `/v1/admin/backfill`: the ledger as the memory tells it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from contracts.ledger import FillReply, LedgerReply, LedgerRun, LedgerWindow
from contracts.places import UF, UFS
from contracts.query import DEFAULT_MODALIDADES
from contracts.subjects import FILL, LEDGER
from contracts.values import Modalidade, Source
from gateway.domain.keys import LocalKey
from gateway.http import create_http
from gateway.routes.ports import Desk
from servicekit.errors import Unavailable

KEY = "farol_test_0123456789abcdef"
NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
TODAY = date(2026, 11, 21)
"""In Brasília."""
RUN = LedgerRun(
    source=Source.PNCP, uf=UF.SP, day_from=TODAY, day_to=TODAY, complete=4, partial=1, failed=0, never=0, due=2,
    records=81, oldest_fetched_at=NOW,
)  # fmt: skip


@dataclass
class Memory:
    """A bus on which the memory answers, or does not."""

    connected: bool = True
    away: bool = False
    asked: list[tuple[Any, Any]] = field(default_factory=list)

    async def request(self, topic: Any, query: Any, **_more: Any) -> Any:
        if self.away:
            raise Unavailable("rpc.no_answer")
        self.asked.append((topic, query))
        if topic is LEDGER:
            return LedgerReply(runs=(RUN,), slices_asked=3, slices_complete=2, at=NOW)
        return FillReply(left=7, resting=1, claimed=2, unfinished=2)


@dataclass
class Http:
    client: httpx.AsyncClient
    memory: Memory


@pytest_asyncio.fixture
async def http() -> AsyncIterator[Http]:
    memory: Any = Memory()
    desk = Desk(
        publisher=memory, searches=memory, asker=memory, key=LocalKey(KEY), clock=lambda: NOW,
        search_budget=timedelta(seconds=360), wait_max=timedelta(seconds=60), max_streams=10,
    )  # fmt: skip
    transport = httpx.ASGITransport(create_http(desk))
    bearer = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://farol", headers=bearer) as client:
        yield Http(client, memory)


class TestCoverage:
    async def test_tells_the_whole_country_over_the_days_of_a_search(self, http: Http) -> None:
        reply = await http.client.get("/v1/coverage")
        told = reply.json()
        assert (reply.status_code, told["coverage_pct"], told["runs"][0]["complete"]) == (200, 66, 4)
        assert (told["date_from"], told["date_to"]) == ("2026-11-12", "2026-11-21")
        ((topic, window),) = http.memory.asked
        assert topic is LEDGER
        assert window == LedgerWindow(
            ufs=UFS, modalidades=DEFAULT_MODALIDADES, day_from=TODAY - timedelta(days=9), day_to=TODAY
        )

    async def test_tells_a_part_of_it(self, http: Http) -> None:
        asked = "uf=SP&uf=RJ&modalidade=6&source=pncp&date_from=2026-10-01&date_to=2026-10-31"
        assert (await http.client.get(f"/v1/coverage?{asked}")).status_code == 200
        assert http.memory.asked[0][1] == LedgerWindow(
            sources=(Source.PNCP,), ufs=(UF.SP, UF.RJ), modalidades=(Modalidade.PREGAO_ELETRONICO,),
            day_from=date(2026, 10, 1), day_to=date(2026, 10, 31),
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("asked", "parameter"),
        [
            ("date_from=2026-10-01&date_to=2026-11-01", "date_from"),
            ("date_from=2026-10-02&date_to=2026-10-01", "date_from"),
            ("uf=XX", "uf"),
            ("uf=ZZ", "uf"),
            ("cor=azul", "cor"),
        ],
    )
    async def test_refuses_what_is_no_window(self, http: Http, asked: str, parameter: str) -> None:
        reply = await http.client.get(f"/v1/coverage?{asked}")
        assert (reply.status_code, reply.json()["code"]) == (422, "request.invalid")
        assert [error["parameter"] for error in reply.json()["errors"]] == [parameter]
        assert http.memory.asked == []

    async def test_says_when_the_memory_does_not_answer(self, http: Http) -> None:
        http.memory.away = True
        reply = await http.client.get("/v1/coverage")
        assert (reply.status_code, reply.json()["code"]) == (503, "bus.unavailable")


class TestBackfill:
    async def test_has_some_of_what_is_missing_fetched(self, http: Http) -> None:
        reply = await http.client.post("/v1/admin/backfill?uf=SP&date_from=2026-10-01&date_to=2026-10-02")
        assert (reply.status_code, reply.json()) == (200, {"left": 7, "resting": 1, "claimed": 2, "unfinished": 2})
        ((topic, window),) = http.memory.asked
        assert (topic, window.ufs, window.day_from) == (FILL, (UF.SP,), date(2026, 10, 1))
