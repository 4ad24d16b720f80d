"""One automaton over every term of every sector: all whole-word occurrences of all of them, in one pass."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from classifier.domain.text import Words


class Hit(NamedTuple):
    """Pattern `pattern` stands on the words first..last (indexes into `Words.forms`), both included."""

    first: int
    last: int
    pattern: int

    @property
    def words(self) -> int:
        """How many words it covers."""
        return self.last - self.first + 1

    def within(self, other: "Hit") -> bool:
        """Whether the other one covers it and more."""
        return other.first <= self.first and self.last <= other.last and self.words < other.words


class Automaton:
    """Finds every pattern (a line of normal forms) in the line of a text, overlapping ones included.

    Patterns with the same form share one node; each keeps its own index.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """Linear in the total length of the patterns; an empty one never matches."""
        self._by_form: dict[str, list[int]] = {}
        for index, form in enumerate(patterns):
            if form:
                self._by_form.setdefault(form, []).append(index)
        self._forms = tuple(self._by_form)
        self._machine = (
            AhoCorasick(
                [f" {form} " for form in self._forms],
                matchkind=MatchKind.Standard,
                implementation=Implementation.ContiguousNFA,
            )
            if self._forms
            else None
        )

    def find(self, words: Words) -> list[Hit]:
        """Every hit, by position."""
        if self._machine is None or not words.kept:
            return []
        # A blank on each side of pattern and line lets whole words match only.
        matches = self._machine.find_matches_as_indexes(f" {words.line} ", overlapping=True)
        if not matches:
            return []
        starts, ends = _boundaries(words)
        hits: list[Hit] = []
        for node, start, end in matches:
            first, last = starts[start], ends[end - 2]
            hits.extend([Hit(first, last, index) for index in self._by_form[self._forms[node]]])
        hits.sort()
        return hits


class Cover:
    """Which hits lie over which: looks only as far back as the longest hit reaches, so that any text is linear."""

    def __init__(self, hits: Iterable[Hit], words: Words) -> None:
        """Distances are counted in telling words: between two of them there may be any number of others."""
        self._place = {index: place for place, index in enumerate(words.kept)}
        self._starting: dict[int, list[Hit]] = {}
        self._reach = 0
        for hit in hits:
            start = self._place[hit.first]
            self._starting.setdefault(start, []).append(hit)
            self._reach = max(self._reach, self._place[hit.last] - start)

    def over(self, hit: Hit) -> Iterator[Hit]:
        """The hits that cover every word of this one, itself among them if it is one of them."""
        place = self._place[hit.first]
        for start in range(max(0, place - self._reach), place + 1):
            for other in self._starting.get(start, ()):
                if other.last >= hit.last:
                    yield other


def outermost(hits: Iterable[Hit], words: Words) -> list[Hit]:
    """The hits that no longer one covers, the first of those on the same words."""
    ordered = sorted(hits)
    cover = Cover(ordered, words)
    kept: dict[tuple[int, int], Hit] = {}
    for hit in ordered:
        if not any(hit.within(other) for other in cover.over(hit)):
            kept.setdefault((hit.first, hit.last), hit)
    return list(kept.values())


def _boundaries(words: Words) -> tuple[dict[int, int], dict[int, int]]:
    """Where in the line each word begins, and where it ends."""
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    at = 0
    for index in words.kept:
        starts[at] = index
        at += len(words.forms[index])
        ends[at] = index
        at += 1
    return starts, ends
