"""Reading one range of a list that moves while it is read."""

import math
from collections import Counter
from dataclasses import dataclass

from contracts.fetch import SliceStatus
from contracts.values import Licitacao
from fetcher.domain.listing import Listing

MOST_PAGES = 5_000
"""Pages of one range; a source that promises more is not believed."""
MOST_LOST = 3
"""So many pages lost to the source's errors end a range: it is sick, not unlucky."""
READINGS = 2
"""How often a list that moved is read through."""


@dataclass(frozen=True, slots=True)
class Step:
    """One page to read. `label` names it in messages: pages of a second reading are numbered on."""

    page: int
    label: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a range ended."""

    status: SliceStatus
    why: str | None


class Walk:
    """Hands out each page of a range once, page 1 alone first, and says when the range is over and how.

    The totals of any page may grow the walk; an empty page never does. Records are told apart by id, so that a page
    which drifted is taken once. When fewer distinct records came than the source says there are, the list moved under
    the reading: it is read once more, and is complete when that brings nothing new.
    """

    def __init__(self, *, first_page_only: bool = False) -> None:
        self._first_page_only = first_page_only
        self._reading = 1
        self._handed = 0
        self._open = 0
        self._offset = 0
        self._pages = 1
        self._last_total = 0
        self._page_size = 1
        self._ids: set[str] = set()
        self._skipped: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._new_in_reading = 0
        self._answered = False
        self._lost: list[str] = []
        self._dead: str | None = None
        self.noticed: Counter[str] = Counter()
        """How often each rule for a list that moves had something to do."""

    @property
    def records(self) -> int:
        """Distinct records that came."""
        return len(self._ids)

    @property
    def skipped(self) -> int:
        """Records that came and could not be read."""
        return sum(self._skipped.values())

    @property
    def published(self) -> int | None:
        """How many there are, as the source said last."""
        return self._last_total if self._answered else None

    @property
    def pages_total(self) -> int:
        """As the source said last."""
        return math.ceil(self._last_total / self._page_size) if self._answered else 0

    def step(self) -> Step | None:
        """The next page to read now; None while the first is awaited and when all are handed out."""
        if self._dead or len(self._lost) >= MOST_LOST or (self._handed == 1 and self._open and self._reading == 1):
            return None
        if self._handed >= self._pages and not self._open and self._worth_another_reading:
            self._reading += 1
            self.noticed["list.read_again"] += 1
            self._offset += self._handed
            self._handed = self._new_in_reading = 0
            self._held.clear()
        if self._handed >= self._pages:
            return None
        self._handed += 1
        self._open += 1
        return Step(page=self._handed, label=self._offset + self._handed)

    def take(self, step: Step, listing: Listing) -> tuple[Licitacao, ...]:
        """Count a page that came; its bids that no page before brought."""
        self._open -= 1
        self._notice(listing)
        self._answered = True
        self._held[step.page] = listing.records
        self._skipped[step.page] = listing.skipped
        if listing.records:
            self._last_total = listing.total_records
            self._page_size = max(1, listing.page_size)
            promised = max(listing.total_pages, math.ceil(listing.total_records / self._page_size))
            self._pages = min(max(self._pages, promised), 1 if self._first_page_only else MOST_PAGES)
        new = {bid.id: bid for bid in listing.bids if bid.id not in self._ids}
        self._ids.update(new)
        self._new_in_reading += len(new)
        return tuple(new.values())

    def _notice(self, listing: Listing) -> None:
        if not listing.records and self._answered:
            self.noticed["page.empty"] += 1
        elif self._answered and listing.total_records != self._last_total:
            self.noticed["totals.changed"] += 1
        if self._reading == 1 and (repeated := sum(bid.id in self._ids for bid in listing.bids)):
            self.noticed["record.repeated"] += repeated
        if listing.skipped:
            self.noticed["record.unreadable"] += listing.skipped

    def lose(self, code: str, *, for_good: bool) -> None:
        """Count a page that did not come; `for_good` when no other page of the range would either."""
        self._open -= 1
        self._lost.append(code)
        # Page 1 tells how much there is: without it nothing else can be asked.
        if for_good or not self._answered:
            self._dead = code

    def outcome(self, *, cut: str | None = None) -> Outcome:
        """How the range ended; `cut` is the code of what cut it short, if anything did."""
        why = cut or self._dead or next(iter(self._lost), None)
        if why is None and self._first_page_only:
            return Outcome(SliceStatus.COMPLETE, None)
        if why is None and self._pages >= MOST_PAGES:
            why = "pages.bound"
        if why is None and not self._whole:
            why = "list.moved"
        if why is None:
            return Outcome(SliceStatus.COMPLETE, None)
        return Outcome(SliceStatus.PARTIAL if self._answered else SliceStatus.FAILED, why)

    @property
    def _missing(self) -> bool:
        return self.records + self.skipped < self._last_total

    @property
    def _worth_another_reading(self) -> bool:
        return self._missing and self._reading < READINGS and not self._lost and not self._first_page_only

    @property
    def _whole(self) -> bool:
        if not self._missing:
            return True
        with_records = [page for page, records in self._held.items() if records]
        end = max(with_records, default=0)
        hole = len(with_records) < end
        short_end = end > 0 and self._held[end] < self._page_size
        return not hole and short_end and self._new_in_reading == 0
