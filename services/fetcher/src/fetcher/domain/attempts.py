"""What may be tried again, how often, and when."""

from datetime import timedelta

TRIES = 3
"""Requests that one page may cost."""
FIRST_BACK_OFF = timedelta(seconds=1)
LONGEST_BACK_OFF = timedelta(seconds=8)
LONGEST_PAUSE = timedelta(minutes=5)
"""A source that asks for more silence is asked again anyway."""
UNASKED_PAUSE = timedelta(seconds=60)
"""After a 429 that names no time: the source's block was seen to last a minute."""


class AttemptFailed(Exception):
    """One request for a page brought no page. `code` is stable: `http.503`, `timeout.http`, `body.html`..."""

    def __init__(self, code: str, *, again: bool, retry_after: timedelta | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.again = again
        """Whether asking again can help; False means permanent for the whole range."""
        self.retry_after = retry_after

    @property
    def refused(self) -> bool:
        """Whether the source said that it is asked too often."""
        return self.code == "http.429"

    @property
    def pause(self) -> timedelta:
        """How long a refusal silences the source for us."""
        return min(UNASKED_PAUSE if self.retry_after is None else self.retry_after, LONGEST_PAUSE)


def back_off(attempt: int, *, chance: float) -> timedelta:
    """How long to wait after the n-th failed attempt: exponential with full jitter, `chance` from [0, 1)."""
    longest: timedelta = min(FIRST_BACK_OFF * float(2 ** (attempt - 1)), LONGEST_BACK_OFF)
    return longest * chance
