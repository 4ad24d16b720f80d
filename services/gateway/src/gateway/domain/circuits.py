"""How the sources' circuits did in the last day, and how each source does now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from contracts.ops import BreakerChanged, CircuitState
from contracts.sources import SourceSeen
from contracts.values import Source

SILENT_AFTER: Final = timedelta(seconds=20)
"""A process tells every 5 s."""
MOST_PROCESSES: Final = 1_000
A_DAY: Final = timedelta(hours=24)
KEPT_FOR: Final = timedelta(days=400)
"""Of the history (T02.1)."""
NOW_AT_MOST: Final[Mapping[CircuitState, int]] = {
    CircuitState.CLOSED: 100,
    CircuitState.HALF_OPEN: 60,
    CircuitState.OPEN: 30,
}
"""However good the day was: what is not trusted now is not healthy."""


def circuit_of(change: BreakerChanged) -> str:
    """One word for a circuit: `pncp`, `pncp.SP`, `pncp.itens`."""
    part = change.uf or change.part
    return f"{change.source}.{part}" if part else str(change.source)


class Seen:
    """The newest word of each process on each source."""

    def __init__(self) -> None:
        self._newest: dict[tuple[Source, str], SourceSeen] = {}

    def hear(self, seen: SourceSeen) -> None:
        """Take a bell; bells may come out of order."""
        key = (seen.source, seen.worker)
        known = self._newest.get(key)
        if known is None or known.at < seen.at:
            self._newest.pop(key, None)
            self._newest[key] = seen
            while len(self._newest) > MOST_PROCESSES:
                del self._newest[next(iter(self._newest))]

    def of(self, source: Source, *, now: datetime) -> list[SourceSeen]:
        """Of each process that is not silent, the newest first."""
        recent = (
            each for (which, _), each in self._newest.items() if which is source and now - each.at <= SILENT_AFTER
        )
        return sorted(recent, key=lambda each: each.at, reverse=True)


@dataclass(frozen=True, slots=True)
class Day:
    """What a circuit did in the last 24 h."""

    circuit: str
    transitions: int
    openings: int
    not_closed_s: int


def days(changes: Iterable[BreakerChanged], *, now: datetime) -> list[Day]:
    """The last 24 h of each circuit that changed in them; the changes come oldest first."""
    by_circuit: dict[str, list[BreakerChanged]] = {}
    for change in changes:
        if now - change.at <= A_DAY:
            by_circuit.setdefault(circuit_of(change), []).append(change)
    return [_day(circuit, each, now) for circuit, each in sorted(by_circuit.items())]


def _day(circuit: str, changes: Sequence[BreakerChanged], now: datetime) -> Day:
    since = now - A_DAY
    closed = changes[0].before is CircuitState.CLOSED
    away = timedelta(0)
    for change in changes:
        if not closed:
            away += change.at - since
        since, closed = change.at, change.after is CircuitState.CLOSED
    if not closed:
        away += now - since
    openings = sum(change.after is CircuitState.OPEN for change in changes)
    return Day(circuit, len(changes), openings, round(away.total_seconds()))


def health_score(states: Mapping[Source, CircuitState | None], lately: Iterable[Day]) -> int:
    """0 to 100: each source by the share of the day that it was trusted, and no better than it is now; then the mean.

    A source that nobody tells of counts by its day alone.
    """
    if not states:
        return 0
    away = {day.circuit: day.not_closed_s for day in lately}
    scores = [
        min(
            round(100 * (1 - away.get(source, 0) / A_DAY.total_seconds())),
            100 if state is None else NOW_AT_MOST[state],
        )
        for source, state in states.items()
    ]
    return sum(scores) // len(scores)
