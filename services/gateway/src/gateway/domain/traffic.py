"""How much each tenant may ask at once, and whether anyone is there to take searches."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from contracts.fold import ABANDONED_AFTER
from contracts.search import Requested
from contracts.subjects import COMPLETED, LEASE, PLANNED, REQUESTED, fact_topic, search_id_of
from contracts.values import SearchId

_TAKEN: Final = frozenset({LEASE.name, PLANNED.name})


class Traffic:
    """Counts the running searches of each tenant by the facts that pass; what began before this process is not seen."""

    def __init__(self, *, most_running: int, longest_wait: timedelta) -> None:
        self.most_running = most_running
        self.longest_wait = longest_wait
        self._running: dict[str, dict[SearchId, datetime]] = {}
        self._tenants: dict[SearchId, str] = {}
        self._waiting: OrderedDict[SearchId, tuple[int, datetime]] = OrderedDict()

    def admit(self, tenant: str, search_id: SearchId, *, now: datetime) -> bool:
        """Take a place for a search that is about to be asked; False when the tenant has none left."""
        if search_id in self._tenants:
            return True
        if self.running(tenant, now=now) >= self.most_running:
            return False
        self._begin(tenant, search_id, now)
        return True

    def release(self, search_id: SearchId) -> None:
        """The search is over, or was never stored."""
        self._waiting.pop(search_id, None)
        tenant = self._tenants.pop(search_id, None)
        if tenant is not None:
            mine = self._running.get(tenant, {})
            mine.pop(search_id, None)
            if not mine:
                self._running.pop(tenant, None)

    def running(self, tenant: str, *, now: datetime) -> int:
        """How many searches of a tenant run now."""
        for search_id in [each for each, ends in self._running.get(tenant, {}).items() if ends <= now]:
            self.release(search_id)
        return len(self._running.get(tenant, {}))

    def left(self, tenant: str, *, now: datetime) -> int:
        """How many more a tenant may ask now."""
        return max(0, self.most_running - self.running(tenant, now=now))

    def backed_up(self, *, now: datetime) -> bool:
        """Whether a request has waited too long for someone to take it."""
        while self._waiting:
            search_id, (_, since) = next(iter(self._waiting.items()))
            if now - since < ABANDONED_AFTER:
                return now - since > self.longest_wait
            del self._waiting[search_id]
        return False

    def hear(self, subject: str, sequence: int, body: bytes, *, now: datetime) -> None:
        """One fact of any search has passed."""
        topic = fact_topic(subject)
        if topic is None:
            return
        search_id = search_id_of(subject)
        if topic.name == REQUESTED.name:
            self._requested(_read(body), search_id, sequence, now)
        elif topic.name in _TAKEN:
            self._taken(search_id)
        elif topic.name == COMPLETED.name:
            self.release(search_id)

    def _requested(self, requested: Requested | None, search_id: SearchId, sequence: int, now: datetime) -> None:
        if requested is None:
            return
        self._begin(requested.tenant, search_id, now)
        self._waiting[search_id] = (sequence, now)

    def _begin(self, tenant: str, search_id: SearchId, now: datetime) -> None:
        self._tenants[search_id] = tenant
        self._running.setdefault(tenant, {})[search_id] = now + ABANDONED_AFTER

    def _taken(self, search_id: SearchId) -> None:
        """Requests are taken in their order: whatever was asked before this one no longer waits to be taken."""
        mine = self._waiting.get(search_id)
        while mine and self._waiting and next(iter(self._waiting.values()))[0] <= mine[0]:
            self._waiting.popitem(last=False)


@dataclass(slots=True)
class _Window:
    began: float
    used: int


class Quota:
    """So many requests of each tenant in each window of time, counted by this process."""

    SECONDS: Final = 60
    _HELD: Final = 10_000

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def take(self, tenant: str, *, now: float) -> tuple[int, int]:
        """(how many are left after this one, or -1 when it is one too many; seconds until the window is over)."""
        window = self._windows.get(tenant)
        if window is None or now - window.began >= self.SECONDS:
            window = self._windows[tenant] = _Window(began=now, used=0)
            self._windows.move_to_end(tenant)
            while len(self._windows) > self._HELD:
                self._windows.popitem(last=False)
        window.used = min(window.used + 1, self.per_minute + 1)
        return self.per_minute - window.used, max(1, round(self.SECONDS - (now - window.began)))


def _read(body: bytes) -> Any:
    try:
        return REQUESTED.decode(body)
    except ValueError:
        return None
