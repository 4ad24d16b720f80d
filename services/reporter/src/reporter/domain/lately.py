"""What was made of an answer lately: a stored answer is served many times, and its reports are the same each time."""

from collections import OrderedDict
from typing import Final, Generic, TypeVar

MOST: Final = 1_000
"""Reports remembered; a summary is a few hundred bytes, of a spreadsheet only the place is kept."""

T = TypeVar("T")


class Lately(Generic[T]):
    """By the hash of the answer's bytes, the longest unused let go first."""

    def __init__(self, *, most: int = MOST) -> None:
        self._made: OrderedDict[str, T] = OrderedDict()
        self._most = most

    def of(self, sha256: str) -> T | None:
        """What was made of these bytes; None when nothing is remembered."""
        if sha256 in self._made:
            self._made.move_to_end(sha256)
        return self._made.get(sha256)

    def note(self, sha256: str, made: T) -> None:
        """Remember what was made of them."""
        self._made[sha256] = made
        self._made.move_to_end(sha256)
        while len(self._made) > self._most:
            self._made.popitem(last=False)
