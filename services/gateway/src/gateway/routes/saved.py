"""Saved searches: asked again with one click; their alerts are the notifier's."""

import re
from contextlib import suppress
from typing import Annotated, Final
from uuid import uuid4

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.query import SearchRequest
from contracts.when import day_of
from gateway.domain.problem import Problem
from gateway.domain.shelf import SavedSearch
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, AtShelf, TheCaller

_BODY = ("json.invalid", "request.invalid", "body.too_large", "body.timeout", "media_type.unsupported")

router = APIRouter(
    prefix="/v1/saved-searches", tags=["buscas salvas"], responses=problems("key.missing", "key.wrong", "storage.away")
)

SavedId = Annotated[str, Path(examples=["3f0c2a9be1d74c55a1b2c3d4e5f60718"])]

_ID: Final = re.compile(r"[0-9a-f]{32}")
"""What cannot be an id is a search that nobody saved."""


class SavedSearchBody(BaseModel):
    """A name and what is asked."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$", examples=["Uniformes no Sudeste"])
    request: SearchRequest = Field(examples=[{"ufs": ["SP", "RJ"], "sector": "vestuario"}])


class SavedSearches(BaseModel):
    """All of a tenant's, the newest first."""

    saved_searches: tuple[SavedSearch, ...]


@router.post("", status_code=201, summary="Salvar uma busca", responses=problems(*_BODY, "saved.too_many"))
async def save(
    body: SavedSearchBody, response: Response, desk: AtDesk, shelf: AtShelf, caller: TheCaller
) -> SavedSearch:
    """Keep a search under a name."""
    now = desk.clock()
    saved = SavedSearch(id=uuid4().hex, name=body.name, request=body.request, created_at=now, updated_at=now)
    if not await shelf.save(caller.tenant, saved):
        raise Problem("saved.too_many")
    response.headers["Location"] = f"/v1/saved-searches/{saved.id}"
    if desk.memory is not None:
        with suppress(ValueError):  # a window that is no longer one
            desk.memory.saved(saved.request.normalised(today=day_of(now)).key)
    return saved


@router.get("", summary="As buscas salvas")
async def every(shelf: AtShelf, caller: TheCaller) -> SavedSearches:
    """Every saved search of this key's tenant."""
    return SavedSearches(saved_searches=tuple(await shelf.saved(caller.tenant)))


@router.get("/{saved_id}", summary="Uma busca salva", responses=problems("saved.not_found"))
async def one(saved_id: SavedId, shelf: AtShelf, caller: TheCaller) -> SavedSearch:
    """One saved search."""
    saved = await shelf.saved_one(caller.tenant, saved_id) if _ID.fullmatch(saved_id) else None
    if saved is None:
        raise Problem("saved.not_found")
    return saved


@router.put("/{saved_id}", summary="Alterar uma busca salva", responses=problems(*_BODY, "saved.not_found"))
async def change(
    saved_id: SavedId, body: SavedSearchBody, desk: AtDesk, shelf: AtShelf, caller: TheCaller
) -> SavedSearch:
    """Give a saved search another name or another question."""
    saved = await one(saved_id, shelf, caller)
    changed = saved.model_copy(update={"name": body.name, "request": body.request, "updated_at": desk.clock()})
    await shelf.save(caller.tenant, changed)
    return changed


@router.delete("/{saved_id}", status_code=204, summary="Apagar uma busca salva", responses=problems("saved.not_found"))
async def forget(saved_id: SavedId, shelf: AtShelf, caller: TheCaller) -> Response:
    """Keep it no longer."""
    if not (_ID.fullmatch(saved_id) and await shelf.unsave(caller.tenant, saved_id)):
        raise Problem("saved.not_found")
    return Response(status_code=204)
