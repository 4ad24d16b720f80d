"""One licitação by itself: its record, its history, its items and documents, and its dates for a calendar."""

import asyncio
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from contracts.cell_text import safe_link
from contracts.fetch import DETAILS_WITHIN, DetailsQuery, DetailsReply, Document, Item
from contracts.memory import BidQuery, BidReply
from contracts.subjects import DETAILS, STORED_BID
from contracts.values import BidId, Licitacao
from contracts.when import UtcDatetime
from gateway.domain.calendar import calendar_of
from gateway.domain.problem import Problem
from gateway.domain.shelf import Triage
from gateway.routes.coverage import asker_of
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Desk, TheCaller
from servicekit.errors import DependencyAway, Unavailable
from servicekit.logs import log

router = APIRouter(
    prefix="/v1/bids", tags=["licitações"], responses=problems("key.missing", "key.wrong", "bus.unavailable")
)

_STORED_WITHIN: Final = timedelta(seconds=2)
_DETAILS_WITHIN: Final = DETAILS_WITHIN + timedelta(seconds=1)
_CALENDAR: Final = "text/calendar"

InBidPath = Annotated[
    BidId, Path(examples=["12345678000190-1-000042/2026"], description="A licitação; a barra do id não se escapa.")
]


class Change(BaseModel):
    """One amendment: a field that the notice changed after it was first seen."""

    field: str = Field(examples=["data_encerramento"])
    old: str | None = Field(examples=["2026-12-01T12:00:00+00:00"])
    new: str | None = Field(examples=["2026-12-08T12:00:00+00:00"])
    seen_at: UtcDatetime


class Details(BaseModel):
    """What is published beside the record; null is never "none": that is an empty list."""

    items: tuple[Item, ...] | None = None
    items_cut: bool = False
    """There are more than these."""
    documents: tuple[Document, ...] | None = None
    documents_cut: bool = False
    why: tuple[str, ...] = Field(default=(), examples=[["timeout.items"]])
    """Stable codes of what did not come, or not whole."""
    fetched_at: UtcDatetime | None = None


class BidPage(BaseModel):
    """All that is known of one licitação."""

    bid: Licitacao
    seen_at: UtcDatetime
    """When the record was last read."""
    changes: tuple[Change, ...]
    """The newest first."""
    triage: Triage | None = None
    details: Details | None = None
    """None: not asked for."""
    links: dict[str, str]


@router.get(
    "/{bid_id:path}/calendar.ics",
    summary="As datas de uma licitação para a agenda",
    response_class=Response,
    responses={
        200: {"description": "iCalendar (RFC 5545).", "content": {_CALENDAR: {"schema": {"type": "string"}}}},
        **problems("bid.unknown", "bid.undated", "request.invalid"),
    },
)
async def calendar(bid_id: InBidPath, desk: AtDesk) -> Response:
    """Its opening and the end of its proposals, the latter with a reminder a day before."""
    bid = (await _stored(bid_id, desk)).bid
    made = calendar_of(bid, made_at=desk.clock()) if bid else None
    if made is None:
        raise Problem("bid.undated")
    name = "".join(each if each.isalnum() else "-" for each in bid_id)
    return Response(
        made,
        media_type=f"{_CALENDAR}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="licitacao-{name}.ics"'},
    )


@router.get("/{bid_id:path}", summary="Uma licitação", responses=problems("bid.unknown", "request.invalid"))
async def one(
    bid_id: InBidPath,
    desk: AtDesk,
    caller: TheCaller,
    details: Annotated[bool, Query(description="Também itens e documentos, o que pode levar alguns segundos.")] = True,
) -> BidPage:
    """The record as stored, what was amended since, and what is published beside it."""
    if not details:
        return await _page(bid_id, desk, caller.tenant)
    telling = asyncio.create_task(_details(bid_id, desk, caller.tenant))
    try:
        page = await _page(bid_id, desk, caller.tenant)
        page.details = await telling
    finally:
        telling.cancel()
    return page


async def _page(bid_id: BidId, desk: Desk, tenant: str) -> BidPage:
    stored = await _stored(bid_id, desk)
    if stored.bid is None or stored.seen_at is None:
        raise Problem("bid.unknown")
    links = {"self": f"/v1/bids/{bid_id}", "triage": f"/v1/triage/{bid_id}"}
    if stored.bid.data_abertura or stored.bid.data_encerramento:
        links["calendar"] = f"/v1/bids/{bid_id}/calendar.ics"
    return BidPage(
        bid=stored.bid.model_copy(
            update={"link": safe_link(stored.bid.link), "link_origem": safe_link(stored.bid.link_origem)}
        ),
        seen_at=stored.seen_at,
        changes=tuple(Change.model_validate(each, from_attributes=True) for each in stored.changes),
        triage=await _marked(bid_id, desk, tenant),
        links=links,
    )


async def _stored(bid_id: BidId, desk: Desk) -> BidReply:
    reply: BidReply = await asker_of(desk).request(STORED_BID, BidQuery(id=bid_id), timeout=_STORED_WITHIN)
    if reply.bid is None:
        raise Problem("bid.unknown")
    return reply


async def _details(bid_id: BidId, desk: Desk, tenant: str) -> Details:
    """What the fetcher can read of it now; a source or fetcher that is away leaves the record as it is."""
    query = DetailsQuery(bid_id=bid_id, tenant=tenant)
    try:
        told: DetailsReply = await asker_of(desk).request(DETAILS, query, timeout=_DETAILS_WITHIN)
    except Unavailable as exc:
        log.debug("details_away", why=exc.code)
        return Details(why=("details.unavailable",))
    return Details(
        items=told.items,
        items_cut=told.items_cut,
        documents=None
        if told.documents is None
        else tuple(each for each in told.documents if safe_link(each.link) is not None),
        documents_cut=told.documents_cut,
        why=tuple(filter(None, (told.items_why, told.documents_why))),
        fetched_at=told.fetched_at,
    )


async def _marked(bid_id: BidId, desk: Desk, tenant: str) -> Triage | None:
    if desk.shelf is None:
        return None
    try:
        return (await desk.shelf.marks_of(tenant, [bid_id])).get(bid_id)
    except DependencyAway as exc:
        log.debug("shelf_away", why=exc.code)
        return None
