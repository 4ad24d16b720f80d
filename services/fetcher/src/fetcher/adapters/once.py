"""Oddities of a source that are worth one line, not one per record."""

from collections.abc import Callable

from contracts.values import Source
from fetcher.domain.drift import CATEGORY, Drift
from servicekit.logs import log

REMEMBERED = 200
"""So many different oddities are told; a source that has more has changed its shape, which those tell."""


class Oddities:
    """Tells each oddity of a source once in the life of this process."""

    def __init__(self, source: Source, *, alarm: Callable[[Drift], None] | None = None) -> None:
        self._source = source
        self._alarm = alarm
        self._told: set[tuple[str, str]] = set()

    def unknown(self, field: str, value: object) -> None:
        """A category that no table knows; the record stays, under the table's `other`."""
        word = repr(value)[:80]
        if self._tell("source_category_unknown", field, word) and self._alarm is not None:
            self._alarm(Drift(CATEGORY, f"a known {field}", word))

    def unreadable(self, field: str, kind: str) -> None:
        """A record that was left out: which field, what was wrong with it."""
        self._tell("source_record_unreadable", field, kind)

    def _tell(self, event: str, field: str, value: str) -> bool:
        if (field, value) in self._told or len(self._told) >= REMEMBERED:
            return False
        self._told.add((field, value))
        log.warning(event, source=self._source, field=field, value=value)
        return True
