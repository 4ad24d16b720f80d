"""Which UFs have finished since somebody last looked: the source of the `uf_complete` lines (E01)."""

from typing import Any

from contracts.fold import SearchState
from contracts.places import UF


class UfWatch:
    """Remembers which UFs were already told; one line each, over all their sources."""

    def __init__(self, told: set[UF]) -> None:
        self._told = told

    @classmethod
    def after(cls, state: SearchState) -> "UfWatch":
        """Watch from here on: what the log already shows as finished was told by whoever held the search before."""
        return cls({uf for uf in _asked(state) if state.uf_done(uf)})

    def has_news(self, state: SearchState) -> bool:
        """Whether a UF has finished that was not told yet."""
        return any(uf not in self._told and state.uf_done(uf) for uf in _asked(state))

    def finished(self, state: SearchState) -> list[dict[str, Any]]:
        """The fields of one line for each UF that has finished and was not told yet."""
        fresh = sorted(uf for uf in _asked(state) if uf not in self._told and state.uf_done(uf))
        self._told.update(fresh)
        return [_line(state, uf) for uf in fresh]


def _asked(state: SearchState) -> set[UF]:
    return {uf for _, uf in state.asked_places}


def _line(state: SearchState, uf: UF) -> dict[str, Any]:
    facts = [state.gathered[place] for place in state.asked_places if place[1] is uf]
    accepted = sum(bid.sighted.bid.uf is uf for bid in state.accepted())
    return {
        "uf": str(uf),
        "duration_ms": max(fact.duration_ms for fact in facts),
        "items_count": accepted,
        "total_pages": sum(fact.pages for fact in facts),
        "total_items": sum(fact.records for fact in facts),
    }
