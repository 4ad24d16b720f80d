"""What a tenant has used in a day, what that has cost, and what happens at the cap."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from contracts.when import day_of

_BRASILIA: Final = ZoneInfo("America/Sao_Paulo")


@dataclass(frozen=True, slots=True)
class DayUsed:
    """One tenant's day, in America/Sao_Paulo."""

    tenant: str
    day: date
    searches: int = 0
    source_requests: int = 0
    llm_tokens: int = 0
    llm_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Caps:
    """Of one tenant and day; 0: none."""

    searches: int = 0
    llm_brl: Decimal = Decimal(0)
    brl_per_usd: Decimal = Decimal("5.50")

    @property
    def any(self) -> bool:
        """Whether there is anything to look up."""
        return bool(self.searches or self.llm_brl)

    def brl(self, usd: Decimal) -> Decimal:
        """What so many dollars are in reais, to the centavo."""
        return (usd * self.brl_per_usd).quantize(Decimal("0.01"))

    def refuses(self, used: DayUsed, *, running: int) -> bool:
        """Whether a further search is one too many; those that run count, their rows come when they end."""
        return bool(self.searches) and used.searches + running >= self.searches

    def llm_left(self, used: DayUsed) -> bool:
        """Whether the model may still be asked; at the cap searches go on, judged by rules alone."""
        return not self.llm_brl or self.brl(used.llm_usd) < self.llm_brl


def seconds_to_midnight(now: datetime) -> int:
    """Until the next day begins in Brasília."""
    tomorrow = datetime.combine(day_of(now) + timedelta(days=1), time(), _BRASILIA)
    return max(1, int((tomorrow - now).total_seconds()))
