from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.domain.feriados import easter, feriados, is_working_day, working_days

DAYS = st.dates(date(2021, 1, 1), date(2040, 12, 31))


class TestEaster:
    @pytest.mark.parametrize(
        "sunday",
        [
            date(2021, 4, 4),
            date(2024, 3, 31),
            date(2025, 4, 20),
            date(2026, 4, 5),
            date(2027, 3, 28),
            date(2038, 4, 25),
        ],
    )
    def test_falls_as_the_almanac_says(self, sunday: date) -> None:
        assert easter(sunday.year) == sunday


class TestFeriados:
    @pytest.mark.parametrize(
        "day",
        [
            date(2026, 1, 1), date(2026, 2, 16), date(2026, 2, 17), date(2026, 4, 3), date(2026, 4, 21),
            date(2026, 5, 1), date(2026, 6, 4), date(2026, 9, 7), date(2026, 10, 12), date(2026, 11, 2),
            date(2026, 11, 15), date(2026, 11, 20), date(2026, 12, 25),
        ],
    )  # fmt: skip
    def test_are_the_national_ones_of_2026(self, day: date) -> None:
        assert day in feriados(2026)
        assert not is_working_day(day)

    def test_are_thirteen_and_one_less_before_the_law_of_2023(self) -> None:
        assert (len(feriados(2026)), len(feriados(2023))) == (13, 12)


class TestWorkingDays:
    @pytest.mark.parametrize(
        ("after", "until", "count"),
        [
            (date(2026, 11, 6), date(2026, 11, 8), 0),  # a weekend
            (date(2026, 11, 6), date(2026, 11, 9), 1),
            (date(2026, 11, 19), date(2026, 11, 22), 0),  # a holiday on a Friday
            (date(2026, 11, 3), date(2026, 11, 3), 0),
            (date(2026, 11, 3), date(2026, 11, 1), 0),
            (date(2026, 2, 13), date(2026, 2, 18), 1),  # Carnaval
        ],
    )
    def test_leave_weekends_and_holidays_out(self, after: date, until: date, count: int) -> None:
        assert working_days(after, until) == count

    @given(DAYS, st.integers(0, 90), st.integers(0, 90))
    def test_add_up(self, start: date, first: int, second: int) -> None:
        middle, end = start + timedelta(days=first), start + timedelta(days=first + second)
        assert working_days(start, middle) + working_days(middle, end) == working_days(start, end)

    def test_are_counted_up_to_a_bound(self) -> None:
        assert working_days(date(2026, 1, 1), date(9999, 1, 1)) == 400
