"""Working days in Brazil: national holidays, and the days when no public office opens (Carnaval, Corpus Christi)."""

from datetime import date, timedelta
from functools import lru_cache

_FIXED = ((1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (12, 25))
_CONSCIENCIA_NEGRA = (11, 20)
_CONSCIENCIA_NEGRA_FROM = 2024
"""Lei 14.759 of December 2023."""
_AROUND_EASTER = (-48, -47, -2, 60)
"""Carnaval (Monday and Tuesday), Sexta-feira Santa, Corpus Christi."""
_SATURDAY = 5


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=64)
def feriados(year: int) -> frozenset[date]:
    """The days of a year on which the country does not work, weekends apart."""
    fixed = [date(year, month, day) for month, day in _FIXED]
    if year >= _CONSCIENCIA_NEGRA_FROM:
        fixed.append(date(year, *_CONSCIENCIA_NEGRA))
    sunday = easter(year)
    return frozenset((*fixed, *(sunday + timedelta(days=days) for days in _AROUND_EASTER)))


def is_working_day(day: date) -> bool:
    """Whether public offices open."""
    return day.weekday() < _SATURDAY and day not in feriados(day.year)


def working_days(after: date, until: date, *, at_most: int = 400) -> int:
    """Working days after one day and until another, that one included; counted up to a bound."""
    count, day = 0, after
    while day < until and count < at_most:
        day += timedelta(days=1)
        count += is_working_day(day)
    return count
