"""Circuits' transitions, and alarms of sources that have changed, on their way to OPS."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from contracts.ops import BreakerChanged, CircuitState, SourceDrifted
from contracts.places import UF
from contracts.subjects import BREAKER_CHANGED, SOURCE_DRIFTED, Outgoing
from contracts.values import Source
from fetcher.domain.drift import CATEGORY, Drift
from servicekit.bus import Bus
from servicekit.clock import Clock
from servicekit.errors import Unavailable
from servicekit.logs import log
from servicekit.shared.circuit import Change, State
from servicekit.telemetry.measures import CIRCUIT_CHANGES

WAITING: Final = 1000
"""Transitions while the bus is away; a circuit has a few in an hour."""
FAREWELL: Final = timedelta(seconds=2)


class Transitions:
    """Logs each transition once, at once, and publishes it as soon as the bus takes it; open it with `async with`."""

    def __init__(self, bus: Bus, now: Clock) -> None:
        self._bus = bus
        self._now = now
        self._waiting: asyncio.Queue[Outgoing] = asyncio.Queue(WAITING)
        self._publishing: asyncio.Task[None] | None = None
        self.opened: dict[Source, Callable[[str | None], None]] = {}
        """Who wants to know at once that a circuit of a source opened."""

    async def __aenter__(self) -> Self:
        self._publishing = asyncio.create_task(self._publish())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._publishing is None:
            return
        try:
            async with asyncio.timeout(FAREWELL.total_seconds()):
                await self._waiting.join()
        except TimeoutError:
            log.warning("breaker.untold", transitions=self._waiting.qsize())
        self._publishing.cancel()
        await asyncio.gather(self._publishing, return_exceptions=True)

    def tell(self, change: Change) -> None:
        """A circuit of a source changed, and this process brought it about."""
        fact = self._fact(change)
        CIRCUIT_CHANGES.add(
            source=fact.source, scope="uf" if fact.uf else "items" if fact.part else "source", after=fact.after
        )
        log.warning(
            "breaker.changed",
            source=fact.source,
            uf=fact.uf,
            part=fact.part,
            before=fact.before,
            after=fact.after,
            reason=fact.reason,
            consecutive_failures=fact.consecutive_failures,
        )
        if change.after is State.OPEN and (opened := self.opened.get(fact.source)):
            opened(fact.uf or fact.part)
        key = f"{change.circuit}:{fact.after}:{fact.at.timestamp():.6f}"
        self._put(BREAKER_CHANGED.message(fact, dedup=key))

    def drifted(self, source: Source, drift: Drift) -> None:
        """A source answers otherwise than was known of it, and this process is the first here to see it."""
        fact = SourceDrifted(
            source=source, kind=drift.kind, expected=drift.expected, specimen=drift.specimen, at=self._now()
        )
        if drift.kind != CATEGORY:  # else the record's reader has told it
            log.warning("source_drifted", source=source, kind=drift.kind, expected=drift.expected, value=drift.specimen)
        key = f"{source}:{drift.kind}:{drift.specimen}:{fact.at.timestamp():.6f}"
        self._put(SOURCE_DRIFTED.message(fact, dedup=key, source=source))

    def _put(self, fact: Outgoing) -> None:
        if not self._waiting.full():
            self._waiting.put_nowait(fact)

    def _fact(self, change: Change) -> BreakerChanged:
        source, _, part = change.circuit.partition(".")
        at = self._now()
        return BreakerChanged(
            source=Source(source),
            uf=UF(part) if part in UF.__members__ else None,
            part=part if part and part not in UF.__members__ else None,
            before=CircuitState(change.before),
            after=CircuitState(change.after),
            reason=change.reason,
            consecutive_failures=change.failures,
            at=at,
            retry_at=at + timedelta(seconds=change.pause) if change.after is State.OPEN else None,
            shared=change.shared,
        )

    async def _publish(self) -> None:
        while True:
            fact = await self._waiting.get()
            try:
                await self._bus.publish(fact)
            except Unavailable as away:
                log.warning("breaker.untold", code=away.code)
            finally:
                self._waiting.task_done()
