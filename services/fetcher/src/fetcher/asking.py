"""One request for something of a source: in its turn, with the breaker's consent, made again where that may help."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Generic, TypeVar

from contracts.control import SourceLevers
from contracts.values import Modalidade
from fetcher.clocks import ClaimClock
from fetcher.domain.attempts import TRIES, AttemptFailed, back_off
from fetcher.domain.fair import Flow
from fetcher.domain.retries import RetryBudget
from fetcher.guard import REFUSED, Guard, refusal
from fetcher.lane import Lane, Ticket
from servicekit.telemetry.measures import RETRIES, SOURCE_RULES

NO_BUDGET: Final = "retry.budget"
"""What a page ends with that was to be asked a second time when all extra requests were spent."""

R = TypeVar("R")


@dataclass(eq=False)
class Tally:
    """What retries came to for one who asks a lot, so that it is told once."""

    helped: int = 0
    exhausted: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, eq=False)
class Wish(Generic[R]):
    """What is wanted, and for whom."""

    make: Callable[[timedelta], Awaitable[R]]
    """One request that lasts no longer than this; AttemptFailed when it brought nothing."""
    flow: Flow[Ticket]
    clock: ClaimClock
    modalidade: Modalidade | None
    """Whose time it takes, beside the clock's whole."""
    part: str | None
    """The part of the source that is asked, with a circuit of its own; None: the source as such."""
    tally: Tally
    first: bool = False
    """Whether it goes before the flow's others."""
    again: bool = False
    """Whether all of it is a second try: then its first request, too, is paid from the budget, and no circuit that is
    not closed is probed with it."""


class Asker:
    """Makes the requests of one source."""

    def __init__(
        self, *, lane: Lane, guard: Guard, chance: Callable[[], float], retries: RetryBudget | None = None
    ) -> None:
        self.lane = lane
        self.guard = guard
        self.retries = retries or RetryBudget()
        self.counted: Counter[str] = Counter()
        """How often each named rule for a source's misbehaviour had something to do, since this process began."""
        self.limited: Callable[[], None] = lambda: None
        """Called when the source said that it is asked too often."""
        self._chance = chance

    def set(self, levers: SourceLevers) -> None:
        """Take over what an operator has set; whoever waits for what is shut is sent away."""
        self.guard.levers = levers
        self.lane.rate.configure(levers.rate)
        if self.guard.shut:
            self.lane.dismiss(None, self.guard.refusal)

    async def ask(self, wish: Wish[R]) -> R:
        """The answer, with retries, none begun after the deadline; AttemptFailed at the last."""
        if wish.again:
            self._pay(wish)
        else:
            self.retries.asked()
        for attempt in range(1, TRIES + 1):
            try:
                answer = await self._attempt(wish)
            except AttemptFailed as failed:
                failure = failed
            else:
                self.retries.answered()
                wish.tally.helped += attempt > 1
                return answer
            await self._learn(failure)
            if not failure.again:
                raise failure
            pause = back_off(attempt, chance=self._chance())
            if attempt == TRIES or not self._may_ask_again(wish, pause):
                break
            self.note(f"again.{failure.code}")
            RETRIES.add(source=self.guard.source)
            await asyncio.sleep(pause.total_seconds())
        wish.tally.exhausted[failure.code] += 1
        raise failure

    async def once(self, wish: Wish[R]) -> R:
        """The answer to one request that is never made again; AttemptFailed when it brought none."""
        try:
            return await self._attempt(wish)
        except AttemptFailed as failed:
            await self._learn(failed)
            raise

    def note(self, rule: str, times: int = 1) -> None:
        """A rule for a source's misbehaviour had something to do."""
        self.counted[rule] += times
        SOURCE_RULES.add(times, source=self.guard.source, rule=rule)

    async def _learn(self, failure: AttemptFailed) -> None:
        self.note(f"failed.{failure.code}")
        if failure.refused:
            await self.lane.rate.refused(failure.pause)
            self.limited()

    def _pay(self, wish: Wish[R]) -> None:
        """A second try costs the budget from its first request on."""
        if not self._trusted(wish):
            self.note("given_up.breaker")
            raise self.guard.refusal()
        if not self.retries.spend():
            self.note("given_up.budget")
            raise AttemptFailed(NO_BUDGET, again=False)
        self.note("again.claim")

    def _trusted(self, wish: Wish[R]) -> bool:
        return self.guard.closed and not self.guard.refuses(wish.part)

    async def _attempt(self, wish: Wish[R]) -> R:
        if not self._trusted(wish) if wish.again else self.guard.refuses(wish.part):
            raise self.guard.refusal()
        async with self.lane.turn(wish.flow, first=wish.first):
            wish.clock.begin(wish.modalidade)
            within = wish.clock.left(wish.modalidade)
            if within <= timedelta(0):
                raise AttemptFailed(wish.clock.end(wish.modalidade)[1], again=False)
            try:
                return await self.guard.call(wish.part, lambda: wish.make(within))
            except AttemptFailed as failed:
                if failed.code == REFUSED:
                    self.lane.dismiss(wish.flow.place if self.guard.closed else None, refusal)
                raise

    def _may_ask_again(self, wish: Wish[R], pause: timedelta) -> bool:
        """Only a trusted source, only in time, only from the budget; that comes last, since it spends."""
        left = wish.clock.end(wish.modalidade)[0] - wish.clock.now()
        if max(pause, self.lane.rate.silence()) >= left:
            self.note("given_up.no_time")
        elif not self._trusted(wish):
            self.note("given_up.breaker")
        elif not self.retries.spend():
            self.note("given_up.budget")
        else:
            return True
        return False
