"""What the routes need of the rest; the adapters merely fit."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Protocol

from fastapi import Depends, Path, Request

from contracts.answer import Answer
from contracts.report import ObjectRef, SpreadsheetReady, SummaryReady
from contracts.state import SearchView
from contracts.subjects import Outgoing
from contracts.values import SearchId
from gateway.domain.events import Frame
from gateway.domain.keys import LocalKey
from gateway.domain.problem import Problem
from gateway.domain.results import Rows
from gateway.domain.standing import BidStanding
from servicekit.envelope import Ack


class Publisher(Protocol):
    """Where the request of a search goes."""

    @property
    def connected(self) -> bool:
        """Whether the bus can be reached now."""

    async def publish(self, outgoing: Outgoing) -> Ack:
        """Store it; raises Transient when that cannot be made sure of."""


class Searches(Protocol):
    """Reads of searches; None always means that nobody asked for such a search."""

    streams: int

    def asked(self, search_id: SearchId) -> None:
        """Remember that its request was surely stored."""

    async def view(self, search_id: SearchId) -> SearchView | None:
        """The HTTP state."""

    async def wait_until_over(self, search_id: SearchId, *, within: timedelta) -> SearchView | None:
        """The state once it is over, or when the time is up."""

    async def rows(self, search_id: SearchId) -> Rows | None:
        """Every row so far."""

    async def standing(self, search_id: SearchId, bid_id: str) -> BidStanding | None:
        """How one bid stands; None also for a bid that was not judged."""

    async def summary(self, search_id: SearchId, revision: int) -> SummaryReady | None:
        """The summary; None also while it is not ready."""

    async def answer(self, search_id: SearchId) -> Answer | None:
        """The finished answer; None also while the search runs and where it ended without one."""

    async def spreadsheet(self, search_id: SearchId, revision: int) -> SpreadsheetReady | None:
        """Where the spreadsheet lies; None also while it is not ready."""

    async def file(self, ref: ObjectRef) -> bytes:
        """The bytes of a file."""

    async def failure(self, search_id: SearchId) -> str | None:
        """What people are told of a spreadsheet that failed; None also where none did."""

    async def query_words(self, search_id: SearchId) -> tuple[str, ...] | None:
        """Sector or terms and UFs."""

    async def follow(self, search_id: SearchId, last_event_id: str | None) -> AsyncIterator[bytes] | None:
        """The event stream after an id."""

    async def nothing_left(self, search_id: SearchId, last_event_id: str | None) -> bool:
        """Whether whoever saw this id has seen the end."""

    async def frames(self, search_id: SearchId, last_event_id: str | None) -> tuple[list[Frame], bool] | None:
        """Every event so far after an id, and whether it was the last."""


@dataclass(frozen=True)
class Desk:
    """Everything that a route may use, built once by the app."""

    publisher: Publisher
    searches: Searches
    key: LocalKey
    clock: Callable[[], datetime]
    search_budget: timedelta
    """From the request to the search's deadline."""
    wait_max: timedelta
    """The longest `Prefer: wait` that is granted."""
    max_streams: int


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]

_HEX = frozenset("0123456789abcdef")
_ID_LENGTH = 32


def _search_id(
    search_id: Annotated[
        str, Path(description="32 dígitos hexadecimais.", examples=["9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"])
    ],
) -> SearchId:
    """An id that cannot be one is a search that nobody asked for."""
    if len(search_id) != _ID_LENGTH or not _HEX.issuperset(search_id):
        raise Problem("search.not_found")
    return search_id


InPath = Annotated[SearchId, Depends(_search_id)]
