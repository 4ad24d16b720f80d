"""What the routes need of the rest; the adapters merely fit."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from secrets import token_bytes
from typing import Annotated, Any, Protocol

from fastapi import Depends, Path, Request
from pydantic import BaseModel

from contracts.answer import Answer
from contracts.control import Control, Flag
from contracts.ops import BreakerChanged
from contracts.report import ObjectRef, SpreadsheetReady, SummaryReady
from contracts.search import Requested
from contracts.state import SearchView
from contracts.subjects import Outgoing, Topic
from contracts.values import BidId, SearchId, Source
from gateway.domain.board import Board
from gateway.domain.circuits import Seen
from gateway.domain.events import Frame
from gateway.domain.hit import Hit
from gateway.domain.keys import Caller, KeyRecord, LocalKey, Scope
from gateway.domain.levers import Lever, Pulled
from gateway.domain.problem import Problem
from gateway.domain.results import Rows
from gateway.domain.shelf import Mark, SavedSearch, Triage
from gateway.domain.signing import Signer
from gateway.domain.standing import BidStanding
from gateway.domain.traffic import Quota, Traffic
from gateway.domain.usage import Caps, DayUsed
from gateway.once import Promises
from servicekit.envelope import Ack
from servicekit.health import Health
from servicekit.letters import Letter


class Publisher(Protocol):
    """Where the request of a search goes."""

    @property
    def connected(self) -> bool:
        """Whether the bus can be reached now."""

    async def publish(self, outgoing: Outgoing) -> Ack:
        """Store it; raises Transient when that cannot be made sure of."""


class Asker(Protocol):
    """Asks other services and waits for their word."""

    async def request(self, topic: Topic[Any], query: BaseModel, *, timeout: timedelta) -> Any:  # noqa: ASYNC109 - the bus's own word
        """The reply; raises Unavailable without one."""


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


class Memory(Protocol):
    """Stored answers."""

    async def look(self, key: str, *, force: bool) -> Hit | None:
        """The stored answer of a key; None without one."""

    def hold(self, requested: Requested, *, stored: bool) -> SearchView:
        """Know a search that a stored answer has answered; `stored`: its request is in the log as well."""

    def saved(self, key: str) -> None:
        """A saved search asks for this key."""

    async def give_up(self, key: str) -> None:
        """The right to make an answer anew is not used."""

    def run(self, errand: Coroutine[Any, Any, None]) -> None:
        """Do it beside the request."""


class Door(Protocol):
    """Whom a key or a cookie stands for."""

    async def caller(self, key: str) -> Caller | None:
        """Whom this key stands for."""

    async def caller_of_session(self, session: str) -> Caller | None:
        """Whom the cookie of a sign-in stands for."""

    async def session(self, key: str) -> str | None:
        """What the cookie of this key carries."""


class Keys(Door, Protocol):
    """The keys that admins make and end."""

    async def create(self, *, tenant: str, name: str, scopes: frozenset[Scope]) -> tuple[str, KeyRecord]:
        """A new key, shown this once."""

    async def revoke(self, key_id: str) -> bool:
        """End a key; False when there is none."""

    async def all(self) -> list[KeyRecord]:
        """Every key as it is kept."""


class LocalDoor:
    """Opens with the one key of this machine."""

    def __init__(self, key: LocalKey) -> None:
        self._key = key

    async def caller(self, key: str) -> Caller | None:
        """The local caller, for whoever holds the key."""
        return self._key.caller if self._key.opens_with(key) else None

    async def caller_of_session(self, session: str) -> Caller | None:
        """The local caller, for whoever has held the key."""
        return self._key.caller if self._key.admits(session) else None

    async def session(self, key: str) -> str | None:
        """The cookie, for whoever holds the key."""
        return self._key.session if self._key.opens_with(key) else None


class Owners(Protocol):
    """Whose each search is."""

    def own(self, search_id: SearchId, tenant: str) -> None:
        """Remember whose a search is that was just asked here."""

    async def owner(self, search_id: SearchId) -> str | None:
        """The tenant; None when nobody asked for such a search."""


class OneOwner:
    """On a machine with one key every search is its own."""

    def own(self, search_id: SearchId, tenant: str) -> None:
        """There is nothing to remember."""

    async def owner(self, _search_id: SearchId) -> str | None:
        """The local tenant."""
        return LocalKey.TENANT


class Audit(Protocol):
    """Who changed what; each call raises DependencyAway."""

    async def newest(self, limit: int) -> list[Pulled]:
        """The newest first."""


class Cockpit(Protocol):
    """What operators have set, and how it is changed; each call raises Transient, and then nothing has changed."""

    @property
    def audit(self) -> Audit:
        """Who changed what."""

    async def now(self) -> Control:
        """What is set."""

    async def pull(self, lever: Lever, *, actor: str, reason: str) -> Control:
        """Change it; what is set then."""

    async def record(
        self, *, action: str, subject: str, before: str, after: str, actor: str, reason: str, at: datetime
    ) -> None:
        """Keep a record of what is about to be done."""


class Usages(Protocol):
    """What tenants have used; each call raises DependencyAway."""

    async def of_day(self, tenant: str, day: date) -> DayUsed:
        """One tenant's day."""

    async def since(self, day: date, *, tenant: str | None = None) -> list[DayUsed]:
        """Every tenant's days, or one's, the newest first."""


