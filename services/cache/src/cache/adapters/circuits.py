"""Which sources are known to be away: what the fetchers tell of their circuits."""

from datetime import datetime

from contracts.ops import BreakerChanged, CircuitState
from contracts.values import Source


class Circuits:
    """Heard live; a circuit that was open before this process began is not known, and counts as closed."""

    def __init__(self) -> None:
        self._open: dict[Source, datetime] = {}

    def heard(self, change: BreakerChanged) -> bool:
        """Note a change; True when a whole source is back."""
        if change.uf is not None:
            return False
        if change.after is CircuitState.OPEN:
            self._open[change.source] = change.retry_at or change.at
            return False
        self._open.pop(change.source, None)
        return change.after is CircuitState.CLOSED

    def any_open(self, now: datetime) -> bool:
        """Whether a source is away now: nothing is made anew meanwhile (B01)."""
        return any(until > now for until in self._open.values())
