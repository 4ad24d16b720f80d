"""What this process knows of its sources, told every few seconds to whoever shows it."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from contracts.ops import CircuitState
from contracts.sources import SourceSeen
from contracts.subjects import SOURCE_SEEN
from contracts.values import Source
from fetcher.asking import Asker
from servicekit.bus import Bus
from servicekit.clock import Clock
from servicekit.shared.breaker import Breaker
from servicekit.shared.rate import SourceRate

EVERY: Final = timedelta(seconds=5)


class Telling:
    """One source of this process: its rate, its circuits, what its rules have done."""

    def __init__(self, source: Source, *, rate: SourceRate, breaker: Breaker, asker: Asker, now: Clock) -> None:
        self._source = source
        self._rate = rate
        self._breaker = breaker
        self._asker = asker
        self._now = now

    def seen(self, worker: str) -> SourceSeen:
        """As it is now."""
        return SourceSeen(
            source=self._source,
            worker=worker,
            at=self._now(),
            rate_configured=self._rate.configured,
            rate=self._rate.rate,
            silent_s=round(self._rate.silence().total_seconds(), 3),
            shared=self._rate.shared,
            state=CircuitState(self._breaker.state),
            parts={name: CircuitState(state) for name, state in self._breaker.parts_not_closed.items()},
            waiting=self._asker.lane.waiting,
            retries_left=round(self._asker.retries.left, 1),
            probes=self._asker.guard.probes,
            counted=dict(self._asker.counted),
        )


async def tell(bus: Bus, tellings: Sequence[Telling], *, worker: str) -> None:
    """One bell for each source."""
    for each in tellings:
        seen = each.seen(worker)
        await bus.ring(SOURCE_SEEN.message(seen, source=seen.source))


def name_of_process() -> str:
    """Unlike any other process's, and it names no machine."""
    return uuid.uuid4().hex[:12]
