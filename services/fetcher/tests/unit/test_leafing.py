from hypothesis import given
from hypothesis import strategies as st

from fetcher.domain.leafing import MOST_PAGES, Leaf, Leafing


class Source:
    """Lists of `count` rows, at most `most` a page; one that heeds nothing gives its own size whatever is asked."""

    def __init__(self, count: int, *, most: int = 500, heeds: bool = True, tells: bool = False) -> None:
        self.count, self.most, self.heeds, self.tells = count, most, heeds, tells
        self.asked = 0

    def page(self, page: int, size: int) -> Leaf[int]:
        self.asked += 1
        size = min(size, self.most) if self.heeds else self.most
        rows = range(self.count)[(page - 1) * size : page * size]
        return Leaf(tuple((row, row) for row in rows), pages=-(-self.count // size) if self.tells else None)


def read(source: Source) -> Leafing[int]:
    leafing: Leafing[int] = Leafing()
    while (ask := leafing.next) is not None:
        leafing.take(source.page(*ask))
    return leafing


class TestLeafing:
    @given(
        count=st.integers(0, 900),
        most=st.sampled_from([50, 100, 200, 500]),
        heeds=st.booleans(),
        tells=st.booleans(),
    )
    def test_brings_every_row_once_whatever_the_source_cuts(
        self, count: int, most: int, heeds: bool, tells: bool
    ) -> None:
        leafing = read(Source(count, most=most, heeds=heeds, tells=tells))
        assert leafing.found == list(range(count))
        assert not leafing.cut

    def test_finds_what_a_default_of_ten_would_hide(self) -> None:
        source = Source(57, most=10, heeds=False)
        assert read(source).found == list(range(57))

    def test_costs_one_request_where_there_is_nothing_to_doubt(self) -> None:
        source = Source(57)
        read(source)
        assert source.asked == 1

    def test_stops_where_the_same_page_comes_again(self) -> None:
        leafing: Leafing[int] = Leafing()
        for _ in range(2):
            assert leafing.next is not None
            leafing.take(Leaf(tuple((row, row) for row in range(10))))
        assert leafing.next is None
        assert leafing.found == list(range(10))

    def test_says_that_an_endless_list_was_cut(self) -> None:
        leafing = read(Source(10_000, most=50))
        assert len(leafing.found) == MOST_PAGES * 50
        assert leafing.cut

    def test_asks_for_less_once_when_a_size_is_refused(self) -> None:
        leafing: Leafing[int] = Leafing()
        assert leafing.refused()
        assert leafing.next == (1, 50)
        assert not leafing.refused()

    def test_counts_what_it_does_not_show(self) -> None:
        leafing: Leafing[int] = Leafing()
        leafing.take(Leaf(tuple((row, row if row % 2 else None) for row in range(10))))
        assert leafing.found == [1, 3, 5, 7, 9]
        assert leafing.next == (2, 10)
