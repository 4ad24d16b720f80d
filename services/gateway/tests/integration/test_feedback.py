"""Feedback over HTTP; the classifier and the memory are two hands of this file on the real bus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from contracts.feedback import FeedbackOutcome, FeedbackReply, PatternsReply, TellFeedback
from contracts.memory import BidReply
from contracts.places import UF
from contracts.samples import bid
from contracts.subjects import FEEDBACK, FEEDBACK_PATTERNS, STORED_BID
from servicekit.bus import Bus


@asynccontextmanager
async def others(url: str, outcome: FeedbackOutcome, *, stored: bool = True) -> AsyncIterator[list[TellFeedback]]:
    told: list[TellFeedback] = []

    async def take(message: TellFeedback) -> FeedbackReply:
        told.append(message)
        return FeedbackReply(outcome=outcome, retry_after_s=90 if outcome is FeedbackOutcome.LIMITED else None)

    async def show(_query: Any) -> BidReply:
        return BidReply(bid=bid(7) if stored else None)

    async def read(_query: Any) -> PatternsReply:
        return PatternsReply(patterns=(), suggested_terms=(), suggested_exclusions=(), feedback_read=3)

    classifier, cache = Bus(url=url, service="classifier"), Bus(url=url, service="cache")
    classifier.answer(FEEDBACK, take)
    classifier.answer(FEEDBACK_PATTERNS, read)
    cache.answer(STORED_BID, show)
    await classifier.start()
    await cache.start()
    try:
        yield told
    finally:
        await classifier.stop()
        await cache.stop()


def body(told: Any, number: int, verdict: str = "false_positive", **more: Any) -> dict[str, Any]:
    return {"search_id": told.search_id, "bid_id": told.bid_id(UF.SP, number), "user_verdict": verdict, **more}


class TestFeedback:
    async def test_carries_the_bid_as_it_was_judged_and_who_says_so(self, built: Any, told: Any, bus_url: str) -> None:
        async with built() as gateway, others(bus_url, FeedbackOutcome.KEPT) as heard:
            await gateway.tell(*told.found())
            said = body(told, 1, category="wrong_sector")
            reply = await gateway.client.post("/v1/feedback", json=said)
            assert (reply.status_code, reply.json()["outcome"]) == (201, "kept")
            (message,) = heard
            assert (message.user_verdict, message.category, message.tenant) == (
                "false_positive", "wrong_sector", "local"
            )  # fmt: skip
            assert message.snapshot is not None
            assert (message.snapshot.sector, message.snapshot.shown) == ("vestuario", True)
            assert message.snapshot.matched_terms

    async def test_takes_what_was_left_out_from_the_memory(self, built: Any, told: Any, bus_url: str) -> None:
        async with built() as gateway, others(bus_url, FeedbackOutcome.CHANGED) as heard:
            await gateway.tell(*told.found())
            reply = await gateway.client.post("/v1/feedback", json=body(told, 3, "false_negative"))
            assert (reply.status_code, reply.json()["outcome"]) == (200, "changed")
            snapshot = heard[0].snapshot
            assert snapshot is not None
            assert (snapshot.objeto, snapshot.shown) == (bid(7).objeto, False)

    async def test_of_a_bid_that_nobody_knows_is_refused(self, built: Any, told: Any, bus_url: str) -> None:
        async with built() as gateway, others(bus_url, FeedbackOutcome.KEPT, stored=False) as heard:
            await gateway.tell(*told.found())
            reply = await gateway.client.post("/v1/feedback", json=body(told, 3, "false_negative"))
            assert (reply.status_code, reply.json()["code"], heard) == (404, "bid.unknown", [])

    async def test_is_taken_back(self, built: Any, told: Any, bus_url: str) -> None:
        at = {"search_id": told.search_id, "bid_id": told.bid_id(UF.SP, 1)}
        async with built() as gateway:
            await gateway.tell(*told.found())
            async with others(bus_url, FeedbackOutcome.REMOVED) as heard:
                assert (await gateway.client.delete("/v1/feedback", params=at)).status_code == 204
            assert heard[0].user_verdict is None
            async with others(bus_url, FeedbackOutcome.NOT_FOUND):
                assert (await gateway.client.delete("/v1/feedback", params=at)).status_code == 404

    async def test_is_limited_switched_off_and_of_ones_own_searches_only(
        self, built: Any, told: Any, bus_url: str
    ) -> None:
        async with built() as gateway:
            await gateway.tell(*told.found())
            async with others(bus_url, FeedbackOutcome.LIMITED):
                reply = await gateway.client.post("/v1/feedback", json=body(told, 1))
                assert (reply.status_code, reply.headers["retry-after"]) == (429, "90")
            async with others(bus_url, FeedbackOutcome.OFF):
                reply = await gateway.client.post("/v1/feedback", json=body(told, 1))
                assert (reply.status_code, reply.json()["code"]) == (403, "feedback.off")
            _, acme = await gateway.key("acme")
            async with others(bus_url, FeedbackOutcome.KEPT) as heard:
                reply = await gateway.client.post("/v1/feedback", json=body(told, 1), headers=acme)
                assert (reply.status_code, reply.json()["code"], heard) == (404, "search.not_found", [])

    async def test_is_read_by_admins_alone(self, built: Any, bus_url: str) -> None:
        async with built() as gateway, others(bus_url, FeedbackOutcome.KEPT):
            reply = await gateway.client.get("/v1/admin/feedback/patterns", params={"sector": "vestuario"})
            assert (reply.status_code, reply.json()["feedback_read"]) == (200, 3)
            _, acme = await gateway.key("acme")
            assert (await gateway.client.get("/v1/admin/feedback/patterns", headers=acme)).status_code == 403
            reply = await gateway.client.get("/v1/admin/feedback/patterns", params={"sector": "nada"})
            assert reply.status_code == 422
