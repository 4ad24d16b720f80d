"""What operators see of the memory of answers, and letting some of it go."""

from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.answers import (
    AnswerPriority,
    CacheQuery,
    CacheReply,
    EntryQuery,
    EntryReply,
    EntryState,
    Forget,
    ForgetReply,
    LevelState,
)
from contracts.ops import CircuitState
from contracts.sources import SourceSeen
from contracts.stored import Age, Level
from contracts.subjects import CACHE_ENTRIES, CACHE_STATE, FORGET, SOURCE_SEEN
from contracts.values import Source
from servicekit.bus import Bus

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
KEY = "v2-" + "a" * 32
ENTRY = EntryState(
    key=KEY, priority=AnswerPriority.HOT, age=Age.FRESH, access_count=4, last_accessed_at=NOW, last_success_at=NOW,
    last_attempt_at=NOW, fail_streak=0, degraded_until=None, fetch_duration_ms=900, coverage_pct=100, total=3, size=99,
    finished_at=NOW, due_at=NOW,
)  # fmt: skip


class Memory:
    def __init__(self) -> None:
        self.forgotten: list[str | None] = []
        self.behind = False

    async def state(self, _query: CacheQuery) -> CacheReply:
        levels = tuple(LevelState(level=level, available=True, behind=self.behind) for level in Level)
        return CacheReply(
            hits_24h=6, stale_24h=2, misses_24h=2, total_entries=1, priority_distribution={"hot": 1},
            age_distribution={"fresh": 1}, degraded_keys=(KEY,), degraded_keys_count=1, avg_fail_streak=0.5,
            levels=levels, redis="connected", redis_latency_ms=0.4, redis_memory_used_mb=1.5, at=NOW,
        )  # fmt: skip

    async def entries(self, query: EntryQuery) -> EntryReply:
        return EntryReply(entries=(ENTRY,) if query.key in {None, KEY} else ())

    async def forget(self, wish: Forget) -> ForgetReply:
        self.forgotten.append(wish.key)
        return ForgetReply(dropped=0 if wish.key not in {None, KEY} else 1)


@pytest.fixture
async def memory(bus_url: str) -> Any:
    memory, bus = Memory(), Bus(url=bus_url, service="cache")
    bus.answer(CACHE_STATE, memory.state)
    bus.answer(CACHE_ENTRIES, memory.entries)
    bus.answer(FORGET, memory.forget)
    await bus.start()
    yield memory
    await bus.stop()


class TestCacheRoutes:
    async def test_tell_how_the_memory_does(self, built: Any, memory: Memory) -> None:
        async with built() as gateway:
            health = (await gateway.client.get("/v1/health/cache")).json()
            assert (health["status"], health["redis"], health["redis_connected"]) == ("healthy", "connected", True)
            assert (health["redis_latency_ms"], health["redis_memory_used_mb"]) == (0.4, 1.5)
            assert (health["degraded_keys_count"], health["avg_fail_streak"]) == (1, 0.5)
            memory.behind = True
            assert (await gateway.client.get("/v1/health/cache")).json()["status"] == "degraded"

            metrics = (await gateway.client.get("/v1/admin/cache/metrics")).json()
            assert (metrics["hit_rate_24h"], metrics["miss_rate_24h"], metrics["stale_served_24h"]) == (0.8, 0.2, 2)
            assert metrics["degraded_keys"] == [KEY]

    async def test_tell_whether_breaker_and_limiter_are_shared(self, built: Any, until: Any) -> None:
        """B06, also when the memory itself does not answer."""
        seen = SourceSeen(
            source=Source.PNCP, worker="f1", at=datetime.now(UTC), rate_configured=10, rate=7.5, shared=False,
            state=CircuitState.HALF_OPEN, waiting=3,
        )  # fmt: skip
        async with built() as gateway:

            async def told() -> Any:
                await gateway.bus.ring(SOURCE_SEEN.message(seen, source=Source.PNCP))
                health = (await gateway.client.get("/v1/health/cache")).json()
                by_source = {each["source"]: each for each in health["sources"]}
                return by_source if by_source["pncp"]["processes"] else None

            sources = await until(told)
            pncp = sources["pncp"]
            assert (pncp["state"], pncp["shared"], pncp["rate"], pncp["waiting"]) == ("half_open", False, 7.5, 3)
            assert (sources["pcp"]["state"], sources["pcp"]["processes"]) == (None, 0)

    async def test_say_so_when_nobody_answers(self, built: Any) -> None:
        async with built() as gateway:
            health = await gateway.client.get("/v1/health/cache")
            assert (health.status_code, health.json()["status"]) == (200, "unavailable")
            assert (await gateway.client.get("/v1/admin/cache/metrics")).status_code == 503

    async def test_show_and_drop_entries(self, built: Any, memory: Memory) -> None:
        other = "v2-" + "b" * 32
        async with built() as gateway:
            assert (await gateway.client.get("/v1/admin/cache")).json()["entries"][0]["key"] == KEY
            assert (await gateway.client.get(f"/v1/admin/cache/{KEY}")).json()["access_count"] == 4
            for key in (other, "not-a-key"):
                missing = await gateway.client.get(f"/v1/admin/cache/{key}")
                assert (missing.status_code, missing.json()["code"]) == (404, "entry.not_found")
            assert (await gateway.client.delete(f"/v1/admin/cache/{KEY}")).json() == {"dropped": 1}
            assert (await gateway.client.delete(f"/v1/admin/cache/{other}")).status_code == 404
            refused = await gateway.client.delete("/v1/admin/cache")
            assert (refused.status_code, refused.json()["code"]) == (400, "confirmation.missing")
            every = await gateway.client.delete("/v1/admin/cache", headers={"X-Confirm": "delete-all"})
            assert every.json() == {"dropped": 1}
            assert memory.forgotten == [KEY, other, None]

    async def test_are_for_admins(self, built: Any, memory: Memory) -> None:
        async with built() as gateway:
            _, search_only = await gateway.key("acme")
            assert (await gateway.client.get("/v1/admin/cache/metrics", headers=search_only)).status_code == 403
            assert memory.forgotten == []
