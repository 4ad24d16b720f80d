"""How much of the country the memory holds, and asking for what it lacks."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from contracts.ledger import MOST_DAYS, FillReply, LedgerGap, LedgerReply, LedgerRun, LedgerWindow
from contracts.places import UF, UFS
from contracts.query import DEFAULT_DAYS, DEFAULT_MODALIDADES
from contracts.subjects import FILL, LEDGER
from contracts.values import Modalidade, Source
from contracts.when import UtcDatetime, day_of
from gateway.domain.problem import FieldError, invalid
from gateway.routes.describing import problems
from gateway.routes.ports import Asker, AtDesk, Desk
from servicekit.errors import Unavailable

router = APIRouter(
    prefix="/v1",
    tags=["cobertura"],
    responses=problems("key.missing", "key.wrong", "request.invalid", "bus.unavailable"),
)

ANSWERS_WITHIN = timedelta(seconds=5)


class Window(BaseModel):
    """Which part of the ledger; without a word, every UF over the days that a search looks at."""

    model_config = ConfigDict(extra="forbid")

    uf: list[UF] = Field(default_factory=list, max_length=27, description="Sem nenhuma, as 27.")
    date_from: date | None = Field(default=None, description=f"Primeiro dia de publicação; até {MOST_DAYS} dias.")
    date_to: date | None = Field(default=None, description="Último dia de publicação; sem ele, hoje.")
    modalidade: list[Modalidade] = Field(
        default_factory=list, max_length=15, description="Sem nenhuma, as que uma busca pede."
    )
    source: list[Source] = Field(default_factory=list, max_length=2)


class Coverage(BaseModel):
    """The ledger of a window."""

    date_from: date
    date_to: date
    coverage_pct: int
    """Slices that were read to their end, of those asked; rounded down."""
    slices_asked: int
    slices_complete: int
    runs: tuple[LedgerRun, ...]
    gaps: tuple[LedgerGap, ...]
    at: UtcDatetime


@router.get("/coverage", summary="O que a memória guarda do país, por UF e dia")
async def coverage(desk: AtDesk, wanted: Annotated[Window, Query()]) -> Coverage:
    """Per UF and day: how many slices are complete, partial, failed or were never read."""
    window = _window(wanted, desk)
    told: LedgerReply = await asker_of(desk).request(LEDGER, window, timeout=ANSWERS_WITHIN)
    return Coverage(
        date_from=window.day_from,
        date_to=window.day_to,
        coverage_pct=100 * told.slices_complete // told.slices_asked if told.slices_asked else 0,
        **dict(told),
    )


@router.post("/admin/backfill", summary="Buscar o que falta na memória", responses=problems("scope.missing"))
async def backfill(desk: AtDesk, wanted: Annotated[Window, Query()]) -> FillReply:
    """Begin to fetch some of what is not complete, a few places at a time; ask again until nothing is left."""
    filled: FillReply = await asker_of(desk).request(FILL, _window(wanted, desk), timeout=ANSWERS_WITHIN)
    return filled


def asker_of(desk: Desk) -> Asker:
    """Whoever can be asked; a gateway that stands alone has no one."""
    if desk.asker is None:
        raise Unavailable("bus.away")
    return desk.asker


def _window(wanted: Window, desk: Desk) -> LedgerWindow:
    last = wanted.date_to or day_of(desk.clock())
    first = wanted.date_from or last - timedelta(days=DEFAULT_DAYS - 1)
    if not 0 <= (last - first).days < MOST_DAYS:
        raise invalid((FieldError(parameter="date_from", message=f"o período tem de 1 a {MOST_DAYS} dias"),))
    if UF.XX in wanted.uf:
        raise invalid((FieldError(parameter="uf", message="XX não é uma UF"),))
    return LedgerWindow(
        sources=tuple(wanted.source) or tuple(Source),
        ufs=tuple(dict.fromkeys(wanted.uf)) or UFS,
        modalidades=tuple(dict.fromkeys(wanted.modalidade)) or DEFAULT_MODALIDADES,
        day_from=first,
        day_to=last,
    )
