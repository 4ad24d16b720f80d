import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fetch import SliceStatus
from contracts.places import UF
from contracts.values import Licitacao, Modalidade, Source
from fetcher.domain.listing import END_OF_LIST, Listing
from fetcher.domain.walk import MOST_LOST, MOST_PAGES, Step, Walk

SIZE = 10


def bid(number: int) -> Licitacao:
    return Licitacao(
        id=f"PCP-{number}",
        source=Source.PCP,
        uf=UF.SP,
        orgao="Prefeitura",
        modalidade=Modalidade.DISPENSA,
        modalidade_nome="Dispensa",
        objeto="Objeto",
        data_publicacao=datetime(2026, 11, 20, tzinfo=UTC),
    )


def page_of(records: list[int], page: int, *, total: int | None = None, skipped: int = 0) -> Listing:
    shown = records[(page - 1) * SIZE : page * SIZE]
    count = len(records) if total is None else total
    return Listing(
        bids=tuple(bid(number) for number in shown),
        skipped=skipped,
        total_records=count,
        total_pages=math.ceil(count / SIZE),
        page_size=SIZE,
    )


def steps(walk: Walk) -> list[Step]:
    handed = []
    while (step := walk.step()) is not None:
        handed.append(step)
    return handed


def numbers(bids: tuple[Licitacao, ...]) -> list[int]:
    return [int(one.id.removeprefix("PCP-")) for one in bids]


