"""Oddities of a source that are worth one line, not one per record."""

from contracts.values import Source
from servicekit.logs import log

REMEMBERED = 200
"""So many different oddities are told; a source that has more has changed its shape, which those tell."""


class Oddities:
    """Tells each oddity of a source once in the life of this process."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._told: set[tuple[str, str]] = set()

    def unknown(self, field: str, value: object) -> None:
        """A category that no table knows; the record stays, under the table's `other`."""
        self._tell("source_category_unknown", field, repr(value)[:80])

    def unreadable(self, field: str, kind: str) -> None:
        """A record that was left out: which field, what was wrong with it."""
        self._tell("source_record_unreadable", field, kind)

    def _tell(self, event: str, field: str, value: str) -> None:
        if (field, value) not in self._told and len(self._told) < REMEMBERED:
            self._told.add((field, value))
            log.warning(event, source=self._source, field=field, value=value)
