"""What Portal de Compras Públicas publishes of one processo beside its record: items, twelve a page."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, field_validator

from contracts.fetch import Item
from contracts.values import BidId, Source
from fetcher.adapters.http import SourceHttp
from fetcher.adapters.once import Oddities
from fetcher.adapters.wire import OrUnreadable, Unreadable, Wire, leaf_of, parsed
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.leafing import Leaf
from fetcher.domain.text import folded, reais

PREFIX: Final = "PCP-"
OK, NO_CONTENT, NOT_FOUND = 200, 204, 404


class ItemRow(Wire):
    """An element of `itens.result`."""

    codigo: int = Field(ge=0)
    lote: int | None = Field(default=None, alias="codigoInternoLote")
    descricao: str = Field(pattern=r"\S")
    quantidade: float | None = None
    unidade: str | None = None
    valor: Decimal | None = Field(default=None, alias="valorReferencia")

    def item(self) -> Item:
        """In the words that both sources share; a hidden price comes as null or 0."""
        price = reais(self.valor)
        return Item(
            numero=self.codigo,
            descricao=folded(self.descricao) or "",
            quantidade=self.quantidade,
            unidade=folded(self.unidade),
            valor_unitario=None if price is None else float(price),
        )


class Items(Wire):
    """The envelope inside the answer."""

    result: tuple[Annotated[ItemRow | Unreadable, OrUnreadable], ...] = ()
    pages: int = Field(default=0, alias="pageCount", ge=0)


class Answer(Wire):
    """The answer of `/itens`."""

    itens: Items = Items()

    @field_validator("itens", mode="before")
    @classmethod
    def _none_is_empty(cls, value: object) -> object:
        return {} if value is None else value


ANSWER: Final = TypeAdapter(Answer)


class PcpDetails:
    """Reads `/v2/licitacao/{codigo}/itens`. Its files answer 500 or want a login."""

    source = Source.PCP

    def __init__(self, http: SourceHttp) -> None:
        self._http = http
        self._oddities = Oddities(self.source)

    async def items(self, bid_id: BidId, *, page: int, size: int, within: timedelta) -> Leaf[Item]:  # noqa: ARG002 - the source heeds no size
        """One page of items, in one request."""
        codigo = bid_id.removeprefix(PREFIX)
        if not codigo.isdecimal() or codigo == bid_id:
            raise AttemptFailed("bid.not_askable", again=False)
        reply = await self._http.get(f"/v2/licitacao/{codigo}/itens", {"pagina": page}, within=within)
        if reply.status in {NO_CONTENT, NOT_FOUND}:
            return Leaf((), pages=0)
        if reply.status != OK:
            raise AttemptFailed(f"http.{reply.status}", again=False)
        items = parsed(reply, ANSWER).itens
        return leaf_of(
            items.result,
            page,
            key=lambda row: (row.lote, row.codigo),
            show=ItemRow.item,
            oddities=self._oddities,
            pages=items.pages,
        )
