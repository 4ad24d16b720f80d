"""What operators change while it runs: flags, sources, workers, searches; each change is audited before it is made."""

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from contracts.control import FLAGS, Control, Flag, Forced
from contracts.search import Cancelled
from contracts.state import SearchView
from contracts.subjects import CANCELLED
from contracts.values import Source
from gateway.domain import levers
from gateway.domain.keys import Caller
from gateway.domain.problem import Problem
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Cockpit, Desk, TheCaller

router = APIRouter(
    prefix="/v1/admin",
    tags=["administração"],
    responses=problems(
        "key.missing", "key.wrong", "scope.missing", "requests.too_many", "storage.away", "bus.unavailable"
    ),
)
_BODY: Final = problems("json.invalid", "request.invalid", "body.too_large", "body.timeout", "media_type.unsupported")
_NAME: Final = r"^[a-z0-9][a-z0-9-]{0,79}$"

Why = Annotated[str, Field(min_length=3, max_length=400, pattern=r"^[^\x00-\x1f]*$", examples=["fonte em manutenção"])]


class Reason(BaseModel):
    """Why; it is kept in the audit."""

    model_config = ConfigDict(extra="forbid")

    reason: Why


class FlagWish(Reason):
    """On or off."""

    on: StrictBool


class SourceWish(Reason):
    """Only what is named changes; `null` gives a rate or a circuit back to itself."""

    paused: StrictBool | None = None
    rate: float | None = Field(default=None, gt=0, le=1000)
    breaker: Forced | None = None


class DrainWish(Reason):
    """Take no new work, or take it again."""

    drained: StrictBool


class FlagShown(BaseModel):
    """One flag."""

    name: Flag
    on: bool
    about: str


class SourceShown(BaseModel):
    """What is set for one source."""

    source: Source
    paused: bool
    rate: float | None
    """None: as configured."""
    breaker: Literal["auto", "open", "closed"]


class LeversShown(BaseModel):
    """Everything that is set."""

    flags: tuple[FlagShown, ...]
    sources: tuple[SourceShown, ...]
    drained: tuple[str, ...]


class Record(BaseModel):
    """One record of the audit."""

    at: datetime
    actor: str
    action: str
    subject: str
    before: str
    after: str
    reason: str


class Records(BaseModel):
    """The newest first."""

    records: tuple[Record, ...]


@router.get("/levers", summary="O que está ajustado agora")
async def shown(desk: AtDesk) -> LeversShown:
    """Flags, sources and drained workers."""
    return _shown(await _cockpit(desk).now())


@router.put("/flags/{name}", summary="Ligar ou desligar um recurso", responses=_BODY)
async def switch(name: Flag, wish: FlagWish, desk: AtDesk, caller: TheCaller) -> LeversShown:
    """Takes effect everywhere within seconds, without a restart."""
    lever = levers.flag(name, on=wish.on)
    return _shown(await _cockpit(desk).pull(lever, actor=_actor(caller), reason=wish.reason))


@router.put("/sources/{source}", summary="Pausar, retomar ou ajustar uma fonte", responses=_BODY)
async def source(source: Source, wish: SourceWish, desk: AtDesk, caller: TheCaller) -> LeversShown:
    """Pause, rate and forced circuit of one source."""
    named = wish.model_dump(exclude_unset=True, exclude={"reason"})
    if wish.paused is None:
        named.pop("paused", None)
    lever = levers.source(source, **named)
    return _shown(await _cockpit(desk).pull(lever, actor=_actor(caller), reason=wish.reason))


@router.put("/workers/{worker}", summary="Esvaziar um processo", responses=_BODY)
async def drain(
    worker: Annotated[str, Path(pattern=_NAME, description="Um processo, ou o nome de um serviço inteiro.")],
    wish: DrainWish,
    desk: AtDesk,
    caller: TheCaller,
) -> LeversShown:
    """What it has in work goes on; new work goes to others, or waits."""
    lever = levers.drain(worker, drained=wish.drained)
    return _shown(await _cockpit(desk).pull(lever, actor=_actor(caller), reason=wish.reason))


@router.post("/searches/{search_id}/cancel", status_code=202, summary="Cancelar uma busca de qualquer cliente",
             responses=problems("search.not_found") | _BODY)  # fmt: skip
async def cancel(
    search_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")], wish: Reason, desk: AtDesk, caller: TheCaller
) -> SearchView:
    """It ends with what it has found so far."""
    view = await desk.searches.view(search_id)
    if view is None:
        raise Problem("search.not_found")
    if not view.status.terminal:
        now = desk.clock()
        await _cockpit(desk).record(
            action="cancel", subject=search_id, before=view.status, after="cancelled", actor=_actor(caller),
            reason=wish.reason, at=now,
        )  # fmt: skip
        await desk.publisher.publish(CANCELLED.message(Cancelled(search_id=search_id, at=now), search_id=search_id))
    return view


@router.get("/audit", summary="Quem mudou o quê")
async def audit(desk: AtDesk, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Records:
    """The newest first."""
    found = await _cockpit(desk).audit.newest(limit)
    return Records(records=tuple(Record.model_validate(each, from_attributes=True) for each in found))


def _cockpit(desk: Desk) -> Cockpit:
    if desk.cockpit is None:
        raise Problem("storage.away", headers={"Retry-After": "2"})
    return desk.cockpit


def _actor(caller: Caller) -> str:
    return f"{caller.key_id} ({caller.tenant})"


def _word(forced: Forced | None) -> Literal["auto", "open", "closed"]:
    match forced:
        case None:
            return "auto"
        case Forced.OPEN:
            return "open"
        case Forced.CLOSED:
            return "closed"


def _shown(control: Control) -> LeversShown:
    return LeversShown(
        flags=tuple(FlagShown(name=name, on=control.on(name), about=about) for name, about in FLAGS.items()),
        sources=tuple(
            SourceShown(
                source=each,
                paused=control.of(each).paused,
                rate=control.of(each).rate,
                breaker=_word(control.of(each).breaker),
            )
            for each in Source
        ),
        drained=control.drained,
    )
