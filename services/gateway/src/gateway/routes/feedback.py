"""Feedback: whether a licitação was rightly shown or left out, told by whoever searched (D05)."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.feedback import (
    BidSnapshot,
    FeedbackCategory,
    FeedbackOutcome,
    FeedbackReply,
    PatternsQuery,
    PatternsReply,
    TellFeedback,
    UserVerdict,
)
from contracts.memory import BidQuery, BidReply
from contracts.sectors import SECTORS, SectorId
from contracts.subjects import FEEDBACK, FEEDBACK_PATTERNS, STORED_BID
from contracts.values import BidId, SearchId
from gateway.domain.keys import Caller
from gateway.domain.problem import Problem
from gateway.routes.coverage import asker_of
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Desk, TheCaller

ANSWERS_WITHIN: Final = timedelta(seconds=5)
PATTERNS_WITHIN: Final = timedelta(seconds=30)
"""Each suggestion is measured on thousands of bids."""
_LONGEST_OBJETO: Final = 8_000
_BODY = ("json.invalid", "request.invalid", "body.too_large", "body.timeout", "media_type.unsupported")

router = APIRouter(prefix="/v1", tags=["avaliações"], responses=problems("key.missing", "key.wrong", "bus.unavailable"))


class FeedbackBody(BaseModel):
    """What someone thinks of one licitação in one search."""

    model_config = ConfigDict(extra="forbid")

    search_id: SearchId = Field(examples=["9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"])
    bid_id: BidId = Field(examples=["12345678000190-1-000042/2026"])
    user_verdict: UserVerdict = Field(examples=["false_positive"])
    """`false_positive`: shown and does not belong; `false_negative`: left out and belongs; `correct`."""
    category: FeedbackCategory | None = Field(default=None, examples=["wrong_sector"])
    """Why, if the person says so."""


class FeedbackKept(BaseModel):
    """That it is kept."""

    outcome: Literal["kept", "changed"]
    """`changed`: this key had said something else of it before."""
    at: datetime | None


@router.post(
    "/feedback",
    status_code=201,
    summary="Dizer se uma licitação pertence ou não à busca",
    responses=problems(*_BODY, "search.not_found", "bid.unknown", "feedback.too_many", "feedback.off"),
)
async def tell(body: FeedbackBody, desk: AtDesk, caller: TheCaller, response: Response) -> FeedbackKept:
    """One word per key, search and licitação: a second one replaces the first (200)."""
    snapshot = await _snapshot(body.search_id, body.bid_id, desk=desk, caller=caller)
    told = TellFeedback(
        user=caller.key_id,
        tenant=caller.tenant,
        search_id=body.search_id,
        bid_id=body.bid_id,
        user_verdict=body.user_verdict,
        category=body.category,
        snapshot=snapshot,
    )
    reply = await _told(told, desk)
    if reply.outcome is FeedbackOutcome.CHANGED:
        response.status_code = 200
    return FeedbackKept(outcome="changed" if reply.outcome is FeedbackOutcome.CHANGED else "kept", at=reply.at)


@router.delete(
    "/feedback",
    status_code=204,
    summary="Retirar o que se disse de uma licitação",
    responses=problems("request.invalid", "search.not_found", "mark.not_found", "feedback.too_many", "feedback.off"),
)
async def take_back(
    desk: AtDesk,
    caller: TheCaller,
    search_id: Annotated[SearchId, Query(examples=["9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"])],
    bid_id: Annotated[BidId, Query(examples=["12345678000190-1-000042/2026"])],
) -> Response:
    """This key's word on this licitação in this search is gone."""
    await _owned(search_id, desk=desk, caller=caller)
    told = TellFeedback(
        user=caller.key_id, tenant=caller.tenant, search_id=search_id, bid_id=bid_id, user_verdict=None
    )  # fmt: skip
    if (await _told(told, desk)).outcome is FeedbackOutcome.NOT_FOUND:
        raise Problem("mark.not_found")
    return Response(status_code=204)


@router.get(
    "/admin/feedback/patterns",
    summary="O que as avaliações têm em comum, e o que sugerem ao catálogo",
    responses=problems("request.invalid", "scope.missing"),
)
async def patterns(desk: AtDesk, sector: Annotated[SectorId | None, Query()] = None) -> PatternsReply:
    """Bigrams, co-occurrences, and suggested terms and exclusions with their effect on the labelled bids."""
    query = PatternsQuery(sector=sector)
    reply: PatternsReply = await asker_of(desk).request(FEEDBACK_PATTERNS, query, timeout=PATTERNS_WITHIN)
    return reply


async def _told(told: TellFeedback, desk: Desk) -> FeedbackReply:
    reply: FeedbackReply = await asker_of(desk).request(FEEDBACK, told, timeout=ANSWERS_WITHIN)
    if reply.outcome is FeedbackOutcome.OFF:
        raise Problem("feedback.off")
    if reply.outcome is FeedbackOutcome.LIMITED:
        raise Problem("feedback.too_many", headers={"Retry-After": str(reply.retry_after_s or 60)})
    return reply


async def _owned(search_id: SearchId, *, desk: Desk, caller: Caller) -> None:
    if await desk.owners.owner(search_id) != caller.tenant:
        raise Problem("search.not_found")


async def _snapshot(search_id: SearchId, bid_id: BidId, *, desk: Desk, caller: Caller) -> BidSnapshot:
    """The bid as the search judged it; what was left out is not in the log whole, so the memory is asked."""
    await _owned(search_id, desk=desk, caller=caller)
    words = await desk.searches.query_words(search_id)
    sector = words[0] if words and words[0] in SECTORS else None
    standing = await desk.searches.standing(search_id, bid_id)
    row = standing.result if standing is not None else None
    if row is not None:
        return BidSnapshot(
            objeto=row.objeto[:_LONGEST_OBJETO],
            sector=sector,
            confidence_score=row.confidence_score,
            matched_terms=row.matched_terms,
        )
    reply: BidReply = await asker_of(desk).request(STORED_BID, BidQuery(id=bid_id), timeout=ANSWERS_WITHIN)
    if reply.bid is None:
        raise Problem("bid.unknown")
    return BidSnapshot(objeto=reply.bid.objeto[:_LONGEST_OBJETO], sector=sector, shown=False)
