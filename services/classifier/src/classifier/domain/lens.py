"""A search's own terms: a small automaton per lens, built once for all batches of the search."""

from collections import OrderedDict
from collections.abc import Sequence

from classifier.domain.clause import Grammarian
from classifier.domain.engine import Automaton, outermost
from classifier.domain.reading import Find, Finding, Reading, is_generic, zoned
from classifier.domain.text import form_of, words_of
from contracts.classification import RejectReason, Zone


class OwnTerms:
    """The compiled terms of one lens. A person who names a term wants each bid that is about it.

    All finds count wherever they stand; density is taken over the clauses up to the first find, as for a sector.
    """

    def __init__(self, terms: Sequence[str], grammarian: Grammarian) -> None:
        """Terms without a telling word never match."""
        self._terms = tuple(terms)
        self._automaton = Automaton([form_of(term, numbers=True) for term in terms])
        self._grammarian = grammarian

    def find(self, objeto: str) -> tuple[Reading, Finding]:
        """The reading of one objeto and what the terms come to."""
        words = words_of(objeto, numbers=True)
        clause = self._grammarian.cut(words)
        hits = self._automaton.find(words)
        head = min((clause.segment[hit.first] for hit in hits), default=None)
        reading = Reading(words=words, clause=clause, hits=tuple(hits), shown=tuple(hits), head=head)
        if hits:
            finds = tuple(Find(self._terms[h.pattern], h.first, h.last) for h in outermost(hits, words))
            return reading, zoned(reading, finds, trace=[f"own:{find.term}" for find in finds])
        if is_generic(reading):
            return reading, Finding(zone=Zone.ZERO_MATCH, trace=("generic",))
        return reading, Finding(reject=RejectReason.NO_MATCH, trace=("no_match",))


class OwnTermsCache:
    """The last few lenses' automata; the least recently used goes first."""

    def __init__(self, grammarian: Grammarian, *, size: int = 256) -> None:
        """A size of at least one."""
        if size < 1:
            raise ValueError("a cache of own terms holds at least one lens")
        self._grammarian = grammarian
        self._size = size
        self._held: OrderedDict[tuple[str, ...], OwnTerms] = OrderedDict()

    def of(self, terms: tuple[str, ...]) -> OwnTerms:
        """The compiled terms."""
        if terms in self._held:
            self._held.move_to_end(terms)
            return self._held[terms]
        self._held[terms] = own = OwnTerms(terms, self._grammarian)
        if len(self._held) > self._size:
            self._held.popitem(last=False)
        return own

    def __len__(self) -> int:
        return len(self._held)
