"""Which words of an objeto name what is bought, apart from procurement's own words, purpose, place and manner."""

from dataclasses import dataclass

from classifier.domain.catalogue import Grammar
from classifier.domain.text import Words, normal_form


@dataclass(frozen=True)
class Clause:
    """The words of an objeto told apart."""

    telling: tuple[bool, ...]
    """Per word: whether it counts (no function word, number or boilerplate)."""
    segment: tuple[int, ...]
    """Per word: 0 for the clause that names what is bought, then 1, 2... after each break."""
    generic: tuple[bool, ...]


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
        self.attachments = frozenset(normal_form(w) for w in grammar.attachments)

    def cut(self, words: Words) -> Clause:
        """A break counts only once something was named: `empresa para execução de obra` names nothing before `para`."""
        kept = frozenset(words.kept)
        telling: list[bool] = []
        generic: list[bool] = []
        segments: list[int] = []
        segment, named = 0, False
        for index, form in enumerate(words.forms):
            counts = index in kept and form not in self._boilerplate and len(form) > 1
            if named and self._breaks_at(words.forms, index):
                segment, named = segment + 1, False
                counts = False
            telling.append(counts)
            generic.append(counts and form in self._generic)
            segments.append(segment)
            named = named or counts
        return Clause(telling=tuple(telling), segment=tuple(segments), generic=tuple(generic))

    def _breaks_at(self, forms: tuple[str, ...], index: int) -> bool:
        lengths = self._break_lengths.get(forms[index], ())
        return any(forms[index : index + n] in self._breaks for n in lengths)
