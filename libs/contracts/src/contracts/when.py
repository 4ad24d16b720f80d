"""Times and deadlines: aware UTC inside, America/Sao_Paulo where a day is meant."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime

BRT = ZoneInfo("America/Sao_Paulo")
"""The zone of the sources' days; Brasília time."""


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An aware moment, kept in UTC whatever offset it came with."""


def day_of(moment: datetime) -> date:
    """The publication day of a moment: its calendar day in America/Sao_Paulo."""
    return moment.astimezone(BRT).date()


def from_brasilia(local: datetime) -> datetime:
    """A source's naive local time (PNCP writes Brasília time without an offset) as aware UTC."""
    return local.replace(tzinfo=BRT).astimezone(UTC)


def end_of_day(day: date) -> datetime:
    """The moment (UTC) at which a publication day is over: 24:00 in America/Sao_Paulo."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=BRT).astimezone(UTC)


def days_between(first: date, last: date) -> tuple[date, ...]:
    """Each day from first to last, both included; empty when reversed."""
    return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """An absolute moment (UTC) by which a level reports, done or not. It only ever shrinks."""

    at: datetime

    @classmethod
    def after(cls, now: datetime, budget: timedelta) -> Self:
        """The deadline that lies `budget` after now."""
        return cls(now + budget)

    def remaining(self, now: datetime) -> timedelta:
        """How long there is left; zero once passed, never negative."""
        return max(self.at - now, timedelta(0))

    def passed(self, now: datetime) -> bool:
        """Whether it is too late to begin."""
        return now >= self.at

    def within(self, now: datetime, budget: timedelta) -> "Deadline":
        """The earlier of this deadline and `budget` from now: what a level hands to the next."""
        return min(self, Deadline(now + budget))

    def reserving(self, reserve: timedelta) -> "Deadline":
        """This deadline less what the caller keeps for its own report."""
        return Deadline(self.at - max(reserve, timedelta(0)))
