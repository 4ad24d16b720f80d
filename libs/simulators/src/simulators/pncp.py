"""PNCP's consulta and pncp APIs: the parameter rules, envelopes and refusals of the real ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from math import ceil
from typing import Final

import orjson

from simulators.faults import Endpoint, Kind
from simulators.itens import pncp_arquivos, pncp_itens
from simulators.recordings import Record
from simulators.reply import NO_PAGE, REVERSED, TOO_LONG, Call, Reply, bad_request, json_reply, not_found, unprocessable
from simulators.world import Compra, World

BIDS_WRITTEN: Final = 10_000  # about 20 MB
DISTORTIONS: Final = frozenset({Kind.SITUACAO_TEXT, Kind.BAD_LINKS, Kind.VALOR_ZERO})
SMALLEST_PAGE, LARGEST_PAGE, DEFAULT_PAGE = 10, 50, 10
LONGEST_SPAN_DAYS: Final = 365
BAD_LINKS: Final = (
    None,
    "",
    "string",
    " ",
    "0",
    "SEM PUBLICAÇÃO",
    "WWW.EXEMPLO.GOV.BR/EDITAL",
    "licitacao@exemplo.gov.br",
)
LIST_PATHS: Final = {
    Endpoint.PUBLICACAO: "/api/consulta/v1/contratacoes/publicacao",
    Endpoint.PROPOSTA: "/api/consulta/v1/contratacoes/proposta",
    Endpoint.ATUALIZACAO: "/api/consulta/v1/contratacoes/atualizacao",
}
Answer = Callable[[Call], Reply]


class Refused(Exception):
    """A parameter broke a rule; carries the answer that says so."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Query:
    """The checked parameters of a list endpoint."""

    first: date | None
    last: date
    modalidade: int | None
    uf: str | None
    page: int
    size: int


class Pncp:
    """Answers every PNCP route from one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._written = lru_cache(BIDS_WRITTEN)(lambda compra: orjson.Fragment(orjson.dumps(world.bid(compra))))

    def routes(self) -> tuple[tuple[str, Endpoint, Answer], ...]:
        """Path template, endpoint and answer of every route."""
        compra = "/v1/orgaos/{cnpj}/compras/{ano:int}/{sequencial:int}"
        lists = tuple((path, endpoint, self._list_answer(endpoint)) for endpoint, path in LIST_PATHS.items())
        return (
            *lists,
            (f"/api/consulta{compra}", Endpoint.COMPRA, self.compra),
            (f"/api/pncp{compra}", Endpoint.COMPRA, self.moved_compra),
            (f"/api/pncp{compra}/itens", Endpoint.ITENS, self.itens),
            (f"/api/pncp{compra}/itens/quantidade", Endpoint.QUANTIDADE, self.quantidade),
            (f"/api/pncp{compra}/itens/{{numero:int}}", Endpoint.ITENS, self.item),
            (f"/api/pncp{compra}/arquivos", Endpoint.ARQUIVOS, self.arquivos),
        )

    def _list_answer(self, endpoint: Endpoint) -> Answer:
        def answer(call: Call) -> Reply:
            try:
                query = parse(call, endpoint)
                found = _narrowed(self._found(endpoint, query), call.params, self._world)
            except Refused as refusal:
                return refusal.reply
            return self._page(found, query, call)

        return answer

    def _found(self, endpoint: Endpoint, query: Query) -> Sequence[Compra]:
        if endpoint is Endpoint.PROPOSTA or query.first is None:
            return self._world.open_until(query.last, uf=query.uf, modalidade=query.modalidade)
        between = self._world.published_between if endpoint is Endpoint.PUBLICACAO else self._world.updated_between
        return between(query.first, query.last, uf=query.uf, modalidade=query.modalidade)

    def _page(self, found: Sequence[Compra], query: Query, call: Call) -> Reply:
        if not found:
            return Reply(204, b"", "")
        start, end, total = query.size * (query.page - 1), query.size * query.page, len(found)
        if shifted := call.fault(Kind.SHIFTED):
            total += shifted.count
            start, end = (start - shifted.count, end - shifted.count) if query.page > 1 else (start, end)
        if totals := call.fault(Kind.TOTALS):
            total += totals.count * query.page
        if (repeated := call.fault(Kind.REPEATED)) and query.page > 1:
            start -= repeated.count
        pages = ceil(total / query.size)
        if query.page > pages:
            return bad_request(NO_PAGE)
        rows = found[max(start, 0) : end]
        distorted = any(fault.kind in DISTORTIONS for fault in call.faults)
        data = [self._distorted(self._world.bid(row), call) if distorted else self._written(row) for row in rows]
        return json_reply(
            {
                "data": data,
                "totalRegistros": total,
                "totalPaginas": pages,
                "numeroPagina": query.page,
                "paginasRestantes": pages - query.page,
                "empty": not data,
            }
        )

    @staticmethod
    def _distorted(record: Record, call: Call) -> Record:
        if call.fault(Kind.SITUACAO_TEXT):
            record["situacaoCompraId"] = str(record["situacaoCompraId"])
        if call.fault(Kind.BAD_LINKS):
            record["linkSistemaOrigem"] = BAD_LINKS[record["sequencialCompra"] % len(BAD_LINKS)]
        if call.fault(Kind.VALOR_ZERO):
            record["valorTotalEstimado"] = 0.0
        return record

    def _compra_of(self, call: Call) -> Compra | None:
        key = call.path["cnpj"], int(call.path["ano"]), int(call.path["sequencial"])
        return self._world.by_key.get(key)

    def compra(self, call: Call) -> Reply:
        """By id, with what the list leaves out."""
        compra = self._compra_of(call)
        if compra is None:
            return not_found("Contratação não encontrada.", _path(call))
        return json_reply(self._distorted(self._world.bid(compra, by_id=True), call))

    @staticmethod
    def moved_compra(call: Call) -> Reply:
        """The old by-id path redirects to the consulta base."""
        return Reply(301, b"", "", (("location", f"/api/consulta{_path(call)}"),))

    def itens(self, call: Call) -> Reply:
        """A bare array that silently ends at the page size, which is 10 unless asked otherwise."""
        compra = self._compra_of(call)
        if compra is None:
            return not_found("Contratação não encontrada.", f"{_path(call)}/itens")
        try:
            page, size = _positive(call.params, "pagina", 1), _positive(call.params, "tamanhoPagina", DEFAULT_PAGE)
        except Refused as refusal:
            return refusal.reply
        rows = pncp_itens(self._world, compra)[(page - 1) * size : page * size]
        return (
            json_reply(rows)
            if rows
            else not_found("Nenhum item encontrado para a contratação.", f"{_path(call)}/itens")
        )

    def quantidade(self, call: Call) -> Reply:
        """How many items: a bare integer."""
        compra = self._compra_of(call)
        if compra is None:
            return not_found("Contratação não encontrada.", f"{_path(call)}/itens/quantidade")
        return json_reply(len(pncp_itens(self._world, compra)))

    def item(self, call: Call) -> Reply:
        """One item by its number."""
        compra = self._compra_of(call)
        numero = int(call.path["numero"])
        for row in pncp_itens(self._world, compra) if compra else ():
            if row["numeroItem"] == numero:
                return json_reply(row)
        return not_found("Item não encontrado.", f"{_path(call)}/itens/{numero}")

    def arquivos(self, call: Call) -> Reply:
        """A bare array; a bid without files answers 404."""
        compra = self._compra_of(call)
        rows = pncp_arquivos(self._world, compra) if compra else []
        return json_reply(rows) if rows else not_found("Nenhum arquivo encontrado.", f"{_path(call)}/arquivos")


def parse(call: Call, endpoint: Endpoint) -> Query:
    """The parameters of a list endpoint by the source's rules, in the order in which it checks them."""
    params, proposta = call.params, endpoint is Endpoint.PROPOSTA
    needed = ["dataFinal"] if proposta else ["dataInicial", "dataFinal"]
    if not proposta or call.needs_modalidade:
        needed.append("codigoModalidadeContratacao")
    for name in (*needed, "pagina"):
        if not params.get(name):
            raise Refused(bad_request(f"Required parameter '{name}' is not present."))
    modalidade = _positive(params, "codigoModalidadeContratacao", 0) or None
    page, size = _positive(params, "pagina", 1), _positive(params, "tamanhoPagina", DEFAULT_PAGE)
    if size > LARGEST_PAGE:
        raise Refused(bad_request("Tamanho de página inválido"))
    if size < SMALLEST_PAGE:
        raise Refused(bad_request("tamanhoPagina: must be greater than or equal to 10"))
    first, last = None if proposta else _day(params, "dataInicial"), _day(params, "dataFinal")
    if first is not None and first > last:
        raise Refused(unprocessable(REVERSED))
    if first is not None and (last - first).days > LONGEST_SPAN_DAYS:
        raise Refused(unprocessable(TOO_LONG))
    return Query(first=first, last=last, modalidade=modalidade, uf=params.get("uf") or None, page=page, size=size)


