"""Triage: what someone thinks of a licitação, kept over every later search."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.values import BidId
from gateway.domain.problem import Problem
from gateway.domain.shelf import Mark, Triage
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, AtShelf, TheCaller

_BODY = ("json.invalid", "request.invalid", "body.too_large", "body.timeout", "media_type.unsupported")

router = APIRouter(
    prefix="/v1/triage", tags=["triagem"], responses=problems("key.missing", "key.wrong", "storage.away")
)

InBidPath = Annotated[BidId, Path(examples=["12345678000190-1-000042/2026"], description="A licitação.")]


class MarkBody(BaseModel):
    """What someone thinks of it."""

    model_config = ConfigDict(extra="forbid")

    mark: Mark = Field(examples=["interessa"])
    note: str | None = Field(default=None, max_length=2000, pattern=r"^[^\x00]*$", examples=["Ligar para o pregoeiro"])
    """None keeps the note that is there."""


class MarkedBids(BaseModel):
    """A page of marks, the latest first."""

    marks: tuple[Triage, ...]
    next_before: int | None = None
    """The `before` of the next page; None on the last."""


@router.get("", summary="As licitações marcadas", responses=problems("request.invalid"))
async def marked(
    shelf: AtShelf,
    caller: TheCaller,
    mark: Mark | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="`next_before` da página anterior.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> MarkedBids:
    """What this key's tenant has marked."""
    marks, following = await shelf.marks(caller.tenant, mark=mark, before=before, limit=limit)
    return MarkedBids(marks=tuple(marks), next_before=following)


@router.get(
    "/{bid_id:path}", summary="A marcação de uma licitação", responses=problems("mark.not_found", "request.invalid")
)
async def one(bid_id: InBidPath, shelf: AtShelf, caller: TheCaller) -> Triage:
    """How one licitação is marked."""
    found = (await shelf.marks_of(caller.tenant, [bid_id])).get(bid_id)
    if found is None:
        raise Problem("mark.not_found")
    return found


@router.put("/{bid_id:path}", summary="Marcar uma licitação", responses=problems(*_BODY))
async def mark(bid_id: InBidPath, body: MarkBody, desk: AtDesk, shelf: AtShelf, caller: TheCaller) -> Triage:
    """Mark it, or mark it otherwise."""
    note = body.note
    if note is None:
        before = (await shelf.marks_of(caller.tenant, [bid_id])).get(bid_id)
        note = before.note if before else ""
    made = Triage(bid_id=bid_id, mark=body.mark, note=note, updated_at=desk.clock())
    await shelf.mark(caller.tenant, made)
    return made


@router.delete(
    "/{bid_id:path}",
    status_code=204,
    summary="Tirar a marcação",
    responses=problems("mark.not_found", "request.invalid"),
)
async def unmark(bid_id: InBidPath, shelf: AtShelf, caller: TheCaller) -> Response:
    """Mark it no longer."""
    if not await shelf.unmark(caller.tenant, bid_id):
        raise Problem("mark.not_found")
    return Response(status_code=204)
