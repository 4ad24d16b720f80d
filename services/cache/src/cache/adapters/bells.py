"""Rings from core NATS to the gathers of this process that wait for them."""

import asyncio
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from contracts.fetch import Bell, BellKind, PageFetched, RangeEnded
from contracts.places import UF
from contracts.values import Source

TOGETHER = timedelta(milliseconds=100)
"""Bells this close are one: a storm of pages costs ten looks a second, not one each."""
_CARRIED = 2000
"""Pages and ends kept for one gather while SQL is away; a lost one is found in SQL later."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard while waiting."""

    done: frozenset[UF | None] = frozenset()
    """The places of which a claim is over."""
    carried: tuple[PageFetched | RangeEnded, ...] = ()


class Ear:
    """One gather's wait."""

    def __init__(self, source: Source, ufs: Collection[UF]) -> None:
        self._source = source
        self._ufs = frozenset(ufs)
        self._rung = asyncio.Event()
        self._done: set[UF | None] = set()
        self._carried: deque[PageFetched | RangeEnded] = deque(maxlen=_CARRIED)
        self._woken = 0.0

    def hear(self, bell: Bell) -> None:
        """Take one bell, if it is about what is waited for."""
        if bell.source is not self._source or (bell.uf is not None and bell.uf not in self._ufs):
            return
        if bell.claim_done:
            self._done.add(bell.uf)
        self._carried.extend(each for each in (bell.page, bell.end) if each is not None)
        self._rung.set()

    async def rung(self, *, within: timedelta) -> Heard:
        """Return at a bell, or when the time is over; bells in a row are one."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._rung.wait()
        except TimeoutError:
            pass
        else:
            await asyncio.sleep(max(0.0, self._woken + TOGETHER.total_seconds() - loop.time()))
        self._woken = loop.time()
        self._rung.clear()
        heard = Heard(done=frozenset(self._done), carried=tuple(self._carried))
        self._done.clear()
        self._carried.clear()
        return heard


class Bells:
    """Every ear of this process."""

    def __init__(self) -> None:
        self._ears: set[Ear] = set()

    async def heard(self, bell: Bell) -> None:
        """Pass a bell on."""
        if bell.kind in {BellKind.STORED, BellKind.ENDED}:
            for ear in self._ears:
                ear.hear(bell)

    @contextmanager
    def waiting(self, source: Source, ufs: Collection[UF]) -> Iterator[Ear]:
        """An ear for what happens to these UFs of a source."""
        ear = Ear(source, ufs)
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)
