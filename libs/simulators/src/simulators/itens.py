"""Items and files of a bid: recorded where there are, else a list lent by likeness, else the objeto as one item."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from simulators.recordings import Record, draw, recorded
from simulators.world import Compra, Processo, World, moved

SERVICE: Final = re.compile(
    r"servi[çc]o|loca[çc][ãa]o|manuten[çc][ãa]o|obra|constru|paviment|credenciamento", re.IGNORECASE
)
ITEM_DESCRICAO_LIMIT: Final = 2048


@cache
def _lists() -> dict[str, tuple[Record, ...]]:
    return {row["numeroControlePNCP"]: tuple(row["itens"]) for row in recorded("pncp_itens_partial") if row["itens"]}


@cache
def _lent() -> dict[str, str]:
    return {row["to"]: row["of"] for row in recorded("itens_lent")}


@cache
def _files() -> dict[str, tuple[Record, ...]]:
    return {row["numeroControlePNCP"]: tuple(row["arquivos"]) for row in recorded("pncp_arquivos")}


def lines_of(key: str, objeto: str, valor: float | None) -> Sequence[Record]:
    """The recorded lines of a bid's item list, or its objeto as the only line."""
    lent = _lists().get(_lent().get(key, ""))
    if lent:
        return lent
    return (
        {
            "numeroItem": 1,
            "descricao": objeto[:ITEM_DESCRICAO_LIMIT],
            "quantidade": 1.0,
            "valorUnitarioEstimado": valor,
        },
    )


def pncp_itens(world: World, compra: Compra) -> list[Record]:
    """The items of one compra as `/itens` shows them."""
    bid = world.bid(compra)
    service = bool(SERVICE.search(bid["objetoCompra"]))
    lines = lines_of(world.list_of(compra), bid["objetoCompra"], bid["valorTotalEstimado"])
    return [_pncp_item(line, bid, service=service) for line in lines]


def _amounts(line: Record) -> tuple[float, float]:
    quantity = float(line.get("quantidade") or line.get("quantidadeHomologada") or 1.0)
    return quantity, float(line.get("valorUnitarioEstimado") or line.get("valorUnitarioHomologado") or 0.0)


def _pncp_item(line: Record, bid: Record, *, service: bool) -> Record:
    quantity, price = _amounts(line)
    kind = line.get("materialOuServico") or ("S" if service else "M")
    template: dict[str, Any] = dict(recorded("pncp_itens")[0]["item"])
    return {
        **template,
        "numeroItem": line["numeroItem"],
        "descricao": line["descricao"],
        "materialOuServico": kind,
        "materialOuServicoNome": "Serviço" if kind == "S" else "Material",
        "valorUnitarioEstimado": round(price, 4),
        "valorTotal": round(price * quantity, 4),
        "quantidade": quantity,
        "unidadeMedida": line.get("unidadeMedida") or "UN",
        "situacaoCompraItem": 1,
        "situacaoCompraItemNome": "Em andamento",
        "tipoBeneficio": 4,
        "tipoBeneficioNome": "Sem benefício",
        "temResultado": False,
        "dataInclusao": bid["dataInclusao"],
        "dataAtualizacao": bid["dataAtualizacao"],
    }


def pncp_arquivos(world: World, compra: Compra) -> list[Record]:
    """The files of one compra as `/arquivos` shows them: recorded, else an edital alone; one bid in twenty has none."""
    key = world.list_of(compra)
    cnpj, ano, sequencial = world.identity(compra)
    files = _files().get(key)
    if files is None:
        if draw(world.seed, key, "arquivos") < 0.05:  # noqa: PLR2004 - the share
            return []
        files = ({"tipoDocumentoId": 2, "tipoDocumentoNome": "Edital", "titulo": f"edital-{sequencial}-{ano}"},)
    uri = f"https://pncp.gov.br/pncp-api/v1/orgaos/{cnpj}/compras/{ano}/{sequencial}/arquivos"
    return [
        {
            "anoCompra": ano,
            "cnpj": cnpj,
            "dataPublicacaoPncp": _file_time(world, compra, file),
            "sequencialCompra": sequencial,
            "sequencialDocumento": file.get("sequencialDocumento", number),
            "statusAtivo": file.get("statusAtivo", True),
            "tipoDocumentoDescricao": file["tipoDocumentoNome"],
            "tipoDocumentoId": file["tipoDocumentoId"],
            "tipoDocumentoNome": file["tipoDocumentoNome"],
            "titulo": file["titulo"],
            "uri": f"{uri}/{file.get('sequencialDocumento', number)}",
            "url": f"{uri}/{file.get('sequencialDocumento', number)}",
        }
        for number, file in enumerate(files, start=1)
    ]


def _file_time(world: World, compra: Compra, file: Record) -> str:
    if "dataPublicacaoPncp" not in file:
        return compra.published
    return min(moved(file["dataPublicacaoPncp"], compra.shift), f"{world.today.isoformat()}T23:59:59")


def pcp_itens(world: World, processo: Processo) -> list[Record]:
    """The items of one processo; those of a bid known to both sources carry the same numbers."""
    listing = world.listing(processo)
    lines = lines_of(world.list_of_processo(processo), listing["resumo"], None)
    return [_pcp_item(line, listing) for line in lines]


def _pcp_item(line: Record, listing: Record) -> Record:
    quantity, price = _amounts(line)
    return {
        "descricao": line["descricao"],
        "unidade": line.get("unidadeMedida") or "UN",
        "quantidade": quantity,
        "melhorLance": None,
        "valorReferencia": round(price, 4) or None,
        "exclusivoME": "Sim" if listing["isExclusivoME"] else "Não",
        "codigo": line["numeroItem"],
        "codigoInternoLote": 0,
        "exibirValorReferencia": bool(price),
        "participacao": {"codigo": 1, "descricao": "Ampla Participação"},
        "situacao": {"codigo": 1, "descricao": "Aguardando"},
        "empate": False,
        "tipoJulgamento": listing["tipoLicitacao"]["tipoJulgamento"],
        "isItensPorcentagem": False,
        "demandaCompraMarketplace": False,
    }
