"""What the commands of a plan ask for."""

from datetime import timedelta

from contracts.query import Scope
from contracts.samples import NOW, TODAY, query
from contracts.search import Requested
from coordinator.domain.plan import Budgets, gathers, plan

BUDGETS = Budgets(per_source=timedelta(seconds=180), consolidation=timedelta(seconds=300))


def requested(**changes):
    return Requested(
        search_id="ab" * 16,
        tenant="local",
        query=query().model_copy(update=changes),
        created_at=NOW,
        deadline=NOW + timedelta(seconds=360),
        correlation_id="c",
    )


class TestGathers:
    def test_name_every_day_of_the_window_and_leave_the_closing_date_alone(self):
        asked = requested()
        for command in gathers(asked, plan(asked, budgets=BUDGETS)):
            assert command.days == asked.query.days
            assert command.lens.open_at is None

    def test_name_no_days_but_a_moment_when_what_is_open_is_asked(self):
        asked = requested(scope=Scope.OPEN, date_from=TODAY, date_to=TODAY)
        for command in gathers(asked, plan(asked, budgets=BUDGETS)):
            assert (command.days, command.scope, command.lens.open_at) == ((), Scope.OPEN, NOW)
