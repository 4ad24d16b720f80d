from classifier.domain.catalogue import Catalogue
from classifier.domain.patterns import Change, Given, changed, patterns_of, suggested, suggestions
from classifier.domain.relevance import Judge
from classifier.domain.scoring import Labelled
from contracts.feedback import UserVerdict

WRONG, MISSED, RIGHT = UserVerdict.FALSE_POSITIVE, UserVerdict.FALSE_NEGATIVE, UserVerdict.CORRECT


def given(verdict: UserVerdict, *texts: str, matched: tuple[str, ...] = ("uniforme",)) -> list[Given]:
    return [Given("vestuario", text, verdict, matched) for text in texts]


FACADES = given(WRONG, "Uniforme visual da fachada do paço", "Uniforme visual da fachada da escola")


class TestPatterns:
    def test_count_what_false_positives_share_and_correct_ones_do_not(self) -> None:
        found = patterns_of("vestuario", [*FACADES, *given(RIGHT, "Uniforme escolar", "Uniforme escolar da fachada")])
        assert (found.false_positives, found.correct, found.false_negatives) == (2, 2, 0)
        bigrams = {each.words: each.count for each in found.bigrams}
        assert bigrams["visual fachada"] == 2
        assert "uniforme escolar" not in bigrams
        assert "uniforme + fachada" in {each.words for each in found.co_occurrences}

    def test_are_none_where_one_person_clicked_once(self) -> None:
        found = patterns_of("vestuario", FACADES[:1])
        assert (found.bigrams, found.co_occurrences) == ((), ())


class TestSuggestions:
    def test_name_the_narrowest_phrase_that_would_hide_the_match(self, catalogue: Catalogue) -> None:
        terms, exclusions = suggestions("vestuario", FACADES, catalogue=catalogue)
        assert terms == []
        assert exclusions == [(Change("vestuario", "exclusions", "uniforme visual"), 2)]

    def test_name_terms_that_missed_bids_share_and_the_catalogue_lacks(self, catalogue: Catalogue) -> None:
        missed = given(MISSED, "Zarbolim tático azul", "Zarbolim tático verde", matched=())
        terms, exclusions = suggestions("vestuario", missed, catalogue=catalogue)
        assert exclusions == []
        assert (Change("vestuario", "strong", "zarbolim tático"), 2) in terms
        known = given(MISSED, "Uniforme escolar azul", "Uniforme escolar verde", matched=())
        assert "uniforme escolar" not in {
            change.term for change, _ in suggestions("vestuario", known, catalogue=catalogue)[0]
        }

    def test_tell_the_effect_on_the_labelled_bids(self, catalogue: Catalogue, judge: Judge) -> None:
        labelled = [
            Labelled("1", "Aquisição de zarbolim tático", frozenset({"vestuario"})),
            Labelled("2", "Concerto de zarbolim tático", frozenset()),
            Labelled("3", "Aquisição de bananas", frozenset({"alimentacao"})),
        ]
        found = suggested(Change("vestuario", "strong", "zarbolim tatico"), 2, judge=judge, labelled=labelled)
        assert found.effect is not None
        assert (found.effect.right, found.effect.false_hits, found.effect.misses) == (1, 1, -1)

    def test_say_nothing_of_an_effect_that_cannot_be_measured(self, judge: Judge) -> None:
        assert suggested(Change("vestuario", "strong", "zarbolim"), 2, judge=judge, labelled=[]).effect is None

    def test_change_nothing_but_the_one_list(self, catalogue: Catalogue) -> None:
        after = changed(catalogue, Change("vestuario", "strong", "zarbolim"))
        assert after.sectors["vestuario"].strong == (*catalogue.sectors["vestuario"].strong, "zarbolim")
        assert after.sectors["obras"] is catalogue.sectors["obras"]
