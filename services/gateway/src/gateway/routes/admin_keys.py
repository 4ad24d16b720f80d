"""The keys of the API: made, listed and ended by whoever holds one with the scope `admin`."""

import re
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.keys import TENANT_PATTERN, KeyRecord, Scope
from gateway.domain.problem import Problem
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Desk, Keys

router = APIRouter(
    prefix="/v1/admin/keys",
    tags=["administração"],
    responses=problems("key.missing", "key.wrong", "scope.missing", "requests.too_many", "storage.away"),
)

KeyId = Annotated[str, Path(description="A parte pública da chave.", examples=["4f2a9c1e"])]

_ID: Final = re.compile(r"[A-Za-z0-9]{4,32}")


class NewKey(BaseModel):
    """What a key is to open."""

    model_config = ConfigDict(extra="forbid")

    tenant: str = Field(pattern=TENANT_PATTERN, examples=["acme"])
    """Whose searches it sees; keys of one tenant share them."""
    name: str = Field(default="", max_length=80, pattern=r"^[^\x00-\x1f]*$", examples=["integração do ERP"])
    scopes: tuple[Scope, ...] = Field(default=(Scope.SEARCH,), min_length=1, max_length=3, examples=[["search"]])


class KeyShown(BaseModel):
    """A key without its secret."""

    id: str = Field(examples=["4f2a9c1e"])
    tenant: str = Field(examples=["acme"])
    name: str = Field(examples=["integração do ERP"])
    scopes: tuple[Scope, ...] = Field(examples=[["search"]])
    created_at: datetime
    revoked_at: datetime | None = None
    """None while it opens."""


class KeyMade(KeyShown):
    """A new key."""

    key: str = Field(examples=["farol_4f2a9c1e_..."])
    """Shown this once: only its digest is kept."""


class KeyList(BaseModel):
    """Every key, the newest first."""

    keys: tuple[KeyShown, ...]


@router.post(
    "",
    status_code=201,
    summary="Criar uma chave",
    responses=problems("json.invalid", "request.invalid", "body.too_large", "body.timeout", "media_type.unsupported"),
)
async def create(body: NewKey, desk: AtDesk) -> KeyMade:
    """Make a key. Its reply is not kept for `Idempotency-Key`, since it shows a secret."""
    key, record = await _keys(desk).create(tenant=body.tenant, name=body.name, scopes=frozenset(body.scopes))
    return KeyMade(key=key, **_shown(record).model_dump())


@router.get("", summary="Listar as chaves")
async def every(desk: AtDesk) -> KeyList:
    """Every key without its secret, also those that have ended."""
    return KeyList(keys=tuple(_shown(record) for record in await _keys(desk).all()))


@router.delete("/{key_id}", status_code=204, summary="Revogar uma chave", responses=problems("key.not_found"))
async def revoke(key_id: KeyId, desk: AtDesk) -> Response:
    """End a key: within a second it opens nothing in any gateway."""
    if not (_ID.fullmatch(key_id) and await _keys(desk).revoke(key_id)):
        raise Problem("key.not_found")
    return Response(status_code=204)


def _keys(desk: Desk) -> Keys:
    if desk.keys is None:
        raise Problem("storage.away", headers={"Retry-After": "2"})
    return desk.keys


def _shown(record: KeyRecord) -> KeyShown:
    return KeyShown(
        id=record.id,
        tenant=record.tenant,
        name=record.name,
        scopes=tuple(sorted(record.scopes)),
        created_at=record.created_at,
        revoked_at=record.revoked_at,
    )
