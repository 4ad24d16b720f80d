"""Which open bids are worth asking about, best first, in orders that any message bound lets through."""

import hashlib
from datetime import datetime

from contracts.classification import ArbitrateBids, UncertainBid
from contracts.fold import SearchState
from contracts.verdict import Lens
from coordinator.domain.inspections import items_of, worth

ORDER_SIZE = 10
"""Bids in one order: several workers share a search's budget, and ten of the longest objetos stay below 256 KB."""

ITEMS_SHOWN = 20
"""Items of a bid that the model is shown, where some were fetched."""
_PREFIX = "llm-"


def arbitrations(state: SearchState, lens: Lens, *, budget: int, by: datetime) -> tuple[ArbitrateBids, ...]:
    """Orders for as many open bids as the budget pays, densest first; the same state gives the same orders.

    Whoever takes a search over half-way leaves out what the log already answers.
    """
    spent = ORDER_SIZE * sum(batch.startswith(_PREFIX) for batch in state.arbitrated_batches)
    chosen = sorted(state.uncertain(), key=worth)[: max(0, budget - spent)]
    groups = [chosen[at : at + ORDER_SIZE] for at in range(0, len(chosen), ORDER_SIZE)]
    return tuple(
        ArbitrateBids(
            search_id=state.search_id,
            batch=_batch(group),
            bids=tuple(group),
            items=tuple((u.sighted.bid.id, items_of(state, u.sighted.bid.id)[:ITEMS_SHOWN]) for u in group),
            lens=lens,
            deadline=by,
        )
        for group in groups
    )


def _batch(group: list[UncertainBid]) -> str:
    """One subject token, from what is asked."""
    said = "\x1f".join(f"{bid.sighted.bid.id}:{bid.sighted.seen_at.isoformat()}" for bid in group)
    return f"{_PREFIX}{hashlib.sha256(said.encode()).hexdigest()[:16]}"
