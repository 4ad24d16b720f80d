"""PNCP: lists per UF and modalidade, 50 records a page."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from contracts.values import Source
from fetcher.adapters import wire
from fetcher.adapters.http import Reply, SourceHttp
from fetcher.adapters.once import Oddities
from fetcher.adapters.pncp_record import Contratacao, to_licitacao
from fetcher.adapters.wire import OrUnreadable, Unreadable, Wire, listed
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.drift import Drift
from fetcher.domain.listing import Listing, PageAsk

PUBLICACAO = "/v1/contratacoes/publicacao"
ATUALIZACAO = "/v1/contratacoes/atualizacao"
"""As `publicacao`, by the day of the last change."""
PROPOSTA = "/v1/contratacoes/proposta"
"""What takes proposals until `dataFinal`; it takes no `dataInicial`. The modalidade is always sent: some days it is
required (400 without it), others not."""
PAGE_SIZE = 50
"""The most that the list gives since February 2026."""
LONGEST_SPAN = timedelta(days=365)
UNPROCESSABLE = 422
SPURIOUS = ("Período inicial e final maior que 365 dias", "Data Inicial deve ser anterior ou igual à Data Final")
"""What a 422 says now and then of a perfectly valid period; asking again helps."""


class Envelope(Wire):
    """The list's answer."""

    records: list[Annotated[Contratacao | Unreadable, OrUnreadable]] = Field(alias="data")
    total_records: int = Field(default=0, alias="totalRegistros", ge=0)
    total_pages: int = Field(default=0, alias="totalPaginas", ge=0)

    @property
    def page_size(self) -> int:
        """As asked."""
        return PAGE_SIZE


ENVELOPE: TypeAdapter[wire.Envelope[Contratacao]] = TypeAdapter(Envelope)


class Refusal(Wire):
    """The body of a 4xx."""

    message: str = ""


class PncpReader:
    """Reads pages of `/v1/contratacoes/publicacao`, of `proposta` for what is open today, of `atualizacao`."""

    source = Source.PNCP

    def __init__(self, http: SourceHttp, *, alarm: Callable[[Drift], None] | None = None) -> None:
        self._http = http
        self._oddities = Oddities(self.source, alarm=alarm)

    async def read(self, ask: PageAsk, *, within: timedelta) -> Listing:
        """One page, in one request; AttemptFailed when it brought none."""
        if ask.range.modalidade is None or ask.uf is None:
            raise AttemptFailed("range.not_askable", again=False)
        if not timedelta(0) <= ask.range.day_to - ask.range.day_from <= LONGEST_SPAN:
            raise AttemptFailed("range.not_askable", again=False)
        first, last = ask.range.day_from, ask.range.day_to
        days = {"dataInicial": f"{first:%Y%m%d}", "dataFinal": f"{last:%Y%m%d}"}
        if ask.range.open_today:
            days = {"dataFinal": f"{last + LONGEST_SPAN:%Y%m%d}"}
        params: dict[str, str | int] = {
            **days,
            "codigoModalidadeContratacao": int(ask.range.modalidade),
            "uf": ask.uf.value,
            "pagina": ask.page,
            "tamanhoPagina": PAGE_SIZE,
        }
        path = PROPOSTA if ask.range.open_today else ATUALIZACAO if ask.range.updated else PUBLICACAO
        reply = await self._http.get(path, params, within=within)
        if reply.status == UNPROCESSABLE and _message(reply).startswith(SPURIOUS):
            raise AttemptFailed("http.422.spurious", again=True)
        to_bid = partial(to_licitacao, asked_uf=ask.uf, oddities=self._oddities)
        return listed(reply, ask, ENVELOPE, to_licitacao=to_bid, oddities=self._oddities)


def _message(reply: Reply) -> str:
    try:
        return Refusal.model_validate_json(reply.body).message
    except ValidationError:
        return ""
