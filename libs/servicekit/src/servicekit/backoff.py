"""Every retry is spaced out and jittered, so that many who failed together do not come back together."""

import random


def backoff(failures: int, *, first: float = 1.0, most: float = 30.0) -> float:
    """Seconds before the next try after so many failures: doubling, bounded, jittered between half and all of it."""
    return min(most, first * 2.0 ** min(max(failures - 1, 0), 32)) * spread(0.5)


def spread(low: float) -> float:
    """A factor between `low` and 1."""
    return low + (1 - low) * random.random()  # noqa: S311 - jitter is no secret
