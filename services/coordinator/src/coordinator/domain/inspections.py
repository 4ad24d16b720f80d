"""Which open bids have their items inspected (D01), and how what came of it is handed to the judge."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from contracts.classification import ArbitrateBids, UncertainBid
from contracts.fetch import FetchItems, Item
from contracts.fold import SearchState
from contracts.values import BidId, Source
from contracts.verdict import Lens

ITEMS_LOOKED_AT = 60
"""Items of one bid that the judge looks at, evenly over the list: enough to tell half from less."""
ITEM_TEXT = 300
_ORDER_SIZE = 5
"""Bids in one order: with their items five stay below 256 KB."""


def inspections(state: SearchState, *, budget: int, tenant: str, by: datetime) -> tuple[FetchItems, ...]:
    """One command per source for as many open bids as the budget pays, densest first.

    What the log already answers is spent; the same state gives the same commands.
    """
    chosen = [u for u in sorted(state.uncertain(), key=worth) if u.sighted.bid.id not in state.items]
    chosen = chosen[: max(0, budget - len(state.items))]
    by_source: dict[Source, list[BidId]] = {}
    for uncertain in chosen:
        by_source.setdefault(uncertain.sighted.bid.source, []).append(uncertain.sighted.bid.id)
    return tuple(
        FetchItems(search_id=state.search_id, source=source, bid_ids=tuple(ids), deadline=by, tenant=tenant)
        for source, ids in sorted(by_source.items())
    )


def item_orders(state: SearchState, lens: Lens, *, by: datetime) -> tuple[ArbitrateBids, ...]:
    """Orders to judge the open bids whose items came; the model has no part in them."""
    looked = [u for u in state.uncertain() if items_of(state, u.sighted.bid.id)]
    groups = [looked[at : at + _ORDER_SIZE] for at in range(0, len(looked), _ORDER_SIZE)]
    return tuple(
        ArbitrateBids(
            search_id=state.search_id,
            batch=_batch(group),
            bids=tuple(group),
            items=tuple((u.sighted.bid.id, items_of(state, u.sighted.bid.id)) for u in group),
            ask_model=False,
            lens=lens,
            deadline=by,
        )
        for group in groups
    )


def worth(bid: UncertainBid) -> tuple[float, str]:
    """Sorts the bids that are likeliest to belong to the front."""
    return (-bid.verdict.density, bid.sighted.bid.id)


def items_of(state: SearchState, bid_id: BidId) -> tuple[Item, ...]:
    """What the judge is shown of a bid's items; empty where none came."""
    fetched = state.items.get(bid_id)
    return sampled(fetched.items or ()) if fetched is not None else ()


def sampled(items: Sequence[Item]) -> tuple[Item, ...]:
    """At most so many items, evenly over the list, their texts cut."""
    step = max(1.0, len(items) / ITEMS_LOOKED_AT)
    taken = (items[int(number * step)] for number in range(min(len(items), ITEMS_LOOKED_AT)))
    return tuple(item.model_copy(update={"descricao": item.descricao[:ITEM_TEXT]}) for item in taken)


def _batch(group: Sequence[UncertainBid]) -> str:
    said = "\x1f".join(f"{u.sighted.bid.id}:{u.sighted.seen_at.isoformat()}" for u in group)
    return f"items-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
