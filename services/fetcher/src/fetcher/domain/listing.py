"""One page of a source's list, as an adapter hands it over."""

from dataclasses import dataclass

from contracts.fetch import FetchRange
from contracts.places import UF
from contracts.values import Licitacao


@dataclass(frozen=True, slots=True)
class PageAsk:
    """Which page of which list is wanted."""

    uf: UF | None
    """None: the national listing."""
    range: FetchRange
    page: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A page as it came."""

    bids: tuple[Licitacao, ...]
    skipped: int = 0
    """Records that could not be read and were left out."""
    total_records: int = 0
    total_pages: int = 0
    page_size: int = 50

    @property
    def records(self) -> int:
        """How many records the page held, readable or not."""
        return len(self.bids) + self.skipped


END_OF_LIST = Listing(bids=())
"""What is read where the list has no (more) records."""
