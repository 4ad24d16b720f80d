import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.domain.catalogue import Catalogue
from classifier.domain.engine import Automaton, Hit, outermost
from classifier.domain.relevance import Judge
from classifier.domain.scoring import Labelled
from classifier.domain.text import Words, form_of, words_of

WORDS = st.sampled_from(
    ["ar", "condicionado", "arco", "mesa", "som", "de", "cirurgica", "carro", "pipa", "agua", "aguas"]
)
PHRASES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


def oracle(forms: list[str], words: Words) -> set[tuple[int, int, int]]:
    """Every place where the words of a pattern stand one after the other among the telling words of a text."""
    telling = [words.forms[index] for index in words.kept]
    found = set()
    for number, form in enumerate(forms):
        pattern = form.split()
        for at in range(len(telling) - len(pattern) + 1):
            if pattern and telling[at : at + len(pattern)] == pattern:
                found.add((words.kept[at], words.kept[at + len(pattern) - 1], number))
    return found


def found_by(automaton: Automaton, words: Words) -> set[tuple[int, int, int]]:
    return {(hit.first, hit.last, hit.pattern) for hit in automaton.find(words)}


class TestAutomaton:
    def test_finds_whole_words_only(self) -> None:
        words = words_of("arcondicionado e arco")
        assert Automaton(["ar", "arco"]).find(words) == [Hit(2, 2, 1)]

    def test_finds_overlapping_and_nested_patterns(self) -> None:
        words = words_of("mesa de som e som")
        assert found_by(Automaton(["mesa som", "som", "som som", "mesa"]), words) == {
            (0, 2, 0), (2, 2, 1), (4, 4, 1), (2, 4, 2), (0, 0, 3),
        }  # fmt: skip

    def test_gives_each_pattern_of_the_same_form_its_own_hit(self) -> None:
        assert [hit.pattern for hit in Automaton(["mesa", "mesa"]).find(words_of("mesa"))] == [0, 1]

    def test_never_finds_an_empty_pattern(self) -> None:
        assert Automaton(["", ""]).find(words_of("mesa")) == []
        assert Automaton(["mesa"]).find(words_of("")) == []

    @given(st.lists(PHRASES, max_size=8), st.lists(WORDS, max_size=20).map(" ".join))
    def test_finds_what_the_naive_oracle_finds(self, patterns: list[str], text: str) -> None:
        forms = [form_of(pattern) for pattern in patterns]
        assert found_by(Automaton(forms), words_of(text)) == oracle(forms, words_of(text))

    def test_agrees_with_one_expression_per_term_on_real_bids(
        self, catalogue: Catalogue, judge: Judge, labelled: list[Labelled]
    ) -> None:
        forms = sorted({form_of(e.term) for e in judge.entries if e.sector in {"vestuario", "mobiliario", "telecom"}})
        automaton = Automaton(forms)
        expressions = [re.compile(rf"(?=\b{re.escape(form)}\b)") for form in forms]
        for bid in labelled[::40]:
            words = words_of(bid.objeto)
            naive = {(n, m.start()) for n, e in enumerate(expressions) for m in e.finditer(words.line)}
            starts, at = {}, 0
            for index in words.kept:
                starts[index] = at
                at += len(words.forms[index]) + 1
            assert {(hit.pattern, starts[hit.first]) for hit in automaton.find(words)} == naive


def against_the_oracle(judge: Judge, labelled: list[Labelled], *, texts: int) -> int:
    """Texts woven from pieces of real bids, over all terms of all sectors; how many hits were compared."""
    forms = sorted({form for entry in judge.entries if (form := form_of(entry.term))})
    automaton, known, longest = Automaton(forms), {form: n for n, form in enumerate(forms)}, max(map(len_of, forms))
    pieces = [bid.objeto.split() for bid in labelled]
    draw, compared = random.Random(20261122), 0  # noqa: S311 - a seeded sample, no secret
    for _ in range(texts):
        one, other = draw.choice(pieces), draw.choice(pieces)
        words = words_of(" ".join((*one[: draw.randint(0, 30)], *other[draw.randint(0, len(other)) :][:30])))
        telling, kept = [words.forms[index] for index in words.kept], words.kept
        naive = {
            (kept[at], kept[at + n - 1], known[form])
            for n in range(1, longest + 1)
            for at in range(len(telling) - n + 1)
            if (form := " ".join(telling[at : at + n])) in known
        }
        assert found_by(automaton, words) == naive
        compared += len(naive)
    return compared


def len_of(form: str) -> int:
    return form.count(" ") + 1


class TestAgainstTheOracle:
    def test_differs_nowhere_on_a_sample(self, judge: Judge, labelled: list[Labelled]) -> None:
        assert against_the_oracle(judge, labelled, texts=1_000) > 5_000

    @pytest.mark.soak
    @pytest.mark.timeout(1200)
    def test_differs_nowhere_on_a_hundred_thousand_texts(self, judge: Judge, labelled: list[Labelled]) -> None:
        assert against_the_oracle(judge, labelled, texts=100_000) > 500_000


class TestOutermost:
    @given(st.lists(PHRASES, min_size=1, max_size=8), st.lists(WORDS, max_size=20).map(" ".join))
    def test_keeps_what_comparing_every_pair_would_keep(self, patterns: list[str], text: str) -> None:
        words = words_of(text)
        hits = Automaton([form_of(pattern) for pattern in patterns]).find(words)
        spans = {(h.first, h.last) for h in hits if not any(h.within(other) for other in hits)}
        assert {(h.first, h.last) for h in outermost(hits, words)} == spans
        assert len(outermost(hits, words)) == len(spans)
