from contracts.fold import SearchState
from contracts.places import UF
from contracts.samples import NOW, SEARCH_ID, gathered, judged, planned, requested
from contracts.values import Source
from coordinator.domain.close import answer_of
from farol.replaying import differences


def answer(*accepted: int):
    asked = requested(UF.SP, sources=(Source.PNCP,))
    state = SearchState(SEARCH_ID)
    batch = judged("a", accepted=accepted, rejected=(9,))
    for number, fact in enumerate((asked, planned(asked), gathered(UF.SP, batches=("a",), records=5), batch), start=1):
        state.apply(number, fact)
    return answer_of(state, now=NOW)


class TestDifferences:
    def test_are_none_between_equal_answers(self):
        assert list(differences(answer(1, 2, 3), answer(1, 2, 3))) == []

    def test_name_what_entered_and_what_left(self):
        one, other = answer(1, 2, 3), answer(1, 3, 4)
        found = list(differences(one, other))
        ids = {row.id for row in one.results} ^ {row.id for row in other.results}
        assert {each.where for each in found if each.kind in {"entered", "left"}} == ids
        assert {each.kind for each in found} == {"entered", "left"}

    def test_name_the_field_of_a_row_that_changed(self):
        before = answer(1, 2)
        row = before.results[0].model_copy(update={"confidence_score": 7})
        (found,) = differences(before, before.model_copy(update={"results": (row, *before.results[1:])}))
        assert (found.kind, found.where, found.after) == ("changed", f"{row.id} confidence_score", 7)

    def test_name_rows_in_another_order(self):
        before = answer(1, 2, 3)
        after = before.model_copy(update={"results": tuple(reversed(before.results))})
        assert {(each.kind, each.before, each.after) for each in differences(before, after)} == {
            ("moved", 3, 1),
            ("moved", 1, 3),
        }

    def test_name_a_field_of_the_answer(self):
        before = answer(1)
        (found,) = differences(before, before.model_copy(update={"reliability": 1}))
        assert (found.kind, found.where, found.after) == ("field", "reliability", 1)
