"""The in-process stand-in of L2: stored answers of one process, the least wanted let go first. Moments come in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from contracts.answers import AnswerPriority
from contracts.stored import StoredAnswer, pack_head

MOST_ENTRIES: Final = 10_000
MOST_BYTES: Final = 128 * 1024 * 1024
TTL: Final = {
    AnswerPriority.HOT: timedelta(hours=2),
    AnswerPriority.WARM: timedelta(hours=6),
    AnswerPriority.COLD: timedelta(hours=1),
}
"""B02."""
_EVICTED_FIRST: Final = (AnswerPriority.COLD, AnswerPriority.WARM, AnswerPriority.HOT)


@dataclass(slots=True)
class Kept:
    """One entry; head and rows as they would lie in Redis."""

    head: bytes
    rows: bytes | None
    stored: StoredAnswer
    priority: AnswerPriority
    expires: datetime
    due_at: datetime
    rests_until: datetime | None = None


class LocalAnswers:
    """Bounded by entries and by bytes: cold goes before warm before hot, and among equals the longest unused."""

    def __init__(self, *, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._shelves: dict[AnswerPriority, dict[str, Kept]] = {each: {} for each in AnswerPriority}
        self._bytes = 0
        self.budget = LocalBudget()

    def __len__(self) -> int:
        return sum(map(len, self._shelves.values()))

    def get(self, key: str, *, now: datetime) -> Kept | None:
        """The entry, unless its time is over; it counts as used."""
        shelf = self._shelf(key)
        if shelf is None:
            return None
        kept = shelf[key]
        if kept.expires <= now:
            self.drop(key)
            return None
        shelf[key] = shelf.pop(key)
        return kept

    def put(self, stored: StoredAnswer, rows: bytes | None, priority: AnswerPriority, *, now: datetime) -> None:
        """Keep it, unless what is held is better."""
        held = self.get(stored.key, now=now)
        if held is not None and held.stored.better_than(stored):
            return
        self.drop(stored.key)
        kept = Kept(pack_head(stored), rows, stored, priority, now + TTL[priority], stored.due_at)
        self._shelves[priority][stored.key] = kept
        self._bytes += _size(kept)
        self._evict()

    def touch(self, key: str, priority: AnswerPriority, *, now: datetime) -> None:
        """What is asked for more, or less, is kept by another rule from now on."""
        kept = self.get(key, now=now)
        if kept is None or kept.priority is priority:
            return
        del self._shelves[kept.priority][key]
        kept.priority, kept.expires = priority, now + TTL[priority]
        self._shelves[priority][key] = kept

    def drop(self, key: str) -> bool:
        """Forget it; False when there was none."""
        shelf = self._shelf(key)
        if shelf is None:
            return False
        self._bytes -= _size(shelf.pop(key))
        return True

    def clear(self) -> int:
        """Forget all; how many they were."""
        gone = len(self)
        for shelf in self._shelves.values():
            shelf.clear()
        self._bytes = 0
        return gone

    def _shelf(self, key: str) -> dict[str, Kept] | None:
        return next((shelf for shelf in self._shelves.values() if key in shelf), None)

    def _evict(self) -> None:
        while len(self) > self._most_entries or (self._bytes > self._most_bytes and len(self) > 1):
            shelf = next(self._shelves[each] for each in _EVICTED_FIRST if self._shelves[each])
            self.drop(next(iter(shelf)))


class LocalBudget:
    """B01's budget of refreshes, for one process."""

    def __init__(self) -> None:
        self._begun: dict[str, datetime] = {}
        self._running: dict[str, datetime] = {}

    def begin(self, key: str, *, now: datetime, most: int, lasts: timedelta, rest: timedelta) -> str:
        """`begin` when this key may be made anew now, `joined` when somebody is at it, else `no`."""
        self._running = {each: until for each, until in self._running.items() if until > now}
        self._begun = {each: until for each, until in self._begun.items() if until > now}
        if key in self._running:
            return "joined"
        if key in self._begun or len(self._running) >= most:
            return "no"
        self._begun[key], self._running[key] = now + rest, now + lasts
        return "begin"

    def end(self, key: str) -> None:
        """Its place is free; the key itself rests on."""
        self._running.pop(key, None)

    def running(self, *, now: datetime) -> int:
        """How many run now."""
        return sum(until > now for until in self._running.values())


def _size(kept: Kept) -> int:
    return len(kept.head) + len(kept.rows or b"")
