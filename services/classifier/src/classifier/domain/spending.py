"""What asking a language model may cost in a day, and when it is left alone for a while."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens."""

    asked: Decimal
    answered: Decimal

    def of(self, *, asked: int, answered: int) -> Decimal:
        """What so many tokens cost."""
        return (self.asked * asked + self.answered * answered) / 1_000_000


class DailyBudget:
    """Dollars of one day (UTC): what a call may cost at most is held back before it, and settled after it."""

    def __init__(self, limit: Decimal) -> None:
        """Zero lets nothing through."""
        self._limit = limit
        self._day: date | None = None
        self._spent = Decimal(0)

    def take(self, cost: Decimal, *, now: datetime) -> bool:
        """Hold so much back, if there is enough."""
        if now.date() != self._day:
            self._day, self._spent = now.date(), Decimal(0)
        if self._spent + cost > self._limit:
            return False
        self._spent += cost
        return True

    def settle(self, held: Decimal, cost: Decimal) -> None:
        """Put back what was held and not spent."""
        self._spent = max(Decimal(0), self._spent - held + cost)


class LlmBreaker:
    """Opens after so many failures in a row, for a time that doubles with each failed probe; one probe at a time."""

    def __init__(
        self,
        *,
        failures: int = 5,
        first: timedelta = timedelta(seconds=30),
        longest: timedelta = timedelta(minutes=10),
    ) -> None:
        """Closed."""
        self._allowed, self._first, self._longest = failures, first, longest
        self._failures = 0
        self._wait = first
        self._open_until: datetime | None = None
        self._probing = False

    def lets(self, now: datetime) -> bool:
        """Whether a call may go out now; the first one after the wait is the probe."""
        if self._open_until is None:
            return True
        if now < self._open_until or self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """Closed again."""
        self._failures, self._wait, self._open_until, self._probing = 0, self._first, None, False

    def failed(self, now: datetime, *, retry_after: timedelta | None = None) -> bool:
        """Counts it; a reply that says when to come back opens at once. Returns whether this failure opened it."""
        self._failures += 1
        if self._probing:
            self._wait = min(self._wait * 2, self._longest)
        elif self._open_until is not None or (retry_after is None and self._failures < self._allowed):
            return False
        self._probing = False
        self._open_until = now + min(max(self._wait, retry_after or self._wait), self._longest)
        return True

    def gave_up(self) -> None:
        """The call was cut before it said anything: a probe may be tried again."""
        self._probing = False
