"""Whether a source has changed: what it answers is outside what was known of it. Nothing stops; one alarm is raised."""

import math
from dataclasses import dataclass

from fetcher.domain.listing import Listing, PageAsk

LEAST_RECORDS = 20
UNREADABLE_SHARE = 0.2
"""One broken record is the record's matter; of so many, at least so large a share is the source's."""
SHORT_PAGES = 3
"""Pages shorter than the source's own count of pages allows, before it is called a change of page size."""
LEAST_DAYS = 5
"""Ranges of fewer days hold weekends or holidays alone."""
LEARNED_FROM = 3
"""Ranges of a place before its volume is known."""
LARGEST_STEP = 5.0
"""Times more or less a day than before."""
LEAST_A_DAY = 20.0
"""Below so many a day a place may well have none."""
CATEGORY = "category"
MEMORY = 0.3
PLACES = 4096


@dataclass(frozen=True, slots=True)
class Drift:
    """One alarm."""

    kind: str
    """`shape`, `page_size`, `volume`, `category`."""
    expected: str
    specimen: str


class DriftWatch:
    """Sees every page and every whole range of one source; tells each kind of drift once until it is over."""

    def __init__(self) -> None:
        self._records = 0
        self._unreadable = 0
        self._short = 0
        self._a_day: dict[str, tuple[int, float]] = {}
        self._told: set[str] = set()

    def page(self, ask: PageAsk, listing: Listing) -> list[Drift]:
        """A page that came."""
        found = (self._shape(ask, listing), self._page_size(ask, listing))
        return [drift for drift in found if drift is not None]

    def whole(self, place: str, *, records: int, days: int) -> list[Drift]:
        """A range that was read to its end: how many records a day its place has."""
        if days < LEAST_DAYS:
            return []
        a_day = records / days
        times, mean = self._a_day.pop(place, (0, a_day))
        self._a_day[place] = (times + 1, mean + MEMORY * (a_day - mean))
        while len(self._a_day) > PLACES:
            del self._a_day[next(iter(self._a_day))]
        grown = a_day > LARGEST_STEP * max(mean, LEAST_A_DAY)
        shrunk = mean >= LEAST_A_DAY and a_day * LARGEST_STEP < mean
        if times < LEARNED_FROM or not (grown or shrunk):
            self._told.discard(f"volume {place}")
            return []
        expected = f"{mean:.0f} records a day"
        drift = self._once(f"volume {place}", Drift("volume", expected, f"{place}: {a_day:.0f} a day"))
        return [drift] if drift else []

    def _shape(self, ask: PageAsk, listing: Listing) -> Drift | None:
        self._records += listing.records
        self._unreadable += listing.skipped
        if self._records < LEAST_RECORDS:
            return None
        share = self._unreadable / self._records
        self._records = self._unreadable = 0
        if share < UNREADABLE_SHARE:
            self._told.discard("shape")
            return None
        return self._once("shape", Drift("shape", "readable records", f"{_where(ask)}: {share:.0%} unreadable"))

    def _page_size(self, ask: PageAsk, listing: Listing) -> Drift | None:
        size = listing.page_size
        more = ask.page < math.ceil(listing.total_records / size)
        if not more or not 0 < listing.records < size:
            self._short -= self._short > 0
            return None
        self._short += 1
        if self._short < SHORT_PAGES:
            return None
        specimen = f"{_where(ask)}: {listing.records} of {listing.total_records}, {listing.total_pages} pages"
        return self._once("page_size", Drift("page_size", f"{size} records a page", specimen))

    def _once(self, key: str, drift: Drift) -> Drift | None:
        if key in self._told:
            return None
        self._told.add(key)
        return drift


def _where(ask: PageAsk) -> str:
    return f"{ask.uf or 'BR'} {ask.range.modalidade or ''} page {ask.page}".replace("  ", " ")
