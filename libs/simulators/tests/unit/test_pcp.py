from datetime import date
from functools import cache
from typing import Any

import orjson

from simulators.faults import Fault, Kind
from simulators.pcp import Pcp
from simulators.reply import Call, Reply
from simulators.world import World

GOOD = {"dataInicial": "2026-11-11", "dataFinal": "2026-11-20", "tipoData": "1"}
FIELDS = {
    *(
        "codigoLicitacao",
        "numeroLicitacao",
        "identificacao",
        "numero",
        "resumo",
        "razaoSocial",
        "nomeUnidade",
        "status",
    ),
    *("situacao", "tipoLicitacao", "codigoSituacaoEdital", "codigoTratamentoDiferenciado", "dataHoraInicioLances"),
    *("dataHoraInicioPropostas", "dataHoraFinalPropostas", "dataHoraFinalLances", "dataHoraPublicacao", "isPublicado"),
    *("unidadeCompradora", "comprador", "urlReferencia", "statusProcessoPublico", "isExclusivoME", "isBeneficoLocal"),
}


@cache
def world() -> World:
    return World(today=date(2026, 11, 20))


def ask(*faults: Fault, **changed: str) -> Reply:
    return Pcp(world()).processos(Call(params={**GOOD, **changed}, path={}, faults=faults))


def body(reply: Reply) -> Any:
    return orjson.loads(reply.body)


def codes(reply: Reply) -> list[int]:
    return [row["codigoLicitacao"] for row in body(reply)["result"]]


class TestProcessos:
    def test_turns_all_pages_of_ten_into_the_whole(self) -> None:
        first = body(ask())
        pages = [ask(pagina=str(page)) for page in range(1, first["pageCount"] + 1)]
        found = [code for page in pages for code in codes(page)]
        assert len(found) == len(set(found)) == first["total"] > 100
        assert body(pages[-1])["nextPage"] is None
        assert (first["offset"], first["limit"], first["currentPage"], first["previousPage"]) == (1, 10, 1, None)

    def test_ignores_uf_and_codigo_and_page_size(self) -> None:
        assert body(ask(uf="SP", codigoLicitacao="1", limitePagina="50")) == body(ask())

    def test_filters_by_the_utc_day_of_publication_in_both_date_forms(self) -> None:
        reply = ask(dataInicial="2026-11-18T00:00:00.000Z", dataFinal="2026-11-18T23:59:59.999Z")
        assert reply.body == ask(dataInicial="2026-11-18", dataFinal="2026-11-18").body
        assert {row["dataHoraPublicacao"][:10] for row in body(reply)["result"]} == {"2026-11-18"}

    def test_answers_an_empty_result_when_nothing_is_found(self) -> None:
        empty = body(ask(dataInicial="2020-01-01", dataFinal="2020-01-02"))
        assert (empty["result"], empty["total"], empty["pageCount"], empty["nextPage"]) == ([], 0, 0, None)

    def test_searches_the_objeto_and_finds_nothing_with_the_prefix_of_pncp(self) -> None:
        found = body(ask(objeto="pavimenta"))
        assert 0 < found["total"] < body(ask())["total"]
        assert body(ask(objeto="[Portal de Compras Públicas] - pavimenta"))["total"] == 0

    def test_gives_every_listing_every_field(self) -> None:
        for processo in world().processos:
            listing = world().listing(processo)
            assert listing.keys() >= FIELDS, listing["codigoLicitacao"]
            assert listing["dataHoraPublicacao"].endswith("Z")

    def test_repeats_and_shifts_as_told(self) -> None:
        repeated = codes(ask(Fault(kind=Kind.REPEATED, count=2), pagina="2"))
        assert repeated == codes(ask())[-2:] + codes(ask(pagina="2"))
        shifted = ask(Fault(kind=Kind.SHIFTED), pagina="2")
        assert codes(shifted)[0] == codes(ask())[-1]
        assert body(shifted)["total"] == body(ask())["total"] + 1


class TestItens:
    def test_gives_twelve_a_page_in_their_own_envelope(self) -> None:
        pages = []
        for processo in world().processos:
            page = body(Pcp(world()).itens(Call(params={}, path={"codigo": str(processo.codigo)})))
            assert page["isLote"] is False
            pages.append(page["itens"])
        longest = max(pages, key=lambda page: int(page["total"]))
        assert longest["total"] > 12
        assert len(longest["result"]) == 12
        assert all(page["result"] for page in pages)

    def test_does_not_fail_on_an_unknown_process(self) -> None:
        page = body(Pcp(world()).itens(Call(params={}, path={"codigo": "1"})))
        assert page["itens"]["result"] == []


class TestClosedRoutes:
    def test_answer_500_and_401(self) -> None:
        call = Call(params={}, path={"codigo": "1"})
        assert (Pcp(world()).documentos(call).status, Pcp(world()).edital(call).status) == (500, 401)
