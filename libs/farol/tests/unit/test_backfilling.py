from datetime import date, timedelta
from typing import Any

from farol.backfilling import STILL_FOR, WINDOW_DAYS, Step, backfill, windows

FIRST, LAST = date(2026, 9, 1), date(2026, 10, 15)


class Farol:
    """Fetches some slices a look, or none; some always fail."""

    def __init__(self, *, slices: int, pace: int, failing: int = 0) -> None:
        self.slices, self.pace, self.failing = slices, pace, failing
        self.left: dict[str, int] = {}
        self.asked: list[dict[str, Any]] = []

    async def backfill(self, params: dict[str, Any]) -> dict[str, int]:
        self.asked.append(params)
        left = self.left.setdefault(params["date_from"], self.slices)
        self.left[params["date_from"]] = max(self.failing, left - self.pace)
        busy = left > self.failing
        return {
            "left": left, "resting": self.failing if not busy else 0, "claimed": 0, "unfinished": int(busy),
        }  # fmt: skip


async def steps(farol: Farol) -> list[Step]:
    async def no_pause(_seconds: float) -> None:
        pass

    return [each async for each in backfill(farol, ufs=("SP", "RJ"), first=FIRST, last=LAST, pause=no_pause)]


class TestWindows:
    def test_cover_every_day_once_the_newest_first(self) -> None:
        made = list(windows(FIRST, LAST))
        assert made == [(date(2026, 9, 15), LAST), (FIRST, date(2026, 9, 14))]
        assert max((last - first).days + 1 for first, last in made) == WINDOW_DAYS

    def test_are_none_of_no_days(self) -> None:
        assert list(windows(LAST, LAST - timedelta(days=1))) == []


class TestBackfill:
    async def test_goes_on_until_nothing_is_left_in_any_window(self) -> None:
        farol = Farol(slices=10, pace=5)
        done = await steps(farol)
        assert [step.left for step in done if step.over] == [0, 0]
        assert [step.left for step in done if step.date_to == LAST] == [10, 5, 0]
        assert {tuple(params["uf"]) for params in farol.asked} == {("SP", "RJ")}

    async def test_leaves_what_has_just_failed_to_another_day(self) -> None:
        done = await steps(Farol(slices=10, pace=5, failing=2))
        assert [(step.left, step.resting) for step in done if step.over] == [(2, 2), (2, 2)]

    async def test_gives_up_where_nothing_moves(self) -> None:
        farol = Farol(slices=10, pace=0)
        done = await steps(farol)
        assert [step.left for step in done if step.over] == [10, 10]
        assert len(farol.asked) == 2 * (STILL_FOR + 1)