def _positive(params: dict[str, str], name: str, default: int) -> int:
    text = params.get(name)
    if not text:
        return default
    if not re.fullmatch(r"\d{1,9}", text):
        raise Refused(bad_request(f"Failed to convert value of type 'java.lang.String' for parameter '{name}'."))
    if int(text) < 1:
        raise Refused(bad_request(f"{name}: must be greater than or equal to 1"))
    return int(text)


def _day(params: dict[str, str], name: str) -> date:
    try:
        return datetime.strptime(params[name], "%Y%m%d").date()  # noqa: DTZ007 - a calendar day, no instant
    except ValueError:
        raise Refused(bad_request(f"Parâmetro '{name}' inválido: use o formato yyyyMMdd.")) from None


def _narrowed(found: Sequence[Compra], params: dict[str, str], world: World) -> Sequence[Compra]:
    """The compras that also match the rarer parameters; `idUsuario` is not recorded and so not applied."""
    wanted = {name: value for name in NARROWING if (value := params.get(name))}
    if not wanted:
        return found
    return [c for c in found if all(str(NARROWING[name](c, world)) == value for name, value in wanted.items())]


NARROWING: Final[dict[str, Callable[[Compra, World], object]]] = {
    "codigoMunicipioIbge": lambda c, world: world.bids[c.base]["unidadeOrgao"]["codigoIbge"],
    "cnpj": lambda c, world: world.identity(c)[0],
    "codigoUnidadeAdministrativa": lambda c, world: world.bids[c.base]["unidadeOrgao"]["codigoUnidade"],
    "codigoModoDisputa": lambda c, world: world.bids[c.base]["modoDisputaId"],
}


def _path(call: Call) -> str:
    return f"/v1/orgaos/{call.path['cnpj']}/compras/{call.path['ano']}/{call.path['sequencial']}"
