from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from classifier.domain.spending import DailyBudget, LlmBreaker, Prices

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class TestDailyBudget:
    def test_lets_nothing_through_that_it_cannot_pay(self) -> None:
        budget = DailyBudget(Decimal(3))
        assert [budget.take(Decimal(1), now=NOW) for _ in range(4)] == [True, True, True, False]

    def test_gives_back_what_was_held_and_not_spent(self) -> None:
        budget = DailyBudget(Decimal(1))
        assert budget.take(Decimal(1), now=NOW)
        budget.settle(Decimal(1), Decimal("0.25"))
        assert budget.take(Decimal("0.75"), now=NOW)
        assert not budget.take(Decimal("0.01"), now=NOW)

    def test_begins_anew_each_day(self) -> None:
        budget = DailyBudget(Decimal(1))
        assert budget.take(Decimal(1), now=NOW)
        assert budget.take(Decimal(1), now=NOW + timedelta(days=1))

    @given(st.lists(st.tuples(st.decimals(0, 2, places=2), st.decimals(0, 1, places=2))))
    def test_never_spends_more_than_the_limit(self, calls: list[tuple[Decimal, Decimal]]) -> None:
        budget, spent = DailyBudget(Decimal(5)), Decimal(0)
        for held, share in calls:
            if budget.take(held, now=NOW):
                budget.settle(held, held * share)
                spent += held * share
        assert spent <= 5

    def test_of_zero_pays_for_nothing(self) -> None:
        assert not DailyBudget(Decimal(0)).take(Decimal("0.000001"), now=NOW)


class TestPrices:
    def test_are_for_a_million_tokens(self) -> None:
        assert Prices(asked=Decimal("0.10"), answered=Decimal("0.40")).of(asked=500_000, answered=250_000) == Decimal(
            "0.15"
        )


class TestLlmBreaker:
    def test_opens_after_failures_in_a_row(self) -> None:
        breaker = LlmBreaker(failures=3, first=10 * SECOND)
        assert [breaker.failed(NOW) for _ in range(3)] == [False, False, True]
        assert not breaker.lets(NOW + 9 * SECOND)

    def test_forgets_failures_at_a_success(self) -> None:
        breaker = LlmBreaker(failures=2)
        breaker.failed(NOW)
        breaker.succeeded()
        assert not breaker.failed(NOW)
        assert breaker.lets(NOW)

    def test_lets_one_probe_through_and_waits_twice_as_long_if_it_fails(self) -> None:
        breaker = LlmBreaker(failures=1, first=10 * SECOND)
        breaker.failed(NOW)
        later = NOW + 10 * SECOND
        assert [breaker.lets(later), breaker.lets(later)] == [True, False]
        assert breaker.failed(later)
        assert not breaker.lets(later + 19 * SECOND)
        assert breaker.lets(later + 20 * SECOND)
        breaker.succeeded()
        assert breaker.lets(later + 20 * SECOND)

    def test_opens_at_once_when_told_when_to_come_back(self) -> None:
        breaker = LlmBreaker(failures=5, first=SECOND)
        assert breaker.failed(NOW, retry_after=30 * SECOND)
        assert not breaker.lets(NOW + 29 * SECOND)
        assert breaker.lets(NOW + 30 * SECOND)

    def test_never_waits_longer_than_its_longest(self) -> None:
        breaker = LlmBreaker(failures=1, first=10 * SECOND, longest=15 * SECOND)
        breaker.failed(NOW, retry_after=timedelta(hours=1))
        assert breaker.lets(NOW + 15 * SECOND)

    def test_probes_again_when_a_probe_was_cut(self) -> None:
        breaker = LlmBreaker(failures=1, first=SECOND)
        breaker.failed(NOW)
        assert breaker.lets(NOW + SECOND)
        breaker.gave_up()
        assert breaker.lets(NOW + SECOND)
