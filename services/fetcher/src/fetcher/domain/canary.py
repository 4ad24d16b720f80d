"""The question whose answer is known to be there, and what is wrong with an answer to it."""

from datetime import date, timedelta
from typing import Final

from contracts.fetch import FetchRange
from contracts.places import UF
from contracts.values import Modalidade, Source
from fetcher.domain.drift import Drift
from fetcher.domain.listing import Listing, PageAsk

KIND: Final = "canary"
OK: Final = "ok"
EMPTY: Final = "canary.empty"
UNREADABLE: Final = "canary.unreadable"
_LAST: Final = timedelta(days=2)
_FIRST: Final = timedelta(days=8)
"""Days ago; a week has no year without publications in it, and what is two days old is published."""
_READABLE_SHARE: Final = 0.5
_EXPECTED: Final = "a first page with readable records"
_OF_THE_WEATHER: Final = frozenset({"http.408", "http.429", "http.422.spurious"})
"""4xx that healthy sources answer, too."""


def question(source: Source, *, today: date) -> PageAsk:
    """The first page of a week of the busiest place that the source lists."""
    return PageAsk(
        uf=None if source.national else UF.SP,
        range=FetchRange(
            modalidade=None if source.national else Modalidade.PREGAO_ELETRONICO,
            day_from=today - _FIRST,
            day_to=today - _LAST,
        ),
        page=1,
    )


def outcome_of(listing: Listing) -> str:
    """`OK`, or the code of what its answer lacks."""
    if not listing.records:
        return EMPTY
    return OK if len(listing.bids) >= _READABLE_SHARE * listing.records else UNREADABLE


def alarm_of(code: str) -> Drift | None:
    """The alarm for an outcome: the source answers, and otherwise than it did. One that is down has a circuit."""
    changed = code.startswith(("body.", "http.4", f"{KIND}.")) and code not in _OF_THE_WEATHER
    return Drift(KIND, _EXPECTED, code) if changed else None
