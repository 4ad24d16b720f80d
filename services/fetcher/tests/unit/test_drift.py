from datetime import date

import pytest

from contracts.fetch import FetchRange
from contracts.places import UF
from contracts.values import Modalidade
from fetcher.domain.drift import DriftWatch
from fetcher.domain.listing import Listing, PageAsk

RANGE = FetchRange(
    modalidade=Modalidade.PREGAO_ELETRONICO, day_from=date(2026, 11, 10), day_to=date(2026, 11, 19)
)  # fmt: skip


def ask(page: int = 1) -> PageAsk:
    return PageAsk(uf=UF.SP, range=RANGE, page=page)


def unreadable(skipped: int, *, total: int = 50, pages: int = 1) -> Listing:
    return Listing(bids=(), skipped=skipped, total_records=total, total_pages=pages)


class TestPages:
    def test_raise_one_alarm_with_a_specimen_when_records_cannot_be_read(self) -> None:
        watch = DriftWatch()
        (drift,) = watch.page(ask(), unreadable(30))
        assert (drift.kind, drift.specimen) == ("shape", "SP 6 page 1: 100% unreadable")
        assert watch.page(ask(), unreadable(30)) == []

    def test_raise_one_alarm_when_pages_are_shorter_than_they_should_be(self) -> None:
        watch = DriftWatch()
        raised = [watch.page(ask(page), unreadable(10, total=500, pages=50)) for page in range(1, 8)]
        (drift,) = [each for found in raised for each in found if each.kind == "page_size"]
        assert (drift.expected, drift.specimen) == ("50 records a page", "SP 6 page 3: 10 of 500, 50 pages")

    @pytest.mark.parametrize(
        "listing", [unreadable(10, total=10), unreadable(0, total=0, pages=0), unreadable(50, total=500, pages=10)]
    )
    def test_raise_none_for_a_last_page_an_empty_one_and_a_full_one(self, listing: Listing) -> None:
        watch = DriftWatch()
        kinds = {drift.kind for _ in range(10) for drift in watch.page(ask(), listing)}
        assert "page_size" not in kinds


class TestWholeRanges:
    @pytest.mark.parametrize("records", [50_000, 20])
    def test_raise_one_alarm_when_a_place_has_far_more_or_less_than_before(self, records: int) -> None:
        watch = DriftWatch()
        for _ in range(4):
            assert watch.whole("SP 6", records=1000, days=10) == []
        (drift,) = watch.whole("SP 6", records=records, days=10)
        assert (drift.kind, drift.expected) == ("volume", "100 records a day")

    def test_raise_none_for_small_places_and_short_ranges_and_what_was_never_seen(self) -> None:
        watch = DriftWatch()
        for records, days in ((30, 10), (0, 10), (50, 10), (5_000, 1)):
            assert watch.whole("AC 6", records=records, days=days) == []
        assert watch.whole("RR 6", records=90_000, days=10) == []

    def test_raise_it_again_when_it_was_over_in_between(self) -> None:
        watch = DriftWatch()
        for _ in range(4):
            watch.whole("SP 6", records=1000, days=10)
        assert watch.whole("SP 6", records=0, days=10)
        for _ in range(9):
            watch.whole("SP 6", records=1000, days=10)
        assert watch.whole("SP 6", records=0, days=10)
