"""Portal de Compras Públicas v2: one national list, as many records a page as its envelope says."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import AliasChoices, Field, TypeAdapter

from contracts.values import Source
from fetcher.adapters.http import Reply, SourceHttp
from fetcher.adapters.once import Oddities
from fetcher.adapters.pcp_record import Processo, to_licitacao
from fetcher.adapters.wire import OrUnreadable, Unreadable, Wire, normalised, parsed
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.drift import Drift
from fetcher.domain.listing import END_OF_LIST, Listing, PageAsk

PROCESSOS = "/v2/licitacao/processos"
BY_PUBLICATION = 1
"""`tipoData`; what all known clients send."""
RECEIVING = 1
"""`codigoStatus` of a processo that takes proposals."""
MARGIN = timedelta(days=1)
"""Asked on each side of a range: the list's days are UTC's, ours are Brasília's."""
OK, NO_CONTENT, BAD_REQUEST = 200, 204, 400


class Envelope(Wire):
    """The list's answer; one report shows the totals under PNCP's names."""

    result: list[Annotated[Processo | Unreadable, OrUnreadable]]
    limit: int = Field(default=10, ge=1)
    total_records: int = Field(default=0, validation_alias=AliasChoices("total", "totalRegistros"), ge=0)
    total_pages: int = Field(default=0, validation_alias=AliasChoices("pageCount", "totalPaginas"), ge=0)


ENVELOPE = TypeAdapter(Envelope)


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
        return self._listing(await self._http.get(PROCESSOS, params, within=within), ask)

    def _listing(self, reply: Reply, ask: PageAsk) -> Listing:
        if reply.status == NO_CONTENT or (reply.status == BAD_REQUEST and ask.page > 1):
            return END_OF_LIST
        if reply.status != OK:
            raise AttemptFailed(f"http.{reply.status}", again=False)
        envelope = parsed(reply, ENVELOPE)
        if not envelope.result and ask.page == 1 and envelope.total_records:
            raise AttemptFailed("body.hollow", again=True)
        bids, skipped = normalised(envelope.result, partial(to_licitacao, oddities=self._oddities), self._oddities)
        return Listing(
            bids=bids,
            skipped=skipped,
            total_records=envelope.total_records,
            total_pages=envelope.total_pages,
            page_size=envelope.limit,
        )
