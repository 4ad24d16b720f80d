"""Transitions from the bus to SQL to the history; the dashboard from the fetchers' bells."""

from datetime import datetime, timedelta
from typing import Any

from contracts.ops import BreakerChanged, CircuitState
from contracts.places import UF
from contracts.sources import SourceSeen
from contracts.subjects import BREAKER_CHANGED, SOURCE_SEEN
from contracts.values import Source
from gateway.domain.circuits import KEPT_FOR
from servicekit.clock import utc_now

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
HISTORY = "/v1/health/circuits/history"


def change(at: datetime, before: CircuitState, after: CircuitState, **more: Any) -> BreakerChanged:
    chosen = {"source": Source.PNCP, "reason": "error_rate", "consecutive_failures": 1, **more}
    return BreakerChanged(before=before, after=after, at=at, **chosen)


async def told(gateway: Any, *changes: BreakerChanged) -> None:
    for each in changes:
        key = f"{each.source}:{each.uf}:{each.after}:{each.at.timestamp()}"
        await gateway.tell(BREAKER_CHANGED.message(each, dedup=key))


class TestHistory:
    async def test_keeps_every_transition_once_and_shows_the_newest_first(self, built: Any, until: Any) -> None:
        now = utc_now()
        changes = [
            change(now - timedelta(minutes=9), CLOSED, OPEN, retry_at=now - timedelta(minutes=8)),
            change(now - timedelta(minutes=8), OPEN, HALF_OPEN, reason="pause_over"),
            change(now - timedelta(minutes=7), CLOSED, OPEN, uf=UF.SP),
            change(now - timedelta(minutes=6), CLOSED, OPEN, source=Source.PCP, part="itens"),
        ]
        async with built() as gateway:
            await told(gateway, *changes)

            async def all_of_them() -> Any:
                found = (await gateway.client.get(HISTORY)).json()["transitions"]
                return found if len(found) == len(changes) else None

            found = await until(all_of_them)
            assert [BreakerChanged.model_validate(each) for each in found] == changes[::-1]
            pncp = (await gateway.client.get(HISTORY, params={"source": "pncp", "limit": 2})).json()
            assert [each["after"] for each in pncp["transitions"]] == ["open", "half_open"]
            rest = await gateway.client.get(HISTORY, params={"source": "pncp", "before": pncp["next_before"]})
            assert len(rest.json()["transitions"]) == 1
            assert rest.json()["next_before"] is None
        async with built() as gateway:
            assert len((await gateway.client.get(HISTORY)).json()["transitions"]) == len(changes)

    async def test_ends_after_400_days(self, built: Any, until: Any) -> None:
        now = utc_now()
        async with built() as gateway:
            await told(gateway, change(now - KEPT_FOR - timedelta(days=1), CLOSED, OPEN), change(now, OPEN, HALF_OPEN))

            async def the_last() -> Any:
                return (await gateway.client.get(HISTORY)).json()["transitions"]

            assert [each["after"] for each in await until(the_last)] == ["half_open"]


class TestDashboard:
    async def test_shows_the_learned_rate_the_counters_and_the_day(self, built: Any, until: Any) -> None:
        now = utc_now()
        async with built() as gateway:
            await told(gateway, change(now - timedelta(minutes=10), CLOSED, OPEN, uf=UF.SP))
            for worker, count in (("a", 2), ("b", 3)):
                seen = SourceSeen(
                    source=Source.PNCP, worker=worker, at=utc_now(), rate_configured=10, rate=5, silent_s=30,
                    state=CLOSED, parts={"SP": OPEN}, counted={"failed.http.429": count}, probes=1,
                )  # fmt: skip
                await gateway.bus.ring(SOURCE_SEEN.message(seen, source=seen.source))

            async def shown() -> Any:
                board = (await gateway.client.get("/v1/health/circuits")).json()
                ready = board["last_24h"] and board["current"][0]["processes"] == 2
                return board if ready else None

            board = await until(shown)
            pncp, pcp = board["current"]
            assert (pncp["rate"], pncp["rate_configured"], pncp["silent_s"]) == (5, 10, 30)
            assert (pncp["state"], pncp["parts"], pncp["probes"]) == ("closed", {"SP": "open"}, 2)
            assert pncp["counted"] == {"failed.http.429": 5}
            assert (pcp["state"], pcp["processes"]) == (None, 0)
            (day,) = board["last_24h"]
            assert (day["circuit"], day["openings"]) == ("pncp.SP", 1)
            assert board["health_score"] == 100
