"""What PNCP publishes of one contratação beside its record: bare arrays, 404 where there is none."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, TypeVar

from pydantic import Field, TypeAdapter

from contracts.fetch import Document, Item
from contracts.values import BidId, Source
from fetcher.adapters.http import Reply, SourceHttp
from fetcher.adapters.once import Oddities
from fetcher.adapters.wire import OrUnreadable, Unreadable, Wire, leaf_of, parsed
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.leafing import Leaf
from fetcher.domain.text import folded, moment, reais, web_link

NUMBER: Final = re.compile(r"^([0-9A-Z]{14})-1-([0-9]{1,12})/([0-9]{4})$")
"""How a BidId of PNCP is made; links carry the sequencial without its leading zeros."""
OK, NO_CONTENT, NOT_FOUND = 200, 204, 404
SERVICO: Final = "S"
MATERIAL: Final = "M"

W = TypeVar("W", bound=Wire)


class ItemRow(Wire):
    """An element of `/itens`."""

    numero: int = Field(alias="numeroItem", ge=0)
    descricao: str = Field(pattern=r"\S")
    quantidade: float | None = None
    unidade: str | None = Field(default=None, alias="unidadeMedida")
    valor: Decimal | None = Field(default=None, alias="valorUnitarioEstimado")
    kind: str | None = Field(default=None, alias="materialOuServico")
    ncm: str | None = Field(default=None, alias="ncmNbsCodigo")

    def item(self) -> Item:
        """In the words that both sources share; units are often padded, 0 is a hidden price."""
        price = reais(self.valor)
        return Item(
            numero=self.numero,
            descricao=folded(self.descricao) or "",
            quantidade=self.quantidade,
            unidade=folded(self.unidade),
            valor_unitario=None if price is None else float(price),
            ncm=folded(self.ncm),
            servico={SERVICO: True, MATERIAL: False}.get(self.kind or ""),
        )


class FileRow(Wire):
    """An element of `/arquivos`."""

    titulo: str | None = None
    tipo: str | None = Field(default=None, alias="tipoDocumentoNome")
    url: str | None = None
    uri: str | None = None
    published: str | None = Field(default=None, alias="dataPublicacaoPncp")
    active: bool = Field(default=True, alias="statusAtivo")

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return self.url or self.uri or self.titulo or ""

    def document(self) -> Document | None:
        """None for one that was withdrawn and for one without a link that a browser may follow."""
        link = web_link(self.url) or web_link(self.uri)
        if link is None or not self.active:
            return None
        tipo = folded(self.tipo)
        return Document(
            titulo=folded(self.titulo) or tipo or "Documento",
            tipo=tipo,
            link=link,
            publicado_em=moment(self.published),
        )


_ITEMS: Final = TypeAdapter(list[Annotated[ItemRow | Unreadable, OrUnreadable]])
_FILES: Final = TypeAdapter(list[Annotated[FileRow | Unreadable, OrUnreadable]])


class PncpDetails:
    """Reads `/itens` and `/arquivos` of the pncp base; on the consulta base they are 404."""

    source = Source.PNCP

    def __init__(self, http: SourceHttp) -> None:
        self._http = http
        self._oddities = Oddities(self.source)

    async def items(self, bid_id: BidId, *, page: int, size: int, within: timedelta) -> Leaf[Item]:
        """One page of items, in one request."""
        reply = await self._get(bid_id, "itens", page=page, size=size, within=within)
        return leaf_of(
            _rows(reply, _ITEMS), page, key=lambda row: row.numero, show=ItemRow.item, oddities=self._oddities
        )

    async def documents(self, bid_id: BidId, *, page: int, size: int, within: timedelta) -> Leaf[Document]:
        """One page of files, in one request."""
        reply = await self._get(bid_id, "arquivos", page=page, size=size, within=within)
        return leaf_of(
            _rows(reply, _FILES), page, key=lambda row: row.key, show=FileRow.document, oddities=self._oddities
        )

    async def _get(self, bid_id: BidId, what: str, *, page: int, size: int, within: timedelta) -> Reply:
        if (number := NUMBER.match(bid_id)) is None:
            raise AttemptFailed("bid.not_askable", again=False)
        cnpj, sequencial, ano = number.groups()
        path = f"/v1/orgaos/{cnpj}/compras/{ano}/{int(sequencial)}/{what}"
        return await self._http.get(path, {"pagina": page, "tamanhoPagina": size}, within=within)


def _rows(reply: Reply, shape: TypeAdapter[list[W | Unreadable]]) -> list[W | Unreadable]:
    """404 is the source's word for an empty list, and for a bid that it does not know."""
    if reply.status in {NO_CONTENT, NOT_FOUND}:
        return []
    if reply.status != OK:
        raise AttemptFailed(f"http.{reply.status}", again=False)
    return parsed(reply, shape)
