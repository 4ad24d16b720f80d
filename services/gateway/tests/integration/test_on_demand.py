"""The spreadsheet and the summary while no reporter lives, and the link that opens without a key."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest_asyncio
from openpyxl import load_workbook

from contracts.fold import SearchState
from contracts.report import ObjectRef
from contracts.subjects import Outgoing
from gateway.adapters.on_demand import MOST_WAITING, OnDemand
from gateway.domain.keys import LocalKey
from gateway.http import create_http
from gateway.routes.ports import Desk
from servicekit.spreadsheet.workshop import Workshop, WorkshopBroken

KEY = "farol_test_0123456789abcdef"
REF = ObjectRef(bucket="ANSWERS", name="answers/x/1", size=1, sha256="0" * 64)


@dataclass
class OneSearch:
    """A finished search of which no reporter has said anything, or only that it failed."""

    told: Any
    clock: Any
    connected: bool = True
    said: tuple[Outgoing, ...] = ()

    async def view(self, search_id: str) -> Any:
        state = SearchState(search_id)
        for sequence, outgoing in enumerate((*self.told.found(), self.told.completed(REF), *self.said), 1):
            state.apply(sequence, outgoing.value)
        return state.view(self.clock())

    async def answer(self, search_id: str) -> Any:
        return self.told.answer()

    async def summary(self, search_id: str, revision: int) -> None:
        return None

    async def spreadsheet(self, search_id: str, revision: int) -> None:
        return None

    async def failure(self, search_id: str) -> str:
        return "Não deu para gerar a planilha."

    async def query_words(self, search_id: str) -> tuple[str, ...]:
        return ("vestuario", "SP", "RJ")


@dataclass
class Http:
    client: httpx.AsyncClient
    search: OneSearch
    now: list[datetime] = field(default_factory=list)

    def later(self, **time: int) -> None:
        self.now[0] += timedelta(**time)

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(f"/v1/searches/{self.search.told.search_id}/{path}")


@pytest_asyncio.fixture
async def http(told: Any) -> AsyncIterator[Http]:
    now = [told.asked_at + timedelta(seconds=10)]
    search: Any = OneSearch(told, lambda: now[0])
    async with OnDemand() as sheets:
        desk = Desk(
            publisher=search, searches=search, key=LocalKey(KEY), clock=lambda: now[0], sheets=sheets,
            search_budget=timedelta(seconds=360), wait_max=timedelta(seconds=60), max_streams=10,
        )  # fmt: skip
        transport = httpx.ASGITransport(create_http(desk))
        bearer = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://farol", headers=bearer) as client:
            yield Http(client, search, now)


class TestWithoutAReporter:
    async def test_is_waited_for_as_long_as_one_may_take(self, http: Http) -> None:
        assert (await http.get("spreadsheet")).status_code == 202
        assert (await http.get("summary")).status_code == 202

    async def test_both_are_made_here_after_that(self, http: Http) -> None:
        http.later(seconds=16)
        sheet, summary = await http.get("spreadsheet"), await http.get("summary")

        assert (sheet.status_code, summary.status_code) == (200, 200)
        assert load_workbook(io.BytesIO(sheet.content)).worksheets[0].max_row == 1 + 4
        assert summary.json()["summary"]["method"] == "fallback"

    async def test_a_failure_of_the_reporter_is_made_good(self, http: Http) -> None:
        http.search.said = (http.search.told.spreadsheet_failed(),)
        assert (await http.get("spreadsheet")).status_code == 200


class TestSignedLink:
    async def test_opens_without_a_key_until_it_expires(self, http: Http) -> None:
        http.later(seconds=16)
        made = (await http.client.post(f"/v1/searches/{http.search.told.search_id}/spreadsheet/link")).json()
        del http.client.headers["Authorization"]

        opened = await http.client.get(made["excel_url"])
        assert (opened.status_code, opened.content[:2]) == (200, b"PK")
        forged = made["excel_url"].replace("/1.xlsx", "/2.xlsx")
        assert (await http.client.get(forged)).json()["code"] == "file.not_found"
        http.later(hours=1)
        assert (await http.client.get(made["excel_url"])).json()["code"] == "file.not_found"

    async def test_is_made_for_the_holder_of_a_key_only(self, http: Http) -> None:
        del http.client.headers["Authorization"]
        made = await http.client.post(f"/v1/searches/{http.search.told.search_id}/spreadsheet/link")
        assert made.status_code == 401


class Slow(Workshop):
    """A workshop that makes what it is told when it is told, or breaks."""

    def __init__(self) -> None:
        super().__init__(benches=1, retry_after=timedelta(seconds=1))
        self.made = 0
        self.go = asyncio.Event()
        self.broken = False

    async def make(self, packed_answer: bytes, *, limit: timedelta) -> Any:
        self.made += 1
        await self.go.wait()
        if self.broken:
            raise WorkshopBroken("reporter.worker_died")
        return type("Made", (), {"content": b"PK"})()


class TestOnDemand:
    async def test_makes_for_all_who_ask_at_once_and_afterwards_once(self, told: Any) -> None:
        slow = Slow()
        async with OnDemand(workshop=slow) as sheets:
            asking = [asyncio.create_task(sheets.make(told.answer())) for _ in range(5)]
            await asyncio.sleep(0)
            slow.go.set()
            assert await asyncio.gather(*asking) == [b"PK"] * 5
            assert await sheets.make(told.answer()) == b"PK"
        assert slow.made == 1

    async def test_takes_no_more_than_it_can_make(self, tell: Any) -> None:
        slow = Slow()
        async with OnDemand(workshop=slow) as sheets:
            answers = [tell(search_id=f"{n:032x}").answer() for n in range(MOST_WAITING + 1)]
            asking = [asyncio.create_task(sheets.make(each)) for each in answers[:-1]]
            await asyncio.sleep(0)
            assert await sheets.make(answers[-1]) is None
            slow.go.set()
            assert await asyncio.gather(*asking) == [b"PK"] * MOST_WAITING

    async def test_says_none_where_it_broke_and_tries_again_the_next_time(self, told: Any) -> None:
        slow = Slow()
        slow.go.set()
        async with OnDemand(workshop=slow) as sheets:
            slow.broken = True
            assert await sheets.make(told.answer()) is None
            slow.broken = False
            assert await sheets.make(told.answer()) == b"PK"
