"""The pace of one source in one process."""

from collections import deque

SPACING = 1.01
"""One per cent slower than allowed: requests do not travel equally long, and the source counts arrivals."""
CATCH_UP = 0.25
"""The share of an interval that a timer which fired late may make good at once."""


class Bucket:
    """Grants are evenly spaced, depth one: never more than the rate in any sliding second, counted at the grant.

    Moments are seconds of any steady clock.
    """

    def __init__(self, rate_per_second: float) -> None:
        if rate_per_second <= 0:
            raise ValueError("a bucket needs a positive rate")
        self._interval = SPACING / rate_per_second
        depth = max(1, int(rate_per_second))
        self._window = depth * self._interval
        self._grants: deque[float] = deque(maxlen=depth)
        self._due = float("-inf")
        self._held_until = float("-inf")

    def due(self) -> float:
        """The moment of the next grant; it may lie in the past."""
        full = len(self._grants) == self._grants.maxlen
        return max(self._due, self._held_until, self._grants[0] + self._window if full else float("-inf"))

    def take(self, now: float) -> None:
        """Count one grant at `now`, which must not be before `due()`."""
        self._grants.append(now)
        a_little_late = now - self._due <= CATCH_UP * self._interval
        self._due = (self._due if a_little_late else now) + self._interval

    def hold(self, until: float) -> None:
        """Grant nothing before `until`: the source said so."""
        self._held_until = max(self._held_until, until)
