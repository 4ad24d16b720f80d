from datetime import date
from functools import cache
from typing import Any

import orjson
import pytest

from simulators.faults import Endpoint, Fault, Kind
from simulators.pncp import Pncp
from simulators.recordings import recorded
from simulators.reply import Call, Reply
from simulators.world import World

TODAY = date(2026, 11, 20)
GOOD = {
    "dataInicial": "20261111",
    "dataFinal": "20261120",
    "codigoModalidadeContratacao": "6",
    "uf": "SP",
    "pagina": "1",
    "tamanhoPagina": "50",
}


@cache
def world() -> World:
    return World(today=TODAY)


def ask(
    changed: dict[str, str | None] | None = None,
    *faults: Fault,
    endpoint: Endpoint = Endpoint.PUBLICACAO,
    needs_modalidade: bool = True,
) -> Reply:
    params = {name: value for name, value in {**GOOD, **(changed or {})}.items() if value is not None}
    answers = {known: answer for path, known, answer in Pncp(world()).routes() if "contratacoes" in path}
    return answers[endpoint](Call(params=params, path={}, faults=faults, needs_modalidade=needs_modalidade))


def body(reply: Reply) -> Any:
    return orjson.loads(reply.body)


def on(number: int, verb: Endpoint) -> tuple[Call, Any]:
    compra = world().compras[number]
    cnpj, ano, sequencial = world().identity(compra)
    call = Call(params={}, path={"cnpj": cnpj, "ano": str(ano), "sequencial": str(sequencial)})
    answer = next(answer for path, known, answer in Pncp(world()).routes() if known is verb and "numero" not in path)
    return call, answer


class TestParameterRules:
    @pytest.mark.parametrize("name", ["dataInicial", "dataFinal", "codigoModalidadeContratacao", "pagina"])
    def test_refuses_a_missing_required_parameter(self, name: str) -> None:
        reply = ask({name: None})
        assert (reply.status, body(reply)) == (
            400,
            {"status": 400, "message": f"Required parameter '{name}' is not present."},
        )

    @pytest.mark.parametrize(
        ("size", "text"), [("9", "must be greater than or equal to 10"), ("51", "Tamanho de página inválido")]
    )
    def test_refuses_a_page_size_outside_10_to_50(self, size: str, text: str) -> None:
        reply = ask({"tamanhoPagina": size})
        assert reply.status == 400
        assert text in body(reply)["message"]

    def test_refuses_reversed_dates_and_more_than_365_days_in_the_words_recorded(self) -> None:
        expected = {
            "message": "Data Inicial deve ser anterior ou igual à Data Final",
            "error": "422 UNPROCESSABLE_ENTITY",
        }
        reply = ask({"dataInicial": "20261121"})
        assert (reply.status, body(reply)) == (422, expected)
        reply = ask({"dataInicial": "20251119"})
        assert reply.status == 422
        assert body(reply)["message"] == "Período inicial e final maior que 365 dias."

    def test_accepts_exactly_365_days(self) -> None:
        assert ask({"dataInicial": "20251120"}).status == 200

    @pytest.mark.parametrize(
        "changed", [{"pagina": "0"}, {"pagina": "x"}, {"dataInicial": "2026-11-11"}, {"pagina": "-1"}]
    )
    def test_refuses_what_is_no_number_or_day(self, changed: dict[str, str]) -> None:
        assert ask(dict(changed)).status == 400

    def test_refuses_a_page_past_the_last(self) -> None:
        assert ask({"pagina": "99"}).status == 400

    def test_answers_204_without_body_when_nothing_is_found(self) -> None:
        reply = ask({"dataInicial": "20200101", "dataFinal": "20200102"})
        assert (reply.status, reply.body) == (204, b"")

    def test_asks_proposta_for_a_modalidade_only_when_switched_so(self) -> None:
        without: dict[str, str | None] = {
            "codigoModalidadeContratacao": None,
            "dataInicial": None,
            "dataFinal": "20261220",
        }
        assert ask(without, endpoint=Endpoint.PROPOSTA).status == 400
        assert ask(without, endpoint=Endpoint.PROPOSTA, needs_modalidade=False).status == 200


