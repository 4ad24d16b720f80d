"""What feedback has in common (D05): pairs of words, and the terms and exclusions that would mend it."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from classifier.domain.catalogue import Catalogue, expand
from classifier.domain.relevance import Judge
from classifier.domain.scoring import Labelled, Score, score
from classifier.domain.text import form_of, words_of
from contracts.feedback import Count, Effect, SectorPatterns, Suggestion, UserVerdict
from contracts.sectors import SectorId

MOST = 20
"""Pairs of words named per sector."""
MOST_SUGGESTED = 5
"""Terms, and exclusions, suggested per sector: each is measured."""
LEAST_SUPPORT = 2
"""Bids that must ask for a change: one person's one click is no pattern."""


@dataclass(frozen=True, slots=True)
class Given:
    """One row of feedback."""

    sector: SectorId
    objeto: str
    user_verdict: UserVerdict
    matched_terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One phrase more in one list of a sector."""

    sector: SectorId
    kind: str
    """`strong` or `exclusions`."""
    term: str


def patterns_of(sector: SectorId, given: Sequence[Given]) -> SectorPatterns:
    """Counts over distinct bids' texts; the same feedback gives the same patterns."""
    by = {verdict: [g for g in given if g.user_verdict is verdict] for verdict in UserVerdict}
    wrong, right = by[UserVerdict.FALSE_POSITIVE], by[UserVerdict.CORRECT]
    unlike = _counted(wrong, _bigrams) - _counted(right, _bigrams)
    beside, spelling = _counted(wrong, _beside), _spelling(wrong)
    return SectorPatterns(
        sector=sector,
        false_positives=len(wrong),
        false_negatives=len(by[UserVerdict.FALSE_NEGATIVE]),
        correct=len(right),
        bigrams=_most(unlike, spelling),
        co_occurrences=_most(beside, spelling),
    )


def suggestions(
    sector: SectorId, given: Sequence[Given], *, catalogue: Catalogue
) -> tuple[list[tuple[Change, int]], list[tuple[Change, int]]]:
    """The terms and the exclusions that at least two bids ask for, with how many; none that the catalogue has."""
    rules = catalogue.sectors[sector]
    known = {
        form_of(term)
        for pattern in (*rules.strong, *rules.weak, *rules.vague, *rules.exclusions)
        for term in expand(pattern)
    }
    missed = [g for g in given if g.user_verdict is UserVerdict.FALSE_NEGATIVE]
    wrong = [g for g in given if g.user_verdict is UserVerdict.FALSE_POSITIVE]
    right = _counted((g for g in given if g.user_verdict is not UserVerdict.FALSE_POSITIVE), _bigrams)
    spelling = _spelling(given)
    terms = _asked_for(_counted(missed, _bigrams) - _counted(wrong, _bigrams), known, spelling)
    around = _counted(wrong, _around_a_match) - right
    return (
        [(Change(sector, "strong", term), count) for term, count in terms],
        [(Change(sector, "exclusions", term), count) for term, count in _asked_for(around, known, spelling)],
    )


def changed(catalogue: Catalogue, change: Change) -> Catalogue:
    """The catalogue with one phrase more."""
    rules = catalogue.sectors[change.sector]
    longer = rules.model_copy(update={change.kind: (*getattr(rules, change.kind), change.term)})
    return replace(catalogue, sectors={**catalogue.sectors, change.sector: longer})


def suggested(change: Change, support: int, *, judge: Judge, labelled: Sequence[Labelled]) -> Suggestion:
    """The change with the effect that it would have on the labelled bids whose text holds the phrase."""
    effect = None
    if labelled:
        form = f" {form_of(change.term)} "
        touched = [bid for bid in labelled if form in f" {words_of(bid.objeto).line} "]
        before = score(judge, touched, sectors=(change.sector,))
        after = score(Judge(changed(judge.catalogue, change)), touched, sectors=(change.sector,))
        effect = _effect(before, after)
    return Suggestion(sector=change.sector, term=change.term, support=support, effect=effect)


def _effect(before: Score, after: Score) -> Effect:
    return Effect(
        right=after.micro.right - before.micro.right,
        false_hits=after.micro.false_hits - before.micro.false_hits,
        misses=after.micro.misses - before.micro.misses,
    )


def _asked_for(counts: Counter[str], known: set[str], spelling: dict[str, str]) -> list[tuple[str, int]]:
    wanted = [(form, n) for form, n in counts.items() if n >= LEAST_SUPPORT and form not in known]
    ordered = sorted(wanted, key=lambda each: (-each[1], each[0]))[:MOST_SUGGESTED]
    return [(" ".join(spelling[word] for word in form.split()), n) for form, n in ordered]


def _spelling(given: Iterable[Given]) -> dict[str, str]:
    """Normal form -> the word as it was first written, in small letters: `uniform` is no word for people."""
    spelled: dict[str, str] = {}
    for each in given:
        words = words_of(each.objeto)
        for index in words.kept:
            spelled.setdefault(words.forms[index], words.literal(index, index).lower())
    return spelled


def _counted(given: Iterable[Given], said: Callable[[Given], set[str]]) -> Counter[str]:
    return Counter(form for each in given for form in said(each))


def _bigrams(given: Given) -> set[str]:
    telling = words_of(given.objeto).line.split()
    return {f"{one} {other}" for one, other in itertools.pairwise(telling)}


def _around_a_match(given: Given) -> set[str]:
    """A matched term with the word before or after it: the narrowest phrase that would hide it."""
    line = words_of(given.objeto).line.split()
    phrases: set[str] = set()
    for term in given.matched_terms:
        form = form_of(term).split()
        for at in range(len(line) - len(form) + 1):
            if form and line[at : at + len(form)] == form:
                if at:
                    phrases.add(" ".join(line[at - 1 : at + len(form)]))
                if at + len(form) < len(line):
                    phrases.add(" ".join(line[at : at + len(form) + 1]))
    return phrases


def _beside(given: Given) -> set[str]:
    """Each matched term with each other word: `uniforme + fachada`, in normal forms."""
    forms = {form_of(term) for term in given.matched_terms} - {""}
    inside = {word for form in forms for word in form.split()}
    telling = set(words_of(given.objeto).line.split()) - inside
    return {f"{form} + {word}" for form in forms for word in telling}


def _most(counts: Counter[str], spelling: dict[str, str]) -> tuple[Count, ...]:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return tuple(
        Count(words=" ".join(spelling.get(word, word) for word in form.split()), count=n)
        for form, n in ordered
        if n >= LEAST_SUPPORT
    )[:MOST]
