"""A stored answer that a request has met."""

from dataclasses import dataclass
from datetime import datetime

from contracts.search import Requested
from contracts.stored import Level, StoredAnswer


@dataclass(frozen=True, slots=True)
class Hit:
    """What lay there, where, and whether whoever asked is to make it anew."""

    stored: StoredAnswer
    level: Level
    refresh: bool

    def answers(self, requested: Requested, *, refresh: bool, now: datetime) -> Requested:
        """The request as this answer has answered it."""
        return requested.model_copy(
            update={
                "stored": self.stored,
                "stored_ref": self.stored.ref,
                "answered_from": self.stored.answered_from(self.level, now),
                "refresh": refresh,
            }
        )