class TestLists:
    def test_turns_all_pages_into_the_whole_without_repeats(self) -> None:
        first = body(ask({"tamanhoPagina": "10"}))
        pages = [body(ask({"tamanhoPagina": "10", "pagina": str(n)})) for n in range(1, first["totalPaginas"] + 1)]
        ids = [bid["numeroControlePNCP"] for page in pages for bid in page["data"]]
        assert len(ids) == len(set(ids)) == first["totalRegistros"] > 30
        assert [page["paginasRestantes"] for page in pages] == list(reversed(range(len(pages))))
        assert list(first) == ["data", "totalRegistros", "totalPaginas", "numeroPagina", "paginasRestantes", "empty"]

    def test_filters_by_uf_modalidade_and_day(self) -> None:
        for bid in body(ask())["data"]:
            assert bid["unidadeOrgao"]["ufSigla"] == "SP"
            assert bid["modalidadeId"] == 6
            assert "2026-11-11" <= bid["dataPublicacaoPncp"][:10] <= "2026-11-20"

    def test_filters_by_the_rarer_parameters(self) -> None:
        cnpj = body(ask())["data"][0]["orgaoEntidade"]["cnpj"]
        assert {bid["orgaoEntidade"]["cnpj"] for bid in body(ask({"cnpj": cnpj}))["data"]} == {cnpj}

    def test_lists_updates_by_the_day_of_the_update(self) -> None:
        found = body(ask({"dataInicial": "20261120"}, endpoint=Endpoint.ATUALIZACAO))["data"]
        assert found
        assert {bid["dataAtualizacaoGlobal"][:10] for bid in found} == {"2026-11-20"}

    def test_lists_open_proposals_until_the_last_day(self) -> None:
        found = body(ask({"dataFinal": "20261130"}, endpoint=Endpoint.PROPOSTA))["data"]
        assert found
        assert all("2026-11-20" <= bid["dataEncerramentoProposta"][:10] <= "2026-11-30" for bid in found)


class TestDistortions:
    def ids(self, reply: Reply) -> list[str]:
        return [bid["numeroControlePNCP"] for bid in body(reply)["data"]]

    def test_shifts_the_second_page_by_the_records_that_came(self) -> None:
        fault = Fault(kind=Kind.SHIFTED, count=3)
        first, second = ask({}, fault), ask({"pagina": "2"}, fault)
        assert self.ids(second)[:3] == self.ids(first)[-3:]
        assert body(second)["totalRegistros"] == body(ask())["totalRegistros"] + 3

    def test_repeats_the_end_of_the_page_before(self) -> None:
        second = ask({"pagina": "2"}, Fault(kind=Kind.REPEATED, count=2))
        assert self.ids(second) == self.ids(ask())[-2:] + self.ids(ask({"pagina": "2"}))

    def test_moves_the_total_from_page_to_page(self) -> None:
        fault = Fault(kind=Kind.TOTALS, count=7)
        totals = [body(ask({"pagina": page}, fault))["totalRegistros"] for page in ("1", "2")]
        assert totals[1] - totals[0] == 7

    def test_distorts_situacao_links_and_values(self) -> None:
        kinds = (Kind.SITUACAO_TEXT, Kind.BAD_LINKS, Kind.VALOR_ZERO)
        data = body(ask({}, *(Fault(kind=kind) for kind in kinds)))["data"]
        assert {type(bid["situacaoCompraId"]) for bid in data} == {str}
        assert {bid["valorTotalEstimado"] for bid in data} == {0.0}
        assert {None, "string"} <= {bid["linkSistemaOrigem"] for bid in data}


class TestById:
    def test_shows_what_the_list_leaves_out(self) -> None:
        call, answer = on(10, Endpoint.COMPRA)
        bid = body(answer(call))
        assert bid["numeroControlePNCP"].startswith(call.path["cnpj"])
        assert bid["orcamentoSigilosoCodigo"] == 1

    def test_does_not_know_another_number(self) -> None:
        call, answer = on(10, Endpoint.COMPRA)
        assert answer(Call(params={}, path={**call.path, "sequencial": "999999"})).status == 404


class TestItens:
    def test_ends_silently_at_ten_unless_asked_for_more(self) -> None:
        long = next(
            n for n in range(len(world().compras)) if body((pair := on(n, Endpoint.QUANTIDADE))[1](pair[0])) > 10
        )
        call, answer = on(long, Endpoint.ITENS)
        default = body(answer(call))
        full = body(answer(Call(params={"tamanhoPagina": "500"}, path=call.path)))
        assert len(default) == 10
        assert full[:10] == default
        assert len(full) > 10
        assert answer(Call(params={"pagina": "99"}, path=call.path)).status == 404

    def test_gives_every_bid_at_least_one_item_with_the_fields_of_the_raw_ones(self) -> None:
        for number in range(0, len(world().compras), 61):
            call, answer = on(number, Endpoint.ITENS)
            for item in body(answer(call)):
                assert isinstance(item["descricao"], str)
                assert isinstance(item["quantidade"], float)
                assert item.keys() == recorded("pncp_itens")[0]["item"].keys()


class TestArquivos:
    def test_answers_an_array_or_404_and_never_an_empty_one(self) -> None:
        seen = set()
        for number in range(0, len(world().compras), 23):
            call, answer = on(number, Endpoint.ARQUIVOS)
            reply = answer(call)
            seen.add(reply.status)
            if reply.status == 200:
                assert body(reply)[0]["url"].startswith(f"https://pncp.gov.br/pncp-api/v1/orgaos/{call.path['cnpj']}/")
        assert seen == {200, 404}
