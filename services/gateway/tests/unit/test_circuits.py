"""The sources' circuits: how a day is counted, and what the fetchers' words come to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.ops import BreakerChanged, CircuitState
from contracts.places import UF
from contracts.sources import SourceSeen
from contracts.values import Source
from gateway.domain.circuits import SILENT_AFTER, Day, Seen, circuit_of, days, health_score

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def change(before: CircuitState, after: CircuitState, *, minutes_ago: float, uf: UF | None = None) -> BreakerChanged:
    return BreakerChanged(
        source=Source.PNCP, uf=uf, before=before, after=after, reason="error_rate",
        at=NOW - timedelta(minutes=minutes_ago),
    )  # fmt: skip


def seen(worker: str = "a", *, seconds_ago: float = 1, **more: Any) -> SourceSeen:
    chosen = {"source": Source.PNCP, "rate_configured": 10, "rate": 10, "state": CLOSED, **more}
    return SourceSeen(worker=worker, at=NOW - timedelta(seconds=seconds_ago), **chosen)


class TestCircuitOf:
    @pytest.mark.parametrize(
        ("part", "name"), [({}, "pncp"), ({"uf": UF.SP}, "pncp.SP"), ({"part": "itens"}, "pncp.itens")]
    )
    def test_names_the_source_and_its_part(self, part: dict[str, Any], name: str) -> None:
        assert circuit_of(change(CLOSED, OPEN, minutes_ago=1).model_copy(update=part)) == name


class TestDays:
    def test_count_openings_and_how_long_it_was_not_trusted(self) -> None:
        changes = [
            change(CLOSED, OPEN, minutes_ago=60),
            change(OPEN, HALF_OPEN, minutes_ago=59),
            change(HALF_OPEN, OPEN, minutes_ago=58.5),
            change(OPEN, HALF_OPEN, minutes_ago=56.5),
            change(HALF_OPEN, CLOSED, minutes_ago=56),
        ]
        assert days(changes, now=NOW) == [Day("pncp", transitions=5, openings=2, not_closed_s=240)]

    def test_count_what_began_before_the_day_and_what_is_not_over(self) -> None:
        before = change(OPEN, HALF_OPEN, minutes_ago=23 * 60)
        after = change(CLOSED, OPEN, minutes_ago=10, uf=UF.SP)
        whole = Day("pncp", transitions=1, openings=0, not_closed_s=24 * 3600)
        assert days([before, after], now=NOW) == [whole, Day("pncp.SP", 1, 1, 600)]

    def test_leave_out_what_is_older(self) -> None:
        assert days([change(CLOSED, OPEN, minutes_ago=24 * 60 + 1)], now=NOW) == []


class TestHealthScore:
    @pytest.mark.parametrize(
        ("state", "away_s", "score"),
        [(CLOSED, 0, 100), (CLOSED, 8640, 90), (OPEN, 60, 30), (HALF_OPEN, 60, 60), (None, 43_200, 50)],
    )
    def test_is_the_day_and_no_better_than_now(self, state: CircuitState | None, away_s: int, score: int) -> None:
        assert health_score({Source.PNCP: state}, [Day("pncp", 2, 1, away_s)]) == score

    def test_is_the_mean_over_the_sources_and_counts_no_single_uf(self) -> None:
        states: dict[Source, CircuitState | None] = {Source.PNCP: CLOSED, Source.PCP: OPEN}
        assert health_score(states, [Day("pncp.SP", 2, 1, 40_000)]) == 65


class TestSeen:
    def test_keeps_the_newest_word_of_each_process(self) -> None:
        heard = Seen()
        for each in (seen(rate=5, seconds_ago=2), seen(rate=7, seconds_ago=4), seen("b", seconds_ago=3)):
            heard.hear(each)
        told = heard.of(Source.PNCP, now=NOW)
        assert [(each.worker, each.rate) for each in told] == [("a", 5), ("b", 10)]

    def test_forgets_a_process_that_is_silent(self) -> None:
        heard = Seen()
        heard.hear(seen(seconds_ago=SILENT_AFTER.total_seconds() + 1))
        assert heard.of(Source.PNCP, now=NOW) == []

    def test_tells_each_source_apart(self) -> None:
        heard = Seen()
        heard.hear(seen(source=Source.PCP))
        assert heard.of(Source.PNCP, now=NOW) == []
