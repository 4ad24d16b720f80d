"""Which open bids are worth asking about, best first, in orders that any message bound lets through."""

import hashlib
from datetime import datetime

from contracts.classification import ArbitrateBids, UncertainBid
from contracts.fold import SearchState
from contracts.verdict import Lens

ORDER_SIZE = 10
"""Bids in one order: several workers share a search's budget, and ten of the longest objetos stay below 256 KB."""


def arbitrations(state: SearchState, lens: Lens, *, budget: int, by: datetime) -> tuple[ArbitrateBids, ...]:
    """Orders for as many open bids as the budget pays, densest first; the same state gives the same orders.

    Whoever takes a search over half-way leaves out what the log already answers.
    """
    spent = ORDER_SIZE * len(state.arbitrated_batches)
    chosen = sorted(state.uncertain(), key=_worth)[: max(0, budget - spent)]
    groups = [chosen[at : at + ORDER_SIZE] for at in range(0, len(chosen), ORDER_SIZE)]
    return tuple(
        ArbitrateBids(search_id=state.search_id, batch=_batch(group), bids=tuple(group), lens=lens, deadline=by)
        for group in groups
    )


def _worth(bid: UncertainBid) -> tuple[float, str]:
    return (-bid.verdict.density, bid.sighted.bid.id)


def _batch(group: list[UncertainBid]) -> str:
    """One subject token, from what is asked."""
    said = "\x1f".join(f"{bid.sighted.bid.id}:{bid.sighted.seen_at.isoformat()}" for bid in group)
    return f"llm-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
