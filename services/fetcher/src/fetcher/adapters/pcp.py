"""Portal de Compras Públicas v2: one national list, as many records a page as its envelope says."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import AliasChoices, Field, TypeAdapter

from contracts.values import Source
from fetcher.adapters import wire
from fetcher.adapters.http import SourceHttp
from fetcher.adapters.once import Oddities
from fetcher.adapters.pcp_record import Processo, to_licitacao
from fetcher.adapters.wire import OrUnreadable, Unreadable, Wire, listed
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.drift import Drift
from fetcher.domain.listing import Listing, PageAsk

PROCESSOS = "/v2/licitacao/processos"
BY_PUBLICATION = 1
"""`tipoData`; what all known clients send."""
RECEIVING = 1
"""`codigoStatus` of a processo that takes proposals."""
MARGIN = timedelta(days=1)
"""Asked on each side of a range: the list's days are UTC's, ours are Brasília's."""


class Envelope(Wire):
    """The list's answer; one report shows the totals under PNCP's names."""

    records: list[Annotated[Processo | Unreadable, OrUnreadable]] = Field(alias="result")
    page_size: int = Field(default=10, alias="limit", ge=1)
    total_records: int = Field(default=0, validation_alias=AliasChoices("total", "totalRegistros"), ge=0)
    total_pages: int = Field(default=0, validation_alias=AliasChoices("pageCount", "totalPaginas"), ge=0)


ENVELOPE: TypeAdapter[wire.Envelope[Processo]] = TypeAdapter(Envelope)


class PcpReader:
    """Reads pages of `/v2/licitacao/processos`. It ignores `uf`: every page is national."""

    source = Source.PCP

    def __init__(self, http: SourceHttp, *, alarm: Callable[[Drift], None] | None = None) -> None:
        self._http = http
        self._oddities = Oddities(self.source, alarm=alarm)

    async def read(self, ask: PageAsk, *, within: timedelta) -> Listing:
        """One page, in one request; AttemptFailed when it brought none."""
        if ask.range.modalidade is not None or ask.uf is not None or ask.range.day_from > ask.range.day_to:
            raise AttemptFailed("range.not_askable", again=False)
        if ask.range.updated:
            raise AttemptFailed("range.not_askable", again=False)  # it lists nothing by its last change
        params: dict[str, str | int] = {
            "tipoData": BY_PUBLICATION,
            "dataInicial": (ask.range.day_from - MARGIN).isoformat(),
            "dataFinal": (ask.range.day_to + MARGIN).isoformat(),
            "pagina": ask.page,
        }
        if ask.range.open_today:
            params = {"codigoStatus": RECEIVING, "pagina": ask.page}
        reply = await self._http.get(PROCESSOS, params, within=within)
        to_bid = partial(to_licitacao, oddities=self._oddities)
        return listed(reply, ask, ENVELOPE, to_licitacao=to_bid, oddities=self._oddities)
