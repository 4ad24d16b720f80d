"""What a search will look at, and until when."""

from dataclasses import dataclass
from datetime import timedelta

from contracts.memory import Gather
from contracts.query import Scope
from contracts.search import AskedSource, Planned, Requested


@dataclass(frozen=True, slots=True)
class Budgets:
    """The levels of the timeout chain that a plan needs, and what a search may spend."""

    per_source: timedelta
    consolidation: timedelta
    items: int = 20
    arbitrations: int = 0


def plan(requested: Requested, *, budgets: Budgets) -> Planned:
    """The plan follows from the request alone, so that whoever takes a search over plans the same."""
    query = requested.query
    return Planned(
        search_id=requested.search_id,
        asked=tuple(
            AskedSource(source=source, ufs=query.ufs, modalidades=query.modalidades_of(source))
            for source in query.sources
        ),
        gather_deadline=min(requested.created_at + budgets.per_source, requested.deadline),
        consolidation_deadline=min(requested.created_at + budgets.consolidation, requested.deadline),
        items_budget=budgets.items,
        arbitrations_budget=budgets.arbitrations if requested.llm else 0,
    )


def gathers(requested: Requested, planned: Planned) -> tuple[Gather, ...]:
    """One command per source."""
    query = requested.query
    is_open = query.scope is Scope.OPEN
    return tuple(
        Gather(
            search_id=requested.search_id,
            source=asked.source,
            ufs=asked.ufs,
            modalidades=asked.modalidades,
            days=() if is_open else query.days,
            scope=query.scope,
            lens=query.lens.model_copy(update={"open_at": requested.created_at}) if is_open else query.lens,
            asked_at=requested.created_at,
            deadline=planned.gather_deadline,
            search_deadline=requested.deadline,
            priority=requested.priority,
            tenant=requested.tenant,
            force_refresh=query.force_refresh,
        )
        for asked in planned.asked
    )
