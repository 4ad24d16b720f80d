"""Items and documents as both sources answer them, read without a socket."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from contracts.fetch import Document, Item
from fetcher.adapters.http import SourceHttp
from fetcher.adapters.pcp_details import PcpDetails
from fetcher.adapters.pncp_details import PncpDetails
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.leafing import Leaf

BID = "00059311000126-1-000004/2026"
ITEM = {
    "numeroItem": 2100054,
    "descricao": "  Camiseta   polo ",
    "materialOuServico": "M",
    "valorUnitarioEstimado": 25.5,
    "quantidade": 10.0,
    "unidadeMedida": "UN        ",
    "ncmNbsCodigo": "6109",
}
FILE = {
    "titulo": "edital-4-2026",
    "tipoDocumentoNome": "Edital",
    "url": "https://pncp.gov.br/pncp-api/v1/orgaos/00059311000126/compras/2026/4/arquivos/1",
    "dataPublicacaoPncp": "2026-11-19T10:00:00",
    "statusAtivo": True,
}
PCP_ITEM = {"codigo": 3, "descricao": "Calça", "unidade": "PÇ", "quantidade": 5, "valorReferencia": None}
Read = Callable[[SourceHttp], Awaitable[Leaf[Any]]]


async def asked(read: Read, answer: httpx.Response) -> tuple[Leaf[Any], httpx.Request]:
    requests: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answer

    async with SourceHttp("https://source.test/api", transport=httpx.MockTransport(reply)) as http:
        leaf = await read(http)
    [request] = requests
    return leaf, request


def never(_: httpx.Request) -> httpx.Response:
    pytest.fail("it was asked")


async def pncp_items(http: SourceHttp, bid_id: str = BID) -> Leaf[Item]:
    return await PncpDetails(http).items(bid_id, page=2, size=50, within=timedelta(seconds=5))


async def pncp_documents(http: SourceHttp) -> Leaf[Document]:
    return await PncpDetails(http).documents(BID, page=1, size=50, within=timedelta(seconds=5))


async def pcp_items(http: SourceHttp, bid_id: str = "PCP-448") -> Leaf[Item]:
    return await PcpDetails(http).items(bid_id, page=2, size=50, within=timedelta(seconds=5))


class TestPncpDetails:
    async def test_asks_with_a_page_size_and_a_number_without_zeros(self) -> None:
        _, request = await asked(pncp_items, httpx.Response(200, json=[ITEM]))
        assert request.url.path == "/api/v1/orgaos/00059311000126/compras/2026/4/itens"
        assert dict(request.url.params) == {"pagina": "2", "tamanhoPagina": "50"}

    async def test_reads_an_item(self) -> None:
        leaf, _ = await asked(pncp_items, httpx.Response(200, json=[ITEM]))
        item = Item(
            numero=2100054,
            descricao="Camiseta polo",
            quantidade=10,
            unidade="UN",
            valor_unitario=25.5,
            ncm="6109",
            servico=False,
        )
        assert leaf.rows == ((2100054, item),)

    @pytest.mark.parametrize("hidden", [None, 0])
    async def test_shows_no_price_where_it_is_hidden(self, hidden: object) -> None:
        leaf, _ = await asked(pncp_items, httpx.Response(200, json=[{**ITEM, "valorUnitarioEstimado": hidden}]))
        [(_, item)] = leaf.rows
        assert item is not None
        assert item.valor_unitario is None

    async def test_leaves_a_broken_item_its_place_and_tells_of_it(self) -> None:
        with capture_logs() as logs:
            leaf, _ = await asked(pncp_items, httpx.Response(200, json=[{"numeroItem": 1}, ITEM]))
        assert [row is None for _, row in leaf.rows] == [True, False]
        assert [line["event"] for line in logs] == ["source_record_unreadable"]

    @pytest.mark.parametrize("status", [204, 404])
    async def test_takes_not_found_for_an_empty_list(self, status: int) -> None:
        leaf, _ = await asked(pncp_items, httpx.Response(status))
        assert leaf.rows == ()

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            (httpx.Response(200, text=""), "body.empty"),
            (httpx.Response(200, text="<html>"), "body.html"),
            (httpx.Response(200, text='{"a": 1}'), "body.broken"),
            (httpx.Response(400), "http.400"),
            (httpx.Response(503, text="<html>"), "http.503"),
        ],
    )
    async def test_tells_a_failure_from_an_empty_list(self, answer: httpx.Response, code: str) -> None:
        with pytest.raises(AttemptFailed, match=code):
            await asked(pncp_items, answer)

    async def test_reads_a_document(self) -> None:
        leaf, request = await asked(pncp_documents, httpx.Response(200, json=[FILE]))
        assert request.url.path.endswith("/compras/2026/4/arquivos")
        [(_, document)] = leaf.rows
        assert document is not None
        assert (document.titulo, document.tipo, document.link) == ("edital-4-2026", "Edital", FILE["url"])
        assert document.publicado_em == datetime(2026, 11, 19, 13, tzinfo=UTC)

    @pytest.mark.parametrize("changed", [{"statusAtivo": False}, {"url": "javascript:alert(1)"}, {"url": None}])
    async def test_shows_no_withdrawn_document_and_no_unsafe_link(self, changed: dict[str, Any]) -> None:
        leaf, _ = await asked(pncp_documents, httpx.Response(200, json=[{**FILE, **changed}]))
        assert [row for _, row in leaf.rows] == [None]

    async def test_asks_nothing_for_an_id_that_is_no_number_of_this_source(self) -> None:
        async with SourceHttp("https://source.test", transport=httpx.MockTransport(never)) as http:
            with pytest.raises(AttemptFailed, match=r"bid\.not_askable"):
                await pncp_items(http, "PCP-448")


class TestPcpDetails:
    async def test_reads_an_item_and_how_many_pages_there_are(self) -> None:
        body = {"isLote": False, "itens": {"result": [PCP_ITEM], "pageCount": 4}}
        leaf, request = await asked(pcp_items, httpx.Response(200, json=body))
        assert request.url.path == "/api/v2/licitacao/448/itens"
        assert dict(request.url.params) == {"pagina": "2"}
        assert leaf.pages == 4
        assert leaf.rows[0][1] == Item(numero=3, descricao="Calça", quantidade=5, unidade="PÇ")

    @pytest.mark.parametrize("answer", [httpx.Response(404), httpx.Response(200, json={"itens": None})])
    async def test_reads_none_where_there_are_none(self, answer: httpx.Response) -> None:
        leaf, _ = await asked(pcp_items, answer)
        assert (leaf.rows, leaf.pages) == ((), 0)

    async def test_tells_a_failure_from_an_empty_list(self) -> None:
        with pytest.raises(AttemptFailed, match=r"http\.401"):
            await asked(pcp_items, httpx.Response(401))

    async def test_asks_nothing_for_an_id_that_is_no_number_of_this_source(self) -> None:
        async with SourceHttp("https://source.test", transport=httpx.MockTransport(never)) as http:
            with pytest.raises(AttemptFailed, match=r"bid\.not_askable"):
                await pcp_items(http, BID)
