"""The nested deadlines of one claim: not_after and UF over modalidade over HTTP."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from contracts.values import Modalidade
from servicekit.clock import Clock


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each level may last, and the code that says which one cut."""

    claim: timedelta
    claim_code: str
    modalidade: timedelta
    attempt: timedelta
    claim_degraded: timedelta | None = None
    """In place of `claim` while the source is degraded; None: no difference."""


class ClaimClock:
    """When a claim and each of its modalidades is over. They start with their first request, not in a queue."""

    def __init__(self, *, limits: Limits, not_after: datetime, now: Clock) -> None:
        self.limits = limits
        self.now = now
        self._not_after = not_after
        self._began: datetime | None = None
        self._modalidade_began: dict[Modalidade | None, datetime] = {}
        self._degraded = False
        self._waiting: dict[asyncio.Timeout, Modalidade | None] = {}

    def begin(self, modalidade: Modalidade | None) -> None:
        """A request is about to be made: start what has not started."""
        moment = self.now()
        if self._began is None or modalidade not in self._modalidade_began:
            self._began = self._began or moment
            self._modalidade_began.setdefault(modalidade, moment)
            self._reschedule()

    def began(self, modalidade: Modalidade | None) -> datetime | None:
        """When the first request of this modalidade was made."""
        return self._modalidade_began.get(modalidade)

    def lengthen(self, not_after: datetime) -> None:
        """Somebody wants the claim and has more time."""
        if not_after > self._not_after:
            self._not_after = not_after
            self._reschedule()

    def degrade(self) -> None:
        """The source is degraded: it is given more time, from now on to the end of the claim."""
        if not self._degraded:
            self._degraded = True
            self._reschedule()

    def end(self, modalidade: Modalidade | None) -> tuple[datetime, str]:
        """The earliest of the deadlines over this modalidade, and the code of its level."""
        ends = [(self._not_after, "timeout.claim")]
        if self._began is not None:
            longest = (self.limits.claim_degraded if self._degraded else None) or self.limits.claim
            ends.append((self._began + longest, self.limits.claim_code))
        if (began := self._modalidade_began.get(modalidade)) is not None and modalidade is not None:
            ends.append((began + self.limits.modalidade, "timeout.modalidade"))
        return min(ends)

    def left(self, modalidade: Modalidade | None) -> timedelta:
        """How long a request begun now may last; nothing once a deadline has passed."""
        return min(self.limits.attempt, self.end(modalidade)[0] - self.now())

    def scope(self, modalidade: Modalidade | None) -> "ClockScope":
        """A timeout that follows the clock, also when it is started or lengthened meanwhile."""
        return ClockScope(self, modalidade)

    def enrol(self, timeout: asyncio.Timeout, modalidade: Modalidade | None) -> None:
        """Let a running timeout follow this clock."""
        self._waiting[timeout] = modalidade
        self._reschedule()

    def release(self, timeout: asyncio.Timeout) -> None:
        """The timeout is about to be left."""
        self._waiting.pop(timeout, None)

    def _reschedule(self) -> None:
        loop = asyncio.get_running_loop()
        for timeout, modalidade in self._waiting.items():
            if not timeout.expired():
                timeout.reschedule(loop.time() + (self.end(modalidade)[0] - self.now()).total_seconds())


class ClockScope:
    """`async with clock.scope(m) as scope`: cuts its body at the clock's end; `scope.cut` then says which level."""

    def __init__(self, clock: ClaimClock, modalidade: Modalidade | None) -> None:
        self._clock = clock
        self._modalidade = modalidade
        self._timeout = asyncio.timeout(None)
        self.cut: str | None = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._clock.enrol(self._timeout, self._modalidade)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        self._clock.release(self._timeout)
        try:
            await self._timeout.__aexit__(kind, error, None)
        except TimeoutError:
            self.cut = self._clock.end(self._modalidade)[1]
            return True
        return False
