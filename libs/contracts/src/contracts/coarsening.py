"""Bounds what a `gathered` fact says of its days: coarser where it would be too long, never better than it was."""

import heapq
from collections.abc import Sequence
from datetime import timedelta

from contracts.fetch import SliceStatus
from contracts.memory import SliceRun

RUNS_BYTES = 160 * 1024
"""What the runs of one fact may take of a message's 256 KB; its batches need the rest."""
_WORST_FIRST = (SliceStatus.FAILED, SliceStatus.NEVER, SliceStatus.PARTIAL, SliceStatus.COMPLETE)


def coarsened(runs: Sequence[SliceRun], *, max_bytes: int = RUNS_BYTES) -> tuple[SliceRun, ...]:
    """These runs as they are when they fit, else with neighbouring days of one modalidade joined until they do.

    A joined run takes the worst status, the oldest fetch, `live` only when all of it is and `stale` when any of it is:
    it may say less than is known and never more. The shortest neighbours are joined first, so that the fewest days
    lose something. With nothing left to join, what is left is the answer.
    """
    merging = _Merging(runs)
    while merging.size > max_bytes and merging.join_shortest():
        pass
    return merging.left()


def joined(one: SliceRun, other: SliceRun) -> SliceRun:
    """Two neighbouring runs as one, which claims no more than either of them did."""
    worst = min(one, other, key=lambda run: _WORST_FIRST.index(run.status))
    fetches = [run.fetched_at for run in (one, other) if run.fetched_at is not None]
    read = worst.status in {SliceStatus.PARTIAL, SliceStatus.COMPLETE}
    return SliceRun(
        modalidade=one.modalidade,
        day_from=min(one.day_from, other.day_from),
        day_to=max(one.day_to, other.day_to),
        status=worst.status,
        why=worst.why,
        fetched_at=min(fetches, default=None) if read else worst.fetched_at,
        live=one.live and other.live,
        stale=one.stale or other.stale,
    )


class _Merging:
    """Runs as a linked list, and a heap of the neighbours that may be joined."""

    def __init__(self, runs: Sequence[SliceRun]) -> None:
        self._runs: list[SliceRun | None] = list(runs)
        self._sizes = [len(run.to_json()) + 1 for run in runs]
        self._next = [*range(1, len(runs)), None][: len(runs)]
        self._before = [None, *range(len(runs) - 1)][: len(runs)]
        self._versions = [0] * len(runs)
        self._heap: list[tuple[int, int, int, int, int]] = []
        self.size = sum(self._sizes)
        for at in range(len(runs)):
            self._offer(at)

    def join_shortest(self) -> bool:
        """Join the two neighbours that are the fewest days; False when there are none."""
        while self._heap:
            _, at, version, after, its_version = heapq.heappop(self._heap)
            one, other = self._runs[at], self._runs[after]
            if one and other and (self._versions[at], self._versions[after]) == (version, its_version):
                self._join(at, after, joined(one, other))
                return True
        return False

    def left(self) -> tuple[SliceRun, ...]:
        return tuple(run for run in self._runs if run is not None)

    def _join(self, at: int, after: int, run: SliceRun) -> None:
        size = len(run.to_json()) + 1
        self.size += size - self._sizes[at] - self._sizes[after]
        self._runs[at], self._sizes[at], self._runs[after] = run, size, None
        self._versions[at] += 1
        self._next[at] = beyond = self._next[after]
        if beyond is not None:
            self._before[beyond] = at
        self._offer(at)
        if (before := self._before[at]) is not None:
            self._offer(before)

    def _offer(self, at: int) -> None:
        after = self._next[at]
        if after is None:
            return
        one, other = self._runs[at], self._runs[after]
        if one and other and one.modalidade is other.modalidade and other.day_from - one.day_to == timedelta(days=1):
            days = one.days + other.days
            heapq.heappush(self._heap, (days, at, self._versions[at], after, self._versions[after]))
