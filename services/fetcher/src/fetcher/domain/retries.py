"""What asking again may cost."""

SHARE = 0.1
"""Of the requests made for the first time: so much more may be asked (T04.3)."""
RESERVE = 10.0
"""Retries that a source is worth at once when it has answered at all: a small search lives through a bad minute."""
MOST = 100.0


class RetryBudget:
    """Ten per cent extra requests for one source in one process; so all processes together spend no more either.

    The reserve is given once, with the first answer: a source that never answers gets ten per cent and nothing else.
    """

    def __init__(self, *, share: float = SHARE, reserve: float = RESERVE) -> None:
        self._share = share
        self._reserve = reserve
        self._left = 0.0

    @property
    def left(self) -> float:
        """Requests that may be made again at present."""
        return self._left

    def asked(self) -> None:
        """A page was asked for the first time."""
        self._left = min(MOST, self._left + self._share)

    def answered(self) -> None:
        """A page came."""
        self._left += self._reserve
        self._reserve = 0.0

    def spend(self) -> bool:
        """Whether a page may be asked for once more; counts that it is."""
        # A tenth added ten times is a little less than one.
        if self._left < 1.0 - 1e-9:
            return False
        self._left -= 1.0
        return True
