"""Asks a source now and then what it is known to have, so that a change is seen before a search meets it."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from contracts.places import NATIONAL
from contracts.values import Priority
from contracts.when import day_of
from fetcher.asking import Asker, Tally, Wish
from fetcher.clocks import ClaimClock, Limits
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.canary import KIND, OK, alarm_of, outcome_of, question
from fetcher.domain.drift import Drift
from fetcher.domain.fair import Flow
from fetcher.engine import PageReader
from servicekit.clock import Clock
from servicekit.logs import log

EVERY: Final = timedelta(minutes=15)
WITHIN: Final = timedelta(minutes=2)
"""For its turn and its answer: behind searches it waits, and after that it has learned that the source is busy."""


class Canary:
    """One source's. Its whole budget is one request a turn, of the last class and never made again."""

    def __init__(
        self, *, reader: PageReader, asker: Asker, limits: Limits, now: Clock, alarm: Callable[[Drift], None]
    ) -> None:
        self._reader = reader
        self._asker = asker
        self._limits = limits
        self._now = now
        self._alarm = alarm
        self.outcome: str | None = None
        """`ok` or the code of what the last turn brought; None before the first."""

    async def sing(self) -> None:
        """Ask once; tell what came, and raise the alarm when it is not what it was before."""
        before, self.outcome = self.outcome, await self._asked()
        self._asker.note(f"{KIND}.{'ok' if self.outcome == OK else 'failed'}")
        if self.outcome == before:
            return
        if (drift := alarm_of(self.outcome)) is not None:
            self._alarm(drift)
        elif before is not None:
            log.info("canary_changed", source=self._reader.source, value=self.outcome)

    async def _asked(self) -> str:
        now = self._now()
        ask = question(self._reader.source, today=day_of(now))
        wish = Wish(
            make=lambda within: self._reader.read(ask, within=within),
            flow=Flow(tenant="local", search=KIND, place=ask.uf or NATIONAL, priority=Priority.INGEST),
            clock=ClaimClock(limits=self._limits, not_after=now + WITHIN, now=self._now),
            modalidade=ask.range.modalidade,
            part=ask.uf,
            tally=Tally(),
            first=True,
        )
        try:
            async with wish.clock.scope(wish.modalidade) as scope:
                return outcome_of(await self._asker.once(wish))
        except AttemptFailed as failed:
            return failed.code
        return scope.cut or "timeout.claim"


async def sing(canaries: Sequence[Canary]) -> None:
    """One turn of each."""
    for each in canaries:
        await each.sing()
