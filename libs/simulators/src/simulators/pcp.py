"""Portal de Compras Públicas, public API v2: a national listing by day, ten a page, and the items of a process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from math import ceil
from typing import Any, Final

from simulators.faults import Endpoint, Kind
from simulators.itens import pcp_itens
from simulators.pncp import Answer
from simulators.recordings import Record
from simulators.reply import Call, Reply, json_reply
from simulators.world import Processo, World

PAGE, ITEMS_PAGE = 10, 12
ISO_DAY: Final = 10


class Pcp:
    """Answers every PCP v2 route from one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._status = cache(lambda processo: world.listing(processo)["status"]["codigo"])

    def routes(self) -> tuple[tuple[str, Endpoint, Answer], ...]:
        """Path template, endpoint and answer of every route."""
        licitacao = "/v2/licitacao"
        return (
            (f"{licitacao}/processos", Endpoint.PROCESSOS, self.processos),
            (f"{licitacao}/{{codigo:int}}/itens", Endpoint.ITENS, self.itens),
            (f"{licitacao}/{{codigo:int}}/documentos", Endpoint.DOCUMENTOS, self.documentos),
            (f"{licitacao}/{{codigo:int}}/edital", Endpoint.EDITAL, self.edital),
        )

    def processos(self, call: Call) -> Reply:
        """The listing: `uf`, `codigoLicitacao` and `limitePagina` are ignored, as there."""
        try:
            first, last = _day(call.params.get("dataInicial")), _day(call.params.get("dataFinal"))
            page = max(int(call.params.get("pagina") or 1), 1)
        except ValueError:
            return json_reply({"message": "Requisição inválida."}, 400)
        found: Sequence[Processo] = self._world.processos_between(first, last)
        if status := call.params.get("codigoStatus"):
            found = [processo for processo in found if str(self._status(processo)) == status]
        if objeto := call.params.get("objeto"):
            word = objeto.casefold()
            found = [p for p in found if word in self._world.listings[p.base]["resumo"].casefold()]
        start, end, total = PAGE * (page - 1), PAGE * page, len(found)
        if shifted := call.fault(Kind.SHIFTED):
            total += shifted.count
            start, end = (start - shifted.count, end - shifted.count) if page > 1 else (start, end)
        if totals := call.fault(Kind.TOTALS):
            total += totals.count * page
        if (repeated := call.fault(Kind.REPEATED)) and page > 1:
            start -= repeated.count
        rows = [self._world.listing(processo) for processo in found[max(start, 0) : end]]
        return json_reply(envelope(rows, page=page, size=PAGE, total=total))

    def itens(self, call: Call) -> Reply:
        """The items of one process, twelve a page."""
        processo = self._world.by_codigo.get(int(call.path["codigo"]))
        try:
            page = max(int(call.params.get("pagina") or 1), 1)
        except ValueError:
            return json_reply({"message": "Requisição inválida."}, 400)
        rows = pcp_itens(self._world, processo) if processo else []
        shown = rows[(page - 1) * ITEMS_PAGE : page * ITEMS_PAGE]
        return json_reply({"isLote": False, "itens": envelope(shown, page=page, size=ITEMS_PAGE, total=len(rows))})

    @staticmethod
    def documentos(_: Call) -> Reply:
        """The route exists and is broken."""
        return json_reply({"message": "Internal Server Error"}, 500)

    @staticmethod
    def edital(_: Call) -> Reply:
        """The route wants a login."""
        return json_reply({"message": "Unauthorized"}, 401)


def envelope(rows: list[Record], *, page: int, size: int, total: int) -> dict[str, Any]:
    """The listing's envelope."""
    pages = ceil(total / size)
    return {
        "result": rows,
        "offset": (page - 1) * size + 1,
        "limit": size,
        "total": total,
        "pageCount": pages,
        "currentPage": page,
        "nextPage": page + 1 if page < pages else None,
        "previousPage": page - 1 if page > 1 else None,
    }


def _day(text: str | None) -> date | None:
    """The UTC day of `YYYY-MM-DD` or of a full ISO time with Z."""
    return date.fromisoformat(text[:ISO_DAY]) if text else None
