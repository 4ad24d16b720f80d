from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from contracts.answer import Result
from contracts.classification import AcceptedBid
from contracts.fold import SearchState
from contracts.query import Sort
from contracts.ranking import ranked
from contracts.samples import SEARCH_ID, judged, sighted, verdict
from contracts.verdict import RelevanceSource, Viability, ViabilityLevel


def row(number, *, score=95, viability=None, value=Decimal(10), source=RelevanceSource.KEYWORD):
    plain = Result.of(AcceptedBid(sighted=sighted(number), verdict=verdict()))
    level = ViabilityLevel.MEDIA
    return plain.model_copy(
        update={
            "confidence_score": score,
            "valor_estimado": value,
            "relevance_source": source,
            "viability": None if viability is None else Viability(score=viability, level=level, factors=()),
        }
    )


class TestRanked:
    @given(st.permutations(range(1, 9)), st.sampled_from(Sort))
    def test_does_not_depend_on_how_the_rows_came(self, order, sort):
        rows = [row(n, score=50 + n % 3, value=None if n % 2 else Decimal(n)) for n in order]

        assert ranked(rows, sort) == ranked(sorted(rows, key=lambda each: each.id), sort)

    def test_puts_bands_of_the_score_first_and_within_a_band_who_said_so_and_how_winnable_it_is(self):
        low, high = row(1, score=70, viability=99), row(2, score=80, viability=10)
        better, inspected = row(3, score=95, viability=5), row(4, score=81, source=RelevanceSource.ITEM_INSPECTION)

        assert ranked((low, better, high, inspected), Sort.RELEVANCE) == (inspected, high, better, low)

    def test_puts_an_unknown_value_after_a_known_zero(self):
        unknown, known = row(1, value=None), row(2, value=Decimal(0))

        assert ranked((unknown, known), Sort.VALUE) == (known, unknown)

    def test_puts_an_unknown_viability_after_the_least(self):
        unknown, known = row(1), row(2, viability=0)

        assert ranked((unknown, known), Sort.VIABILITY) == (known, unknown)

    def test_is_the_order_of_a_running_search_as_well(self):
        state = SearchState(SEARCH_ID)
        state.apply(1, judged("a", accepted=(3, 1, 2)))

        assert state.results() == ranked(state.results(), Sort.RELEVANCE)
