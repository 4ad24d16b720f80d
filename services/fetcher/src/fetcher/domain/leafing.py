"""Reading a list that does not say how long it is and may end silently at a page size of the source's own."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

SIZE = 500
"""Rows asked for at once; nearly every bid has fewer items, so that one request brings all."""
SAFE_SIZE = 50
"""What is asked for where the source refuses more, as its lists have done since February 2026."""
ROUND = 10
"""A source that cuts a page cuts it at a round number; 10 is its default where it does not heed what is asked."""
MOST_PAGES = 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Leaf(Generic[T]):
    """One page as it came."""

    rows: tuple[tuple[Hashable, T | None], ...]
    """What tells a row apart, and the row; None for one that is not to be shown, which still fills its place."""
    pages: int | None = None
    """How many there are, where the source says it."""


class Leafing(Generic[T]):
    """Which page to ask for next, until there is no more.

    A page that is full, or that was cut at a round number though more was asked for, may not be the last; one that
    brings nothing new is. Rows that came before come again when a source does not heed the page's number.
    """

    def __init__(self) -> None:
        self.found: list[T] = []
        self.began = False
        """Whether a page came at all."""
        self._size = SIZE
        self._page = 1
        self._over = False
        self._seen: set[Hashable] = set()

    @property
    def next(self) -> tuple[int, int] | None:
        """Page and size to ask for; None when nothing is left to ask."""
        return None if self._over or self._page > MOST_PAGES else (self._page, self._size)

    @property
    def cut(self) -> bool:
        """Whether there may be more than was read."""
        return not self._over

    def take(self, leaf: Leaf[T]) -> None:
        """Count a page that came."""
        new = {key: row for key, row in leaf.rows if key not in self._seen}
        self._seen.update(new)
        self.found += [row for row in new.values() if row is not None]
        count = len(leaf.rows)
        if leaf.pages is None:
            if self._page == 1 and 0 < count < self._size and not count % ROUND:
                self._size = count
            self._over = count < self._size
        else:
            self._over = self._page >= leaf.pages
        self._over |= not new
        self._page += 1
        self.began = True

    def refused(self) -> bool:
        """The source refuses this size; True when a smaller one is worth asking for."""
        smaller = self._page == 1 and self._size > SAFE_SIZE
        self._size = SAFE_SIZE
        return smaller
