from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cache.domain.amendments import amendments
from cache.domain.batches import MOST_BYTES, StoredBid, batch_key, split
from cache.domain.pages import RangeProgress
from contracts.fetch import PageFetched, SliceStatus
from contracts.places import UF
from contracts.subjects import JUDGE, MAX_MESSAGE_BYTES
from contracts.values import Licitacao, Situacao, Source


def stored(bid: Licitacao, make: Any) -> StoredBid:
    return StoredBid(
        bid=bid, hash=bid.content_hash, size=len(bid.to_json()), since=make.now, last_seen=make.now, store_seq=1
    )


class TestRangeProgress:
    def test_is_settled_by_whichever_of_its_pages_and_its_end_comes_last(self, make: Any) -> None:
        pages = [make.page(page=1), make.page(page=2), make.page(page=2, part=2, parts=2)]
        messages: list[Any] = [*pages, make.end(*pages)]
        for order in permutations(messages):
            progress = RangeProgress.of(None, make.now)
            settled = []
            for message in order:
                is_page = isinstance(message, PageFetched)
                progress = progress.with_page(message) if is_page else progress.with_end(message)
                settled.append(progress.settled)
            assert settled == [False, False, False, True]

    def test_does_not_change_by_a_repeat(self, make: Any) -> None:
        page = make.page()
        once = RangeProgress.of(None, make.now).with_page(page).with_end(make.end(page))
        assert once.with_page(page).with_end(make.end(page)) == once

    def test_of_an_empty_range_is_settled_by_its_end(self, make: Any) -> None:
        assert RangeProgress.of(None, make.now).with_end(make.end()).settled

    def test_begins_anew_when_the_fetch_ids_count_from_1_again(self, make: Any) -> None:
        old = RangeProgress.of(None, make.now).with_page(make.page())
        assert RangeProgress.of(old, make.now + timedelta(minutes=5)) is old
        assert not RangeProgress.of(old, make.now + timedelta(hours=3)).pages

    def test_keeps_the_end_begun_later_of_a_redelivered_claim(self, make: Any) -> None:
        cut = make.end(status=SliceStatus.PARTIAL)
        whole = make.end(started_at=make.now + timedelta(seconds=40), ended_at=make.now + timedelta(seconds=50))
        progress = RangeProgress.of(None, make.now)
        assert progress.with_end(cut).with_end(whole).end == whole
        assert progress.with_end(whole).with_end(cut).end == whole


class TestAmendments:
    def test_names_each_watched_field_that_differs(self, make: Any) -> None:
        old = make.bid()
        new = make.bid(
            valor_estimado=Decimal(2000), situacao=Situacao.SUSPENSA, data_abertura=make.now, municipio="Santos"
        )
        told = {change.field: (change.old, change.new) for change in amendments(old, new, seen_at=make.now)}
        assert told == {
            "valor_estimado": ("1000.50", "2000"),
            "situacao": ("divulgada", "suspensa"),
            "data_abertura": (None, "2026-03-20T12:00:00+00:00"),
        }

    def test_are_none_for_the_same_content(self, make: Any) -> None:
        assert amendments(make.bid(), make.bid(), seen_at=make.now) == ()


class TestBatchKey:
    @given(st.lists(st.tuples(st.text("AB-19", min_size=1), st.text("0f", min_size=1)), unique=True), st.randoms())
    def test_goes_by_what_is_in_it_and_not_by_the_order(self, pairs: list[tuple[str, str]], chance: Any) -> None:
        shuffled = list(pairs)
        chance.shuffle(shuffled)
        assert batch_key(Source.PNCP, UF.SP, pairs) == batch_key(Source.PNCP, UF.SP, shuffled)

    def test_differs_by_content_and_uf(self) -> None:
        keys = {
            batch_key(Source.PNCP, UF.SP, [("a", "1")]),
            batch_key(Source.PNCP, UF.SP, [("a", "2")]),
            batch_key(Source.PNCP, UF.RJ, [("a", "1")]),
        }
        assert len(keys) == 3


class TestSplit:
    def test_makes_batches_of_at_most_50_and_loses_none(self, make: Any) -> None:
        bids = [stored(make.bid(number), make) for number in range(1, 124)]
        batches, left = split(bids, whole_only=False)
        assert [len(batch) for batch in batches] == [50, 50, 23]
        assert [each for batch in batches for each in batch] == bids
        assert left == []

    def test_keeps_an_unfilled_batch_back(self, make: Any) -> None:
        bids = [stored(make.bid(number), make) for number in range(1, 60)]
        batches, left = split(bids, whole_only=True)
        assert [len(batch) for batch in batches] == [50]
        assert left == bids[50:]

    def test_keeps_each_batch_below_what_the_bus_takes(self, make: Any) -> None:
        bids = [stored(make.bid(number, objeto="ção " * 3000), make) for number in range(1, 41)]
        batches, _ = split(bids, whole_only=False)
        assert sum(len(batch) for batch in batches) == 40
        assert all(sum(each.size for each in batch) <= MOST_BYTES < MAX_MESSAGE_BYTES for batch in batches)
        assert JUDGE.stream is not None
