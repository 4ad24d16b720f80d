"""The arithmetic of a token bucket with a rate that learns: pure, moments are seconds of any steady clock."""

from collections import deque
from dataclasses import dataclass
from typing import Final

SPACING: Final = 1.02
"""Two per cent slower than allowed: requests do not travel equally long, and the source counts arrivals."""
MADE_GOOD: Final = 0.25
"""Seconds of lateness that are made good: a busy process's timers fire late, and what they cost would be lost for ever.
They are made good at no more than twice the pace, and never beyond the rate in any sliding second."""
LOWEST_SHARE: Final = 1 / 32
"""Of the configured rate; a source that refuses even that is the breaker's matter."""
STEP_SHARE: Final = 0.1
"""Of the configured rate that one step of recovery gives back."""
STEP_EVERY: Final = 30.0
"""Seconds without a refusal that earn a step."""
QUIET: Final = 1.0
"""Seconds without a grant when what was granted before is not known."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of asking for a token."""

    granted: bool
    wait: float
    """Seconds until the next token is due; it may be 0."""
    at: float
    """The moment of the answer on the clock that counts: the bucket's own, or Redis's."""


class Bucket:
    """Grants are evenly spaced, depth one: never more than the rate in any sliding second, counted at the grant.

    A refusal (429) silences the bucket as long as the source asks, and halves the rate, once for all refusals of one
    silence; the rate recovers in steps. `share` is the part of the rate that one of many processes takes.
    """

    def __init__(self, rate: float, *, processes: int = 1) -> None:
        if rate <= 0 or processes < 1:
            raise ValueError("a bucket needs a positive rate and somebody to grant it to")
        self._configured = rate
        self._processes = processes
        self._learned = rate
        self._learned_at = 0.0
        self._grants: deque[float] = deque(maxlen=max(1, int(rate)))
        self._due = float("-inf")
        self._held_until = float("-inf")

    @property
    def rate(self) -> float:
        """What all processes together may ask a second, as learned."""
        return self._learned

    @property
    def held_until(self) -> float:
        """Until when the source asked for silence."""
        return self._held_until

    @property
    def interval(self) -> float:
        """Seconds between two grants of this process.

        Of several processes each takes whole requests a second: 8 of 10 a second take one each, since two of 1.25 could
        fall into one second of all eight.
        """
        own = self._learned / self._processes
        return SPACING / (max(int(own), 1) if self._processes > 1 and own >= 1 else own)

    def due(self) -> float:
        """The moment of the next grant; it may lie in the past."""
        depth = max(1, int(SPACING / self.interval + 1e-9))
        over = self._grants[-depth] + depth * self.interval if len(self._grants) >= depth else float("-inf")
        apart = self._grants[-1] + self.interval / 2 if self._grants else float("-inf")
        return max(self._due, self._held_until, over, apart)

    def take(self, now: float) -> Turn:
        """A grant, if one is due at `now`."""
        self._recover(now)
        due = self.due()
        if now < due:
            return Turn(granted=False, wait=due - now, at=now)
        late = now - self._due <= MADE_GOOD  # else idle: nothing is saved up
        self._due = (self._due if late else now) + self.interval
        self._grants.append(now)
        return Turn(granted=True, wait=max(0.0, self.due() - now), at=now)

    def used_late(self, granted_at: float, used_at: float) -> None:
        """A grant was made use of later than it was given: it counts from then on, so that those after it keep away."""
        if granted_at in self._grants:
            self._grants.remove(granted_at)
            self._grants = deque(sorted((*self._grants, used_at)), maxlen=self._grants.maxlen)

    def rest(self, until: float) -> None:
        """Grant nothing before `until`: what others granted is not known."""
        self._due = max(self._due, until)

    def refuse(self, now: float, *, pause: float) -> bool:
        """The source refused; True when that halved the rate, False for a refusal of requests already under way."""
        self._recover(now)
        first = now >= self._held_until
        if first:
            self._learned = max(self._learned / 2, self._configured * LOWEST_SHARE)
        self._held_until = max(self._held_until, now + pause)
        self._learned_at = self._held_until
        return first

    def learn(self, rate: float, now: float) -> None:
        """Take over what another bucket of the same source has learned."""
        self._learned = min(max(rate, self._configured * LOWEST_SHARE), self._configured)
        self._learned_at = now

    def hold(self, until: float) -> None:
        """Take over another bucket's silence."""
        self._held_until = max(self._held_until, until)

    def _recover(self, now: float) -> None:
        if self._learned < self._configured and (steps := int((now - self._learned_at) / STEP_EVERY)) > 0:
            self._learned = min(self._configured, self._learned + steps * STEP_SHARE * self._configured)
            self._learned_at += steps * STEP_EVERY
