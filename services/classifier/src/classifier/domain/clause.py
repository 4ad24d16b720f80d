"""Which words of an objeto name what is bought, apart from procurement's own words, purpose, place and manner."""

from dataclasses import dataclass

from classifier.domain.catalogue import Grammar
from classifier.domain.text import Words, normal_form

_NAME_WORDS = 7
"""Words that the name of one body may have after its head (`Secretaria Municipal de Cultura, ...`)."""
_LIST_WORDS = 24
"""The same for several bodies at once (`Secretarias de Educação; Saúde; e Cultura`)."""


@dataclass(frozen=True)
class Clause:
    """The words of an objeto told apart."""

    telling: tuple[bool, ...]
    """Per word: whether it counts (no function word, number or boilerplate)."""
    segment: tuple[int, ...]
    """Per word: 0 for the clause that names what is bought, then 1, 2... after each break."""
    generic: tuple[bool, ...]
    agency: tuple[bool, ...]
    """Per word: whether it is part of the name of a public body (`Secretaria de Saúde`), which decides nothing."""


class Grammarian:
    """Cuts objetos into segments by the catalogue's grammar."""

    def __init__(self, grammar: Grammar) -> None:
        """Words are kept as normal forms; breaks may have up to three words."""
        self._boilerplate = frozenset(normal_form(w) for w in grammar.boilerplate)
        self._generic = frozenset(normal_form(w) for w in grammar.generic)
        self._breaks = frozenset(tuple(normal_form(w) for w in phrase.split()) for phrase in grammar.breaks)
        self._break_lengths: dict[str, tuple[int, ...]] = {}
        for phrase in self._breaks:
            self._break_lengths[phrase[0]] = (*self._break_lengths.get(phrase[0], ()), len(phrase))
        self._agencies = frozenset(normal_form(w) for w in grammar.agencies)
        self.attachments = frozenset(normal_form(w) for w in grammar.attachments)

    def cut(self, words: Words) -> Clause:
        """A break counts only once something was named: `empresa para execução de obra` names nothing before `para`.

        What breaks inside brackets is over where they close: `móveis (com montagem) e eletrodomésticos`.
        """
        kept = frozenset(words.kept)
        telling: list[bool] = []
        generic: list[bool] = []
        agencies = self._agencies_of(words)
        segments: list[int] = []
        segment, named = 0, False
        latest, around = 0, (0, False)
        for index, form in enumerate(words.forms):
            counts = index in kept and form not in self._boilerplate and len(form) > 1 and not agencies[index]
            gap = words.breaks_before(index)
            if "(" in gap:
                around = (segment, named)
            elif ")" in gap:
                segment, named = around
            if named and self._breaks_at(words.forms, index):
                latest, named = latest + 1, False
                segment = latest
                counts = False
            telling.append(counts)
            generic.append(counts and form in self._generic)
            segments.append(segment)
            named = named or counts
        return Clause(telling=tuple(telling), segment=tuple(segments), generic=tuple(generic), agency=agencies)

    def _agencies_of(self, words: Words) -> tuple[bool, ...]:
        """A body's name runs from its head to the next break or punctuation; a list of them over commas too."""
        marks = [False] * len(words.forms)
        left, several = 0, False
        for index, form in enumerate(words.forms):
            gap = words.breaks_before(index)
            ends = any(c in ".:()-–—/" for c in gap) or (not several and any(c in ",;" for c in gap))
            if left and (ends or self._breaks_at(words.forms, index)):
                left = 0
            if form in self._agencies:
                several = words.literal(index, index).lower().endswith("s")
                left = _LIST_WORDS if several else _NAME_WORDS
                marks[index] = True
            elif left:
                marks[index] = True
                left -= 1
        return tuple(marks)

    def _breaks_at(self, forms: tuple[str, ...], index: int) -> bool:
        lengths = self._break_lengths.get(forms[index], ())
        return any(forms[index : index + n] in self._breaks for n in lengths)
