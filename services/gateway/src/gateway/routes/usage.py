"""What tenants have used and what it has cost."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from contracts.when import day_of
from gateway.domain.problem import Problem
from gateway.domain.usage import Caps
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Desk, TheCaller

router = APIRouter(
    prefix="/v1", tags=["uso"], responses=problems("key.missing", "key.wrong", "requests.too_many", "storage.away")
)

Days = Annotated[int, Query(ge=1, le=366, description="Os últimos dias, hoje incluído.")]


class Used(BaseModel):
    """One tenant's day, in Brasília."""

    tenant: str
    day: date
    searches: int
    source_requests: int
    llm_tokens: int
    llm_brl: Decimal


class DailyCaps(BaseModel):
    """Of each tenant and day; null: none."""

    searches: int | None
    llm_brl: Decimal | None


class Usage(BaseModel):
    """The newest day first."""

    usage: tuple[Used, ...]
    caps: DailyCaps


@router.get("/usage", summary="O que você usou")
async def mine(desk: AtDesk, caller: TheCaller, days: Days = 30) -> Usage:
    """Finished searches of the caller's tenant, by day."""
    return await _usage(desk, days, caller.tenant)


@router.get("/admin/usage", summary="O que cada cliente usou", responses=problems("scope.missing"))
async def everyones(desk: AtDesk, days: Days = 30) -> Usage:
    """Finished searches of every tenant, by day."""
    return await _usage(desk, days, None)


async def _usage(desk: Desk, days: int, tenant: str | None) -> Usage:
    if desk.usage is None:
        raise Problem("storage.away", headers={"Retry-After": "2"})
    caps: Caps = desk.caps
    found = await desk.usage.since(day_of(desk.clock()) - timedelta(days=days - 1), tenant=tenant)
    return Usage(
        usage=tuple(
            Used(
                tenant=each.tenant, day=each.day, searches=each.searches, source_requests=each.source_requests,
                llm_tokens=each.llm_tokens, llm_brl=caps.brl(each.llm_usd),
            )
            for each in found
        ),
        caps=DailyCaps(searches=caps.searches or None, llm_brl=caps.llm_brl or None),
    )  # fmt: skip
