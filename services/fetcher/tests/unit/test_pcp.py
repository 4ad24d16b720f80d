"""Portal de Compras Públicas' replies, recorded records among them, read without a socket."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from contracts.fetch import FetchRange
from contracts.places import UF
from contracts.values import Licitacao, Modalidade, Situacao
from fetcher.adapters.http import SourceHttp
from fetcher.adapters.pcp import PcpReader
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.listing import END_OF_LIST, Listing, PageAsk

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECORDS: list[dict[str, Any]] = [json.loads(line) for line in (FIXTURES / "pcp.jsonl").read_text("utf-8").splitlines()]
ALL = FetchRange(modalidade=None, day_from=date(2026, 11, 11), day_to=date(2026, 11, 20))


async def read(
    answer: Callable[[httpx.Request], httpx.Response], *, page: int = 1, wanted: FetchRange = ALL, uf: UF | None = None
) -> Listing:
    async with SourceHttp("https://pcp.example.gov.br", transport=httpx.MockTransport(answer)) as http:
        return await PcpReader(http).read(PageAsk(uf=uf, range=wanted, page=page), within=timedelta(seconds=30))


def envelope(records: list[Any], *, limit: int = 10, total: int | None = None) -> dict[str, Any]:
    count = len(records) if total is None else total
    return {
        "result": records,
        "offset": 1,
        "limit": limit,
        "total": count,
        "pageCount": -(-count // limit),
        "currentPage": 1,
        "nextPage": None,
        "previousPage": None,
    }


async def bid_of(**changes: Any) -> Licitacao:
    [bid] = (await read(lambda _: httpx.Response(200, json=envelope([{**RECORDS[0], **changes}])))).bids
    return bid


class TestRequest:
    async def test_asks_a_day_more_on_each_side_because_the_lists_days_are_utc(self) -> None:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, json=envelope([]))

        await read(answer, page=2)
        assert seen[0].url.path == "/v2/licitacao/processos"
        assert dict(seen[0].url.params) == {
            "tipoData": "1",
            "dataInicial": "2026-11-10",
            "dataFinal": "2026-11-21",
            "pagina": "2",
        }

    async def test_asks_what_is_open_by_its_status(self) -> None:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, json=envelope([]))

        await read(answer, wanted=ALL.model_copy(update={"day_from": ALL.day_to, "open_today": True}))
        assert dict(seen[0].url.params) == {"codigoStatus": "1", "pagina": "1"}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"uf": UF.SP},
            {"wanted": ALL.model_copy(update={"updated": True})},
            {"wanted": ALL.model_copy(update={"modalidade": Modalidade.DISPENSA})},
            {"wanted": ALL.model_copy(update={"day_to": date(2026, 1, 1)})},
        ],
    )
    async def test_asks_nothing_that_the_source_cannot_answer(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(AttemptFailed, match="not_askable"):
            await read(lambda _: pytest.fail("asked"), **wrong)


class TestRecords:
    async def test_reads_every_recorded_record(self) -> None:
        listing = await read(lambda _: httpx.Response(200, json=envelope(RECORDS)))
        assert (len(listing.bids), listing.skipped) == (len(RECORDS), 0)
        assert all(bid.cnpj is None and bid.valor_estimado is None for bid in listing.bids)
        assert [bid.objeto_truncado for bid in listing.bids] == [
            record["resumo"].strip().endswith("...") for record in RECORDS
        ]
        assert all(Licitacao.model_validate_json(bid.to_json()) == bid for bid in listing.bids)

    async def test_says_of_a_record_what_the_source_says(self) -> None:
        bid = await bid_of()
        assert (bid.id, bid.uf, bid.municipio) == ("PCP-251094", UF.RS, "Montenegro")
        assert bid.orgao == "Consórcio Intermunicipal do Vale do Caí"
        assert (bid.modalidade, bid.modalidade_nome) == (Modalidade.CREDENCIAMENTO, "Credenciamento")
        assert (bid.numero, bid.situacao) == ("02/2023", Situacao.DIVULGADA)
        assert bid.data_publicacao == datetime(2023, 8, 15, 18, 44, tzinfo=UTC)
        assert bid.data_encerramento == datetime(2024, 8, 14, 12, 0, tzinfo=UTC)
        assert bid.link == (
            "https://www.portaldecompraspublicas.com.br/processos"
            "/rs/consorcio-intermunicipal-do-vale-do-cai-3679/cred-02-2023-2023-251094"
        )

    @pytest.mark.parametrize(
        ("words", "realizacao", "modalidade"),
        [
            ("Pregão", "Eletrônico", Modalidade.PREGAO_ELETRONICO),
            ("Pregão", "Presencial", Modalidade.PREGAO_PRESENCIAL),
            ("Pregão para Registro de Preço", None, Modalidade.PREGAO_ELETRONICO),
            ("Concorrência", "Eletrônico", Modalidade.CONCORRENCIA_ELETRONICA),
            ("Concorrência", "Presencial", Modalidade.CONCORRENCIA_PRESENCIAL),
            ("Dispensa", "Presencial", Modalidade.DISPENSA),
            ("Leilão Eletrônico", None, Modalidade.LEILAO_ELETRONICO),
            ("Chamada Pública da Agricultura Familiar", None, Modalidade.CHAMADA_PUBLICA),
        ],
    )
    async def test_maps_its_modalities(self, words: str, realizacao: str | None, modalidade: Modalidade) -> None:
        tipo = {"modalidadeLicitacao": words, "tipoRealizacao": realizacao}
        assert (await bid_of(tipoLicitacao=tipo)).modalidade is modalidade

    async def test_calls_a_modality_that_maps_to_none_outra_and_tells_it_once(self) -> None:
        rce = {"modalidadeLicitacao": "RCE-Regime de Contratação Estatal"}
        odd = [{**record, "tipoLicitacao": rce} for record in RECORDS[:4]]
        with capture_logs() as lines:
            listing = await read(lambda _: httpx.Response(200, json=envelope(odd)))
        assert {bid.modalidade for bid in listing.bids} == {Modalidade.OUTRA}
        assert {bid.modalidade_nome for bid in listing.bids} == {"RCE-Regime de Contratação Estatal"}
        assert [line["field"] for line in lines] == ["modalidadeLicitacao"]

    async def test_knows_a_price_register(self) -> None:
        assert (await bid_of(tipoLicitacao={"modalidadeLicitacao": "Pregão para Registro de Preço"})).srp is True
        assert (await bid_of(tipoLicitacao={"modalidadeLicitacao": "Pregão"})).srp is None

    @pytest.mark.parametrize("uf", [None, "", " "])
    async def test_keeps_a_record_without_a_uf(self, uf: str | None) -> None:
        assert (await bid_of(unidadeCompradora={"nomeUnidadeCompradora": "X", "uf": uf})).uf is UF.XX

    @pytest.mark.parametrize(
        ("words", "situacao"),
        [
            ("Recebendo Propostas", Situacao.DIVULGADA),
            ("Em disputa", Situacao.DIVULGADA),
            ("Sessão Pública Iniciada", Situacao.DIVULGADA),
            ("Encerrado", Situacao.ENCERRADA),
            ("Suspenso - Antes da Abertura", Situacao.SUSPENSA),
            ("Revogado", Situacao.REVOGADA),
            ("Cancelado", Situacao.ANULADA),
            ("Anulado", Situacao.ANULADA),
            ("Algo novo", Situacao.DESCONHECIDA),
        ],
    )
    async def test_understands_its_status_words(self, words: str, situacao: Situacao) -> None:
        assert (await bid_of(statusProcessoPublico={"codigo": 1, "descricao": words})).situacao is situacao

    @pytest.mark.parametrize(
        "broken", [{"codigoLicitacao": None}, {"resumo": ""}, {"dataHoraPublicacao": None}, {"unidadeCompradora": 7}]
    )
    async def test_counts_a_broken_record_and_keeps_the_others(self, broken: dict[str, Any]) -> None:
        records = [RECORDS[0], {**RECORDS[1], **broken}, RECORDS[2]]
        listing = await read(lambda _: httpx.Response(200, json=envelope(records)))
        assert (len(listing.bids), listing.skipped) == (2, 1)


class TestReplies:
    async def test_follows_the_envelopes_own_page_size(self) -> None:
        listing = await read(lambda _: httpx.Response(200, json=envelope(RECORDS, limit=12, total=30)))
        assert (listing.page_size, listing.total_pages, listing.total_records) == (12, 3, 30)

    async def test_reads_the_totals_under_their_other_names(self) -> None:
        body = {"result": RECORDS[:1], "totalRegistros": 11, "totalPaginas": 2}
        listing = await read(lambda _: httpx.Response(200, json=body))
        assert (listing.total_records, listing.total_pages) == (11, 2)

    async def test_takes_an_empty_list_for_what_it_is(self) -> None:
        assert (await read(lambda _: httpx.Response(200, json=envelope([])))).records == 0

    async def test_takes_400_beyond_the_first_page_for_the_end(self) -> None:
        assert await read(lambda _: httpx.Response(400), page=9) == END_OF_LIST

    @pytest.mark.parametrize(
        ("response", "code", "again"),
        [
            (httpx.Response(401, json={}), "http.401", False),
            (httpx.Response(500, json={}), "http.500", True),
            (httpx.Response(200, html="<html>"), "body.html", True),
            (httpx.Response(200, content=b""), "body.empty", True),
            (httpx.Response(200, content=b'{"result": ['), "body.broken", True),
            (httpx.Response(200, json=envelope([], total=3)), "body.hollow", True),
        ],
    )
    async def test_names_every_fault(self, response: httpx.Response, code: str, again: bool) -> None:
        with pytest.raises(AttemptFailed) as failed:
            await read(lambda _: response)
        assert (failed.value.code, failed.value.again) == (code, again)