class Snapshots(Protocol):
    """How the system did; each call raises DependencyAway."""

    async def since(self, moment: datetime) -> list[tuple[datetime, dict[str, Any]]]:
        """Every snapshot since then, the oldest first."""


class Shelf(Protocol):
    """What tenants keep; each call raises DependencyAway while its store is away."""

    async def save(self, tenant: str, saved: SavedSearch) -> bool:
        """Keep a search, new or changed; False when the tenant has too many."""

    async def saved(self, tenant: str) -> list[SavedSearch]:
        """Every saved search."""

    async def saved_one(self, tenant: str, saved_id: str) -> SavedSearch | None:
        """One saved search."""

    async def unsave(self, tenant: str, saved_id: str) -> bool:
        """Forget one; False when there was none."""

    async def mark(self, tenant: str, marked: Triage) -> None:
        """Mark a licitação, or mark it otherwise."""

    async def marks(
        self, tenant: str, *, mark: Mark | None, before: int | None, limit: int
    ) -> tuple[list[Triage], int | None]:
        """The latest marks first, and where the next page begins."""

    async def marks_of(self, tenant: str, bid_ids: Sequence[BidId]) -> dict[BidId, Triage]:
        """The marks on these licitações."""

    async def unmark(self, tenant: str, bid_id: BidId) -> bool:
        """Take a mark off; False when there was none."""

    async def seen_before(self, tenant: str, search_id: SearchId, bid_ids: Sequence[BidId]) -> frozenset[BidId]:
        """Which of these an earlier search has shown to the tenant."""

    async def show(self, tenant: str, search_id: SearchId, bid_ids: Sequence[BidId], *, at: datetime) -> None:
        """Remember that a search showed these."""


class Letters(Protocol):
    """Where dead letters lie."""

    async def page(self, *, after: int, limit: int, consumer: str | None = None) -> Sequence[Letter]:
        """Letters above a sequence, the oldest first."""

    async def one(self, sequence: int) -> Letter | None:
        """One letter; None when it is gone."""

    async def discard(self, sequence: int) -> bool:
        """Throw one away; False when it was gone."""


class CircuitHistory(Protocol):
    """The transitions that were kept; each call raises DependencyAway while their store is away."""

    async def since(
        self, first: datetime, *, before: datetime | None = None, source: Source | None = None, limit: int
    ) -> Sequence[BreakerChanged]:
        """The newest transitions from a moment on, the newest first."""


class Sheets(Protocol):
    """Makes spreadsheets where the reporter has not."""

    async def make(self, answer: Answer) -> bytes | None:
        """The file; None when it cannot be made now."""


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
    max_streams_per_tenant: int = 2000
    owners: Owners = field(default_factory=OneOwner)
    keys: Keys | None = None
    """None: the local key alone."""
    memory: Memory | None = None
    """None: every search is made live."""
    asker: Asker | None = None
    """None: a gateway that stands alone, as in its own tests."""
    letters: Letters | None = None
    """None: a gateway without a bus."""
    shelf: Shelf | None = None
    """None: nothing is kept per tenant."""
    sheets: Sheets | None = None
    """None: spreadsheets come from the reporter alone."""
    signer: Signer = field(default_factory=lambda: Signer(token_bytes(32), life=timedelta(hours=1)))
    promises: Promises | None = None
    """None: `Idempotency-Key` is not looked at."""
    circuits: CircuitHistory | None = None
    """None: no history is kept."""
    seen: Seen = field(default_factory=Seen)
    """What the fetchers tell of the sources."""
    traffic: Traffic = field(default_factory=lambda: Traffic(most_running=10_000, longest_wait=timedelta(hours=1)))
    quota: Quota = field(default_factory=lambda: Quota(1_000_000))
    board: Board = field(default_factory=lambda: Board(datetime.now(UTC)))
    """How the system does, as heartbeats tell."""
    history: Snapshots | None = None
    """None: nothing is kept of it."""
    health: Callable[[], Awaitable[Health]] | None = None
    """The checks of this process; None: the bus alone."""
    cockpit: Cockpit | None = None
    """None: nothing can be changed while it runs."""
    flag: Callable[[Flag], bool] = lambda _: True
    """Whether a flag is on."""
    usage: Usages | None = None
    """None: nothing is counted per tenant."""
    caps: Caps = field(default_factory=Caps)
    streams_of: Counter[str] = field(default_factory=Counter)
    """Event streams open now, by tenant."""

    @property
    def door(self) -> Door:
        """What lets callers in."""
        return self.keys or LocalDoor(self.key)


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


TheCaller = Annotated[Caller, Depends(_caller)]


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]


def _shelf(desk: AtDesk) -> Shelf:
    if desk.shelf is None:
        raise Problem("storage.away", headers={"Retry-After": "2"})
    return desk.shelf


AtShelf = Annotated[Shelf, Depends(_shelf)]

_HEX = frozenset("0123456789abcdef")
_ID_LENGTH = 32


async def _search_id(
    desk: AtDesk,
    caller: TheCaller,
    search_id: Annotated[
        str, Path(description="32 dígitos hexadecimais.", examples=["9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"])
    ],
) -> SearchId:
    """What cannot be an id, and what another tenant asked for, is a search that nobody asked for."""
    if len(search_id) != _ID_LENGTH or not _HEX.issuperset(search_id):
        raise Problem("search.not_found")
    if await desk.owners.owner(search_id) != caller.tenant:
        raise Problem("search.not_found")
    return search_id


InPath = Annotated[SearchId, Depends(_search_id)]
