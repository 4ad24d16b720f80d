"""Pulls levers: the audit first, then the one value that every service follows, never over another's change."""

from datetime import datetime
from typing import Final, Protocol

from contracts.control import Control
from contracts.subjects import CONTROLLED
from gateway.domain.levers import Lever, Pulled
from servicekit.bus import Bus
from servicekit.clock import Clock
from servicekit.errors import Fenced, Unavailable
from servicekit.levers import UNSET
from servicekit.logs import log

TRIES: Final = 5


class Audit(Protocol):
    """Keeps who changed what; each call raises DependencyAway."""

    async def add(self, pulled: Pulled) -> None:
        """Keep one record."""

    async def newest(self, limit: int) -> list[Pulled]:
        """The newest first."""


class Cockpit:
    """Reads and changes what operators have set."""

    def __init__(self, bus: Bus, audit: Audit, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self.audit = audit

    async def now(self) -> Control:
        """What is set."""
        return (await self._read())[0]

    async def pull(self, lever: Lever, *, actor: str, reason: str) -> Control:
        """Change it; raises Unavailable or DependencyAway, and then nothing has changed.

        The record is kept before the change: one that is not recorded is not made. A change that then fails leaves a
        record of its try.
        """
        for _ in range(TRIES):
            control, sequence = await self._read()
            changed = lever.change(control)
            at = self._clock()
            if lever.read(changed) == lever.read(control):
                return control
            await self.record(
                action=lever.action, subject=lever.subject, before=lever.read(control), after=lever.read(changed),
                actor=actor, reason=reason, at=at,
            )  # fmt: skip
            fact = changed.model_copy(update={"at": at, "by": actor})
            try:
                await self._bus.publish(CONTROLLED.message(fact), expect_last=sequence)
            except Fenced:
                continue  # another operator was faster: on top of what is set now
            return fact
        raise Unavailable("control.contended")

    async def record(  # noqa: D102 - the fields are the record's own
        self, *, action: str, subject: str, before: str, after: str, actor: str, reason: str, at: datetime
    ) -> None:
        await self.audit.add(
            Pulled(at=at, actor=actor, action=action, subject=subject, before=before, after=after, reason=reason)
        )
        log.info("lever.pulled", action=action, about=subject, before=before, after=after)

    async def _read(self) -> tuple[Control, int]:
        stored = await self._bus.last(CONTROLLED.subject())
        return (UNSET, 0) if stored is None else (CONTROLLED.decode(stored.body), stored.sequence)
