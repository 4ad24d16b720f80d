from datetime import UTC, date, datetime
from decimal import Decimal

from classifier.domain.spending import DailyBudget
from classifier.purse import Purse
from servicekit.errors import DependencyAway

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


class FakeSum:
    """One sum for several purses; away when told so."""

    def __init__(self, limit: str) -> None:
        self.left, self.away = Decimal(limit), False

    async def take(self, cost: Decimal, *, day: date) -> bool:
        self.check(day)
        if cost > self.left:
            return False
        self.left -= cost
        return True

    async def settle(self, held: Decimal, cost: Decimal, *, day: date) -> None:
        self.check(day)
        self.left += held - cost

    def check(self, day: date) -> None:
        assert day == NOW.date()
        if self.away:
            raise DependencyAway("sql", "sql: gone")


def purse(shared: FakeSum | None, own: str = "10") -> Purse:
    return Purse(shared=shared, own=DailyBudget(Decimal(own)), clock=lambda: NOW)


class TestPurse:
    async def test_shares_one_sum_with_other_processes(self) -> None:
        shared = FakeSum("3")
        one, other = purse(shared), purse(shared)
        assert await one.take(Decimal(2))
        assert not await other.take(Decimal(2))
        await one.settle(Decimal(2), Decimal(1))
        assert await other.take(Decimal(2))

    async def test_keeps_to_its_own_sum_while_the_shared_one_is_away(self) -> None:
        shared = FakeSum("100")
        shared.away = True
        mine = purse(shared, own="3")
        assert await mine.take(Decimal(2))
        await mine.settle(Decimal(2), Decimal(2))
        assert not await mine.take(Decimal(2))

    async def test_gives_back_its_own_where_the_shared_one_refuses(self) -> None:
        shared = FakeSum("1")
        mine = purse(shared, own="2")
        assert not await mine.take(Decimal(2))
        shared.left = Decimal(2)
        assert await mine.take(Decimal(2))