class TestWalk:
    def test_reads_the_first_page_alone(self) -> None:
        assert steps(Walk()) == [Step(page=1, label=1)]

    def test_reads_no_other_page_for_a_count(self) -> None:
        walk = Walk(first_page_only=True)
        [first] = steps(walk)
        walk.take(first, page_of(list(range(35)), 1))
        assert steps(walk) == []
        assert (walk.published, walk.outcome().status) == (35, SliceStatus.COMPLETE)

    def test_counts_none_where_the_list_is_empty_and_nothing_where_it_did_not_answer(self) -> None:
        empty, silent = Walk(first_page_only=True), Walk(first_page_only=True)
        [first] = steps(empty)
        empty.take(first, END_OF_LIST)
        [first] = steps(silent)
        silent.lose("http.503", for_good=True)
        assert (empty.published, silent.published) == (0, None)
        assert silent.outcome().status is SliceStatus.FAILED

    def test_reads_all_other_pages_at_once_when_the_first_has_come(self) -> None:
        walk = Walk()
        [first] = steps(walk)
        walk.take(first, page_of(list(range(35)), 1))
        assert [step.page for step in steps(walk)] == [2, 3, 4]

    def test_is_complete_when_every_record_came(self) -> None:
        walk, records = Walk(), list(range(25))
        while todo := steps(walk):
            for step in todo:
                walk.take(step, page_of(records, step.page))
        assert walk.outcome().status is SliceStatus.COMPLETE
        assert (walk.records, walk.pages_total) == (25, 3)

    def test_is_complete_when_there_is_nothing(self) -> None:
        walk = Walk()
        [first] = steps(walk)
        assert walk.take(first, END_OF_LIST) == ()
        assert steps(walk) == []
        assert walk.outcome().status is SliceStatus.COMPLETE

    def test_counts_a_record_that_could_not_be_read_as_seen(self) -> None:
        walk = Walk()
        [first] = steps(walk)
        walk.take(first, page_of([1, 2], 1, total=3, skipped=1))
        assert steps(walk) == []
        assert walk.outcome().status is SliceStatus.COMPLETE
        assert walk.skipped == 1

    def test_follows_a_total_that_grows(self) -> None:
        walk = Walk()
        [first] = steps(walk)
        walk.take(first, page_of(list(range(20)), 1))
        [second] = steps(walk)
        walk.take(second, page_of(list(range(21)), 2))
        assert [step.page for step in steps(walk)] == [3]

    def test_takes_a_record_that_drifted_to_the_next_page_once(self) -> None:
        walk = Walk()
        [first] = steps(walk)
        walk.take(first, page_of(list(range(11)), 1))
        [second] = steps(walk)
        assert numbers(walk.take(second, Listing((bid(9), bid(10)), 0, 11, 2, SIZE))) == [10]

    def test_reads_a_list_again_that_moved_and_finds_what_fell_between(self) -> None:
        walk, before, after = Walk(), list(range(20)), [99, *range(20)]
        [first] = steps(walk)
        walk.take(first, page_of(before, 1))
        [second] = steps(walk)
        walk.take(second, page_of(after, 2))
        [third] = steps(walk)
        walk.take(third, page_of(after, 3))
        again = steps(walk)
        assert [(step.page, step.label) for step in again] == [(1, 4), (2, 5), (3, 6)]
        new = [number for step in again for number in numbers(walk.take(step, page_of(after, step.page)))]
        assert new == [99]
        assert steps(walk) == []
        assert walk.outcome().status is SliceStatus.COMPLETE

    def test_believes_a_short_last_page_more_than_a_total_that_only_grows(self) -> None:
        walk, records = Walk(), list(range(15))
        while todo := steps(walk):
            for step in todo:
                walk.take(step, page_of(records, step.page, total=15 + step.page))
        assert walk.outcome().status is SliceStatus.COMPLETE

    def test_is_partial_when_a_page_in_the_middle_stays_empty(self) -> None:
        walk, records = Walk(), list(range(30))
        while todo := steps(walk):
            for step in todo:
                walk.take(step, END_OF_LIST if step.page == 2 else page_of(records, step.page))
        assert walk.outcome().status is SliceStatus.PARTIAL
        assert walk.outcome().why == "list.moved"
        assert walk.records == 20

    def test_keeps_the_other_pages_when_one_is_lost(self) -> None:
        walk, records = Walk(), list(range(40))
        [first] = steps(walk)
        walk.take(first, page_of(records, 1))
        second, third, fourth = steps(walk)
        walk.lose("http.503", for_good=False)
        walk.take(third, page_of(records, 3))
        walk.take(fourth, page_of(records, 4))
        assert steps(walk) == []
        assert walk.outcome() == walk.outcome()
        assert (walk.outcome().status, walk.outcome().why, walk.records) == (SliceStatus.PARTIAL, "http.503", 30)
        assert second.page == 2

    def test_gives_up_a_sick_list_after_a_few_lost_pages(self) -> None:
        walk = Walk()
        [first] = steps(walk)
        walk.take(first, page_of(list(range(100)), 1))
        handed = [walk.step() for _ in range(MOST_LOST)]
        for _ in handed:
            walk.lose("http.500", for_good=False)
        assert walk.step() is None

    def test_fails_when_not_one_page_came(self) -> None:
        walk = Walk()
        steps(walk)
        walk.lose("timeout.http", for_good=False)
        assert steps(walk) == []
        assert (walk.outcome().status, walk.outcome().why) == (SliceStatus.FAILED, "timeout.http")

    def test_names_what_cut_it(self) -> None:
        walk = Walk()
        [first] = steps(walk)
        walk.take(first, page_of(list(range(30)), 1))
        assert walk.outcome(cut="timeout.modalidade").status is SliceStatus.PARTIAL
        assert walk.outcome(cut="timeout.modalidade").why == "timeout.modalidade"

    def test_does_not_believe_in_endless_pages(self) -> None:
        walk = Walk()
        [first] = steps(walk)
        walk.take(first, page_of(list(range(SIZE)), 1, total=10**9))
        assert len(steps(walk)) == MOST_PAGES - 1

    @given(
        count=st.integers(0, 120),
        growth=st.lists(st.integers(0, 3), min_size=1, max_size=60),
        order=st.randoms(use_true_random=False),
    )
    @pytest.mark.parametrize("newest_first", [True, False])
    def test_ends_and_hands_out_no_record_twice_while_the_list_grows(
        self, count: int, growth: list[int], order: object, newest_first: bool
    ) -> None:
        walk, records, seen, asked = Walk(), list(range(count)), [], 0
        additions = iter(growth)
        while todo := steps(walk):
            order.shuffle(todo)  # type: ignore[attr-defined]
            for step in todo:
                asked += 1
                new = [1000 + len(records) + n for n in range(next(additions, 0))]
                records = [*new, *records] if newest_first else [*records, *new]
                listing = page_of(records, step.page)
                seen += numbers(walk.take(step, listing if listing.bids else END_OF_LIST))
        assert len(seen) == len(set(seen)) == walk.records
        assert set(seen) <= set(records)
        assert asked <= 2 * (math.ceil(len(records) / SIZE) + 1)
        if not newest_first:
            assert set(range(count)) <= set(seen)
