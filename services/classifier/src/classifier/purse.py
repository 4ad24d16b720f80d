"""The money of a day: one sum over all processes, and each its own while that cannot be reached."""

from datetime import date
from decimal import Decimal
from typing import Protocol

from classifier.domain.spending import DailyBudget
from classifier.patience import Patience
from servicekit.clock import Clock
from servicekit.errors import DependencyAway
from servicekit.logs import log


class SharedSum(Protocol):
    """Dollars of one day over all processes; raises DependencyAway."""

    async def take(self, cost: Decimal, *, day: date) -> bool:
        """Hold so much back, if there is enough."""

    async def settle(self, held: Decimal, cost: Decimal, *, day: date) -> None:
        """Put back what was held and not spent."""


class Purse:
    """Both are kept: what a process spends while the shared sum is away it does not spend again when it is back."""

    def __init__(self, *, shared: SharedSum | None, own: DailyBudget, clock: Clock) -> None:
        """Without a shared sum each process counts for itself."""
        self._shared, self._own, self._clock = shared, own, clock
        self._patience = Patience(clock)
        self._away = False

    async def take(self, cost: Decimal) -> bool:
        """Hold so much back; False when the day's money is spent."""
        now = self._clock()
        if not self._own.take(cost, now=now):
            return False
        if (shared := self._shared) is None:
            return True
        try:
            enough = await self._patience.ask(lambda: shared.take(cost, day=now.date()))
        except DependencyAway as exc:
            self._told(exc)
            return True
        self._away = False
        if not enough:
            self._own.settle(cost, Decimal(0))
        return enough

    async def settle(self, held: Decimal, cost: Decimal) -> None:
        """Put back what was held and not spent. A sum that is away keeps what was held: it errs on the dear side."""
        self._own.settle(held, cost)
        if (shared := self._shared) is not None and held != cost:
            try:
                await self._patience.ask(lambda: shared.settle(held, cost, day=self._clock().date()))
            except DependencyAway as exc:
                self._told(exc)

    def _told(self, exc: DependencyAway) -> None:
        if not self._away:
            log.warning("llm_purse_away", reason=exc.code)
        self._away = True
