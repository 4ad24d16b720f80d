"""PNCP's replies, recorded records among them, read without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from contracts.fetch import FetchRange
from contracts.places import UF
from contracts.values import Esfera, Licitacao, Modalidade, Situacao
from fetcher.adapters.http import LARGEST_BODY, SourceHttp
from fetcher.adapters.pncp import PncpReader
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.listing import END_OF_LIST, Listing, PageAsk

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECORDS: list[dict[str, Any]] = [json.loads(line) for line in (FIXTURES / "pncp.jsonl").read_text("utf-8").splitlines()]
PREGOES = FetchRange(modalidade=Modalidade.PREGAO_ELETRONICO, day_from=date(2026, 11, 11), day_to=date(2026, 11, 20))
SPURIOUS = [
    "Período inicial e final maior que 365 dias.",
    "Data Inicial deve ser anterior ou igual à Data Final",
]


def ask(page: int = 1, *, wanted: FetchRange = PREGOES, uf: UF | None = UF.SP) -> PageAsk:
    return PageAsk(uf=uf, range=wanted, page=page)


async def read(
    answer: Callable[[httpx.Request], httpx.Response], asked: PageAsk | None = None, *, within: float = 30
) -> Listing:
    async with SourceHttp("https://pncp.gov.br/api/consulta", transport=httpx.MockTransport(answer)) as http:
        return await PncpReader(http).read(asked or ask(), within=timedelta(seconds=within))


def envelope(records: list[Any], *, total: int | None = None) -> dict[str, Any]:
    count = len(records) if total is None else total
    return {
        "data": records,
        "totalRegistros": count,
        "totalPaginas": -(-count // 50),
        "numeroPagina": 1,
        "paginasRestantes": 0,
        "empty": not records,
    }


async def bids_of(*records: Any) -> tuple[Licitacao, ...]:
    return (await read(lambda _: httpx.Response(200, json=envelope(list(records))))).bids


async def bid_of(**changes: Any) -> Licitacao:
    [bid] = await bids_of({**RECORDS[0], **changes})
    return bid


async def failure_of(answer: Callable[[httpx.Request], httpx.Response], asked: PageAsk | None = None) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as failed:
        await read(answer, asked)
    return failed.value


class TestRequest:
    async def test_asks_for_one_uf_and_modalidade_as_the_source_spells_it(self) -> None:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(204)

        await read(answer, ask(page=3))
        [request] = seen
        assert request.url.path == "/api/consulta/v1/contratacoes/publicacao"
        assert dict(request.url.params) == {
            "dataInicial": "20261111",
            "dataFinal": "20261120",
            "codigoModalidadeContratacao": "6",
            "uf": "SP",
            "pagina": "3",
            "tamanhoPagina": "50",
        }

    async def test_asks_what_is_open_by_its_last_day_and_always_with_a_modalidade(self) -> None:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(204)

        day = date(2026, 11, 20)
        listed = FetchRange(modalidade=Modalidade.DISPENSA, day_from=day, day_to=day, open_today=True)
        await read(answer, ask(wanted=listed))
        [request] = seen
        assert request.url.path == "/api/consulta/v1/contratacoes/proposta"
        assert dict(request.url.params) == {
            "dataFinal": "20271120",
            "codigoModalidadeContratacao": "8",
            "uf": "SP",
            "pagina": "1",
            "tamanhoPagina": "50",
        }

    async def test_asks_what_was_changed_as_what_was_published(self) -> None:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(204)

        await read(answer, ask(wanted=PREGOES.model_copy(update={"updated": True})))
        [request] = seen
        assert request.url.path == "/api/consulta/v1/contratacoes/atualizacao"
        assert (request.url.params["dataInicial"], request.url.params["dataFinal"]) == ("20261111", "20261120")

    async def test_names_itself_as_a_browser_does(self) -> None:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(204)

        await read(answer)
        [request] = seen
        assert request.headers["Accept"] == "application/json"
        assert request.headers["User-Agent"].startswith("Mozilla/5.0")

    @pytest.mark.parametrize(
        "asked",
        [
            ask(uf=None),
            ask(wanted=PREGOES.model_copy(update={"modalidade": None})),
            ask(wanted=PREGOES.model_copy(update={"day_to": date(2026, 11, 1)})),
            ask(wanted=PREGOES.model_copy(update={"day_from": date(2025, 1, 1)})),
        ],
    )
    async def test_asks_nothing_that_the_source_must_refuse(self, asked: PageAsk) -> None:
        failure = await failure_of(lambda _: pytest.fail("asked"), asked)
        assert (failure.code, failure.again) == ("range.not_askable", False)


class TestRecords:
    async def test_reads_every_recorded_record(self) -> None:
        listing = await read(lambda _: httpx.Response(200, json=envelope(RECORDS)))
        assert (len(listing.bids), listing.skipped) == (len(RECORDS), 0)
        assert [bid.id for bid in listing.bids] == [record["numeroControlePNCP"] for record in RECORDS]
        assert all("\r" not in bid.objeto and not bid.objeto.startswith(("[", " ")) for bid in listing.bids)
        assert {bid.situacao for bid in listing.bids} == {
            Situacao.DIVULGADA, Situacao.REVOGADA, Situacao.ANULADA, Situacao.SUSPENSA,
        }  # fmt: skip
        assert Esfera.NAO_INFORMADA in {bid.esfera for bid in listing.bids}
        assert all((bid.link_origem or "https://").startswith(("http://", "https://")) for bid in listing.bids)
        assert sum(bid.valor_estimado is None for bid in listing.bids) >= 2
        assert all(Licitacao.model_validate_json(bid.to_json()) == bid for bid in listing.bids)

    async def test_says_of_a_record_what_the_source_says(self) -> None:
        [bid] = await bids_of(RECORDS[0])
        assert bid.id == "00059311000126-1-000219/2026"
        assert (bid.uf, bid.municipio, bid.municipio_ibge) == (UF.PA, "Tucumã", "1508084")
        assert (bid.orgao, bid.cnpj, bid.esfera) == ("FUNDACAO NACIONAL DO INDIO", "00059311000126", Esfera.FEDERAL)
        assert (bid.modalidade, bid.modalidade_nome) == (Modalidade.PREGAO_ELETRONICO, "Pregão - Eletrônico")
        assert bid.valor_estimado == Decimal(946791)
        assert bid.data_publicacao == datetime(2026, 6, 26, 10, 9, 35, tzinfo=UTC)
        assert bid.data_encerramento == datetime(2026, 7, 14, 11, 30, tzinfo=UTC)
        assert bid.link == "https://pncp.gov.br/app/editais/00059311000126/2026/219"
        assert bid.link_origem is not None
        assert bid.srp is False

    async def test_takes_a_situacao_written_as_text(self) -> None:
        assert (await bid_of(situacaoCompraId="4")).situacao is Situacao.SUSPENSA

    async def test_cuts_nanoseconds(self) -> None:
        bid = await bid_of(dataPublicacaoPncp="2026-08-12T15:44:27.878963013")
        assert bid.data_publicacao == datetime(2026, 8, 12, 18, 44, 27, 878963, tzinfo=UTC)

    async def test_strips_the_mark_of_a_platform_and_folds_white_space(self) -> None:
        bid = await bid_of(objetoCompra="[LICITANET] -  Aquisição\r\nde   café ")
        assert bid.objeto == "Aquisição de café"

    async def test_takes_zero_for_not_told(self) -> None:
        assert (await bid_of(valorTotalEstimado=0.0)).valor_estimado is None

    async def test_keeps_a_cnpj_with_letters(self) -> None:
        bid = await bid_of(
            numeroControlePNCP="12ABC34501DE35-1-000001/2026",
            orgaoEntidade={"cnpj": "12ABC34501DE35", "razaoSocial": "Prefeitura"},
        )
        assert (bid.cnpj, bid.esfera) == ("12ABC34501DE35", None)

    async def test_takes_what_may_be_missing_for_unknown(self) -> None:
        needed = ("numeroControlePNCP", "objetoCompra", "orgaoEntidade", "modalidadeId", "dataPublicacaoPncp")
        [bid] = await bids_of({key: RECORDS[0][key] for key in needed})
        assert (bid.uf, bid.data_encerramento, bid.valor_estimado, bid.srp) == (UF.SP, None, None, None)

    @pytest.mark.parametrize(
        "broken",
        [
            {"objetoCompra": None}, {"objetoCompra": " \r\n"}, {"dataPublicacaoPncp": "ontem"},
            {"numeroControlePNCP": "12345"}, {"orgaoEntidade": {"cnpj": "1", "razaoSocial": "x"}},
            {"orgaoEntidade": None}, {"modalidadeId": "seis"}, {"valorTotalEstimado": {"reais": 3}},
        ],
    )  # fmt: skip
    async def test_counts_a_broken_record_and_keeps_the_others(self, broken: dict[str, Any]) -> None:
        records = [RECORDS[0], {**RECORDS[1], **broken}, "not a record", None, RECORDS[2]]
        listing = await read(lambda _: httpx.Response(200, json=envelope(records)))
        assert [bid.id for bid in listing.bids] == [RECORDS[n]["numeroControlePNCP"] for n in (0, 2)]
        assert (listing.skipped, listing.records) == (3, 5)

    async def test_tells_an_unknown_category_once_and_keeps_the_record(self) -> None:
        odd = [{**record, "situacaoCompraId": 9, "modalidadeId": 77} for record in RECORDS[:3]]
        with capture_logs() as lines:
            bids = await bids_of(*odd)
        assert {(bid.situacao, bid.modalidade) for bid in bids} == {(Situacao.DESCONHECIDA, Modalidade.OUTRA)}
        assert sorted((line["event"], line["field"]) for line in lines) == [
            ("source_category_unknown", "modalidadeId"),
            ("source_category_unknown", "situacaoCompraId"),
        ]

    async def test_logs_no_content_of_a_record_that_it_cannot_read(self) -> None:
        with capture_logs() as lines:
            await bids_of({**RECORDS[0], "modalidadeId": "fulano@example.com"})
        assert [line["event"] for line in lines] == ["source_record_unreadable"]
        assert "fulano" not in str(lines)


class TestReplies:
    async def test_takes_204_for_no_records(self) -> None:
        assert await read(lambda _: httpx.Response(204)) == END_OF_LIST

    async def test_takes_400_beyond_the_first_page_for_the_end(self) -> None:
        assert await read(lambda _: httpx.Response(400, json={"message": "x"}), ask(page=4)) == END_OF_LIST

    @pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
    async def test_does_not_ask_again_what_is_refused(self, status: int) -> None:
        failure = await failure_of(lambda _: httpx.Response(status, json={"message": "Tamanho de página inválido"}))
        assert (failure.code, failure.again) == (f"http.{status}", False)

    @pytest.mark.parametrize("message", SPURIOUS)
    async def test_asks_again_when_a_valid_period_is_called_invalid(self, message: str) -> None:
        failure = await failure_of(lambda _: httpx.Response(422, json={"message": message}))
        assert (failure.code, failure.again) == ("http.422.spurious", True)

    @pytest.mark.parametrize(
        ("response", "code"),
        [
            (httpx.Response(500, json={"status": 500}), "http.500"),
            (httpx.Response(500, text="Erro na comunicação com o banco de dados."), "http.500"),
            (httpx.Response(503, html="<html>"), "http.503"),
            (httpx.Response(200, html="<html><body>Manutenção</body></html>"), "body.html"),
            (httpx.Response(200, content=b""), "body.empty"),
            (httpx.Response(200, content=b"  \r\n"), "body.empty"),
            (httpx.Response(200, content=b'{"data": [{"a": 1}, '), "body.broken"),
            (httpx.Response(200, text="Erro na comunicação com o banco de dados."), "body.broken"),
            (httpx.Response(200, json=[]), "body.broken"),
            (httpx.Response(200, json={"totalRegistros": 3}), "body.broken"),
            (httpx.Response(200, json=envelope([], total=30)), "body.hollow"),
        ],
    )
    async def test_asks_again_after_a_passing_fault(self, response: httpx.Response, code: str) -> None:
        failure = await failure_of(lambda _: response)
        assert (failure.code, failure.again) == (code, True)

    @pytest.mark.parametrize(
        ("headers", "rest"),
        [({"Retry-After": "12"}, 12.0), ({}, 60.0), ({"Retry-After": "logo"}, 60.0), ({"Retry-After": "99999"}, 300.0)],
    )
    async def test_rests_after_429_as_long_as_asked_within_reason(self, headers: dict[str, str], rest: float) -> None:
        failure = await failure_of(lambda _: httpx.Response(429, headers=headers, html="<html>"))
        assert (failure.refused, failure.again, failure.pause.total_seconds()) == (True, True, rest)

    async def test_understands_a_retry_after_that_is_a_date(self) -> None:
        at = f"{datetime.now(UTC) + timedelta(seconds=40):%a, %d %b %Y %H:%M:%S GMT}"
        failure = await failure_of(lambda _: httpx.Response(429, headers={"Retry-After": at}))
        assert 30 < failure.pause.total_seconds() <= 40

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (httpx.ConnectError("refused"), "net.connect"),
            (httpx.ReadError("reset"), "net.broken"),
            (httpx.RemoteProtocolError("cut"), "net.broken"),
        ],
    )
    async def test_asks_again_when_the_connection_breaks(self, error: httpx.HTTPError, code: str) -> None:
        def answer(_: httpx.Request) -> httpx.Response:
            raise error

        failure = await failure_of(answer)
        assert (failure.code, failure.again) == (code, True)


class Drip(httpx.AsyncByteStream):
    """A blank every second, for ever."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(1)
            yield b" "


class Flood(httpx.AsyncByteStream):
    """Megabytes without end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY):
            yield b" " * 1024 * 1024


class TestBounds:
    def test_cut_a_body_that_drips(self, virtual: Any) -> None:
        async def dripping() -> tuple[str, float]:
            with pytest.raises(AttemptFailed) as failed:
                await read(lambda _: httpx.Response(200, stream=Drip()), within=5)
            return failed.value.code, asyncio.get_running_loop().time()

        assert virtual.run(dripping()) == ("timeout.http", 5.0)

    async def test_cut_a_body_that_never_ends(self) -> None:
        failure = await failure_of(lambda _: httpx.Response(200, stream=Flood()))
        assert (failure.code, failure.again) == ("body.too_large", False)
