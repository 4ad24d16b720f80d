"""What tenants use is counted once per search, told in reais, and capped by the day."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from contracts.search import Completed, Usage
from contracts.subjects import COMPLETED, REQUESTED, Outgoing
from contracts.when import day_of

BODY = {"ufs": ["SP"], "sector": "vestuario"}


def _ended(story: Any, usage: Usage) -> Outgoing:
    completed: Completed = story.completed(None).value
    fact = completed.model_copy(update={"usage": usage, "at": datetime.now(UTC)})
    return COMPLETED.message(fact, search_id=story.search_id)


class TestUsage:
    async def test_is_counted_once_and_told_in_reais(self, built: Callable[..., Any], until, told):
        async with built(brl_per_usd=Decimal(6)) as gateway:
            used = Usage(source_requests=12, llm_tokens=900, llm_usd=Decimal("0.015"))
            await gateway.tell(told.requested())
            ended = _ended(told, used)
            await gateway.tell(ended)
            await gateway.bus.publish(ended)

            async def counted() -> Any:
                return (await gateway.client.get("/v1/usage")).json()["usage"]

            [day] = await until(counted)
            assert day == {
                "tenant": "local", "day": day_of(datetime.now(UTC)).isoformat(), "searches": 1, "source_requests": 12,
                "llm_tokens": 900, "llm_brl": "0.09",
            }  # fmt: skip
            _, acme = await gateway.key("acme", "search")
            assert (await gateway.client.get("/v1/usage", headers=acme)).json()["usage"] == []
            assert (await gateway.client.get("/v1/admin/usage", headers=acme)).status_code == 403
            assert [each["tenant"] for each in (await gateway.client.get("/v1/admin/usage")).json()["usage"]] == [
                "local"
            ]

    async def test_above_the_days_searches_new_ones_wait_for_tomorrow(self, built: Callable[..., Any], until, told):
        async with built(daily_searches=2) as gateway:
            await gateway.tell(told.requested(), _ended(told, Usage()))

            async def counted() -> Any:
                return (await gateway.client.get("/v1/usage")).json()["usage"]

            await until(counted)
            assert (await gateway.client.post("/v1/searches", json=BODY)).status_code == 202
            refused = await gateway.client.post("/v1/searches", json=BODY)
            assert (refused.status_code, refused.json()["code"]) == (429, "usage.day_spent")
            assert 0 < int(refused.headers["Retry-After"]) <= timedelta(days=1).total_seconds()

    async def test_above_the_days_money_searches_go_on_by_rules_alone(self, built: Callable[..., Any], until, told):
        async with built(daily_llm_brl=Decimal("0.05"), brl_per_usd=Decimal(5)) as gateway:

            async def llm_of(reply: Any) -> bool:
                stored = await gateway.bus.last(REQUESTED.subject(search_id=reply.json()["search_id"]))
                return REQUESTED.decode(stored.body).llm

            assert await llm_of(await gateway.client.post("/v1/searches", json=BODY))
            await gateway.tell(told.requested(), _ended(told, Usage(llm_tokens=1, llm_usd=Decimal("0.01"))))

            async def counted() -> Any:
                return (await gateway.client.get("/v1/usage")).json()["usage"]

            await until(counted)
            asked = await gateway.client.post("/v1/searches", json={**BODY, "ufs": ["RJ"]})
            assert asked.status_code == 202
            assert not await llm_of(asked)
