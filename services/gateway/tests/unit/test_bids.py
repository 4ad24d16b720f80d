"""`/v1/bids/{id}`: one licitação as the memory and its source tell it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest_asyncio

from contracts.fetch import DetailsReply, Document, Item
from contracts.memory import BidChanged, BidReply
from contracts.places import UF
from contracts.subjects import DETAILS, STORED_BID
from contracts.values import Licitacao, Modalidade, Source
from gateway.domain.keys import LocalKey
from gateway.http import create_http
from gateway.routes.ports import Desk
from servicekit.errors import Unavailable

KEY = "farol_test_0123456789abcdef"
NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
ID = "12345678000190-1-000042/2026"
BID = Licitacao(
    id=ID, source=Source.PNCP, uf=UF.SP, orgao="Prefeitura", modalidade=Modalidade.PREGAO_ELETRONICO,
    modalidade_nome="Pregão", objeto="Uniformes", data_publicacao=NOW, data_encerramento=NOW + timedelta(days=9),
    link="javascript:alert(1)", link_origem="https://compras.example/42",
)  # fmt: skip
CHANGED = BidChanged(
    id=ID, source=Source.PNCP, uf=UF.SP, field="situacao", old="divulgada", new="suspensa", seen_at=NOW
)  # fmt: skip


@dataclass
class Bus:
    """A bus on which the memory and the fetcher answer, or do not."""

    connected: bool = True
    knows: bool = True
    away: set[Any] = field(default_factory=set)
    asked: list[Any] = field(default_factory=list)

    async def request(self, topic: Any, query: Any, **_more: Any) -> Any:
        self.asked.append(query)
        if topic in self.away:
            raise Unavailable("rpc.no_answer")
        if topic is STORED_BID:
            return BidReply(bid=BID, seen_at=NOW, changes=(CHANGED,)) if self.knows else BidReply(bid=None)
        return DetailsReply(
            bid_id=ID,
            items=(Item(numero=1, descricao="Camiseta", quantidade=10, unidade="UN", valor_unitario=20.5),),
            documents=(
                Document(titulo="Edital", link="https://editais.example/1"),
                Document(titulo="Mau", link="javascript:alert(1)"),
            ),
            documents_cut=True,
            fetched_at=NOW,
        )


@dataclass
class Http:
    client: httpx.AsyncClient
    bus: Bus


@pytest_asyncio.fixture
async def http() -> AsyncIterator[Http]:
    bus: Any = Bus()
    desk = Desk(
        publisher=bus, searches=bus, asker=bus, key=LocalKey(KEY), clock=lambda: NOW,
        search_budget=timedelta(seconds=360), wait_max=timedelta(seconds=60), max_streams=10,
    )  # fmt: skip
    transport = httpx.ASGITransport(create_http(desk))
    bearer = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://farol", headers=bearer) as client:
        yield Http(client, bus)


class TestBid:
    async def test_tells_the_record_its_history_its_items_and_its_documents(self, http: Http) -> None:
        told = (await http.client.get(f"/v1/bids/{ID}")).json()

        assert (told["bid"]["id"], told["bid"]["objeto"]) == (ID, "Uniformes")
        assert told["changes"] == [
            {"field": "situacao", "old": "divulgada", "new": "suspensa", "seen_at": "2026-11-22T01:00:00Z"}
        ]
        assert [item["descricao"] for item in told["details"]["items"]] == ["Camiseta"]
        assert told["links"]["calendar"] == f"/v1/bids/{ID}/calendar.ics"

    async def test_links_only_where_a_browser_may_go(self, http: Http) -> None:
        told = (await http.client.get(f"/v1/bids/{ID}")).json()

        assert (told["bid"]["link"], told["bid"]["link_origem"]) == (None, "https://compras.example/42")
        assert [each["titulo"] for each in told["details"]["documents"]] == ["Edital"]
        assert told["details"]["documents_cut"] is True

    async def test_asks_no_source_where_the_record_is_enough(self, http: Http) -> None:
        told = (await http.client.get(f"/v1/bids/{ID}?details=false")).json()

        assert told["details"] is None
        assert len(http.bus.asked) == 1

    async def test_is_told_also_while_its_source_is_away(self, http: Http) -> None:
        http.bus.away.add(DETAILS)
        reply = await http.client.get(f"/v1/bids/{ID}")

        assert reply.status_code == 200
        assert reply.json()["details"]["items"] is None
        assert reply.json()["details"]["why"] == ["details.unavailable"]

    async def test_that_nobody_knows_is_not_found(self, http: Http) -> None:
        http.bus.knows = False
        for path in (f"/v1/bids/{ID}", f"/v1/bids/{ID}/calendar.ics"):
            reply = await http.client.get(path)
            assert (reply.status_code, reply.json()["code"]) == (404, "bid.unknown")

    async def test_cannot_be_told_while_the_memory_is_away(self, http: Http) -> None:
        http.bus.away.add(STORED_BID)
        reply = await http.client.get(f"/v1/bids/{ID}")

        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")

    async def test_comes_as_a_calendar(self, http: Http) -> None:
        reply = await http.client.get(f"/v1/bids/{ID}/calendar.ics")

        assert reply.headers["Content-Type"] == "text/calendar; charset=utf-8"
        assert reply.headers["Content-Disposition"].endswith('"licitacao-12345678000190-1-000042-2026.ics"')
        assert reply.text.count("BEGIN:VEVENT") == 1
