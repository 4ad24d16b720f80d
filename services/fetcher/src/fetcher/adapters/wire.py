"""Reading a list of records of which some may be broken."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Protocol, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from contracts.values import Licitacao
from fetcher.adapters.http import Reply
from fetcher.adapters.once import Oddities
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.leafing import Leaf
from fetcher.domain.listing import END_OF_LIST, Listing, PageAsk
from fetcher.domain.text import moment

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

OK, NO_CONTENT, BAD_REQUEST = 200, 204, 400


def _moment(text: object, *, naive_is_utc: bool) -> datetime:
    read = moment(text, naive_is_utc=naive_is_utc) if isinstance(text, str) else None
    if read is None:
        raise ValueError("no time")
    return read


BrasiliaMoment = Annotated[datetime, BeforeValidator(partial(_moment, naive_is_utc=False))]
"""A time that a record cannot be without; one without offset is Brasília's."""
UtcMoment = Annotated[datetime, BeforeValidator(partial(_moment, naive_is_utc=True))]
"""A time that a record cannot be without; one without offset is UTC."""


class Wire(BaseModel):
    """A shape of a source: its spellings are aliases here and nowhere else; unknown fields are let be."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands where a record was."""

    field: str
    kind: str

    @classmethod
    def because(cls, error: ValidationError) -> "Unreadable":
        """What the first of the errors says, without the record's content."""
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return cls(field=".".join(str(step) for step in first["loc"]), kind=first["type"])


def parsed(reply: Reply, shape: TypeAdapter[S]) -> S:
    """A 200's body in its shape; AttemptFailed for no body, for a page for people and for what is not in shape."""
    if not reply.body.strip():
        raise AttemptFailed("body.empty", again=True)
    if reply.is_html:
        raise AttemptFailed("body.html", again=True)
    try:
        return shape.validate_json(reply.body)
    except ValidationError as error:
        raise AttemptFailed("body.broken", again=True) from error


def _or_unreadable(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError as error:
        return Unreadable.because(error)


OrUnreadable = WrapValidator(_or_unreadable)
"""`Annotated[Record, OrUnreadable]`: a broken element of a list does not break the list."""


def normalised(
    records: Iterable[R | Unreadable], to_licitacao: Callable[[R], Licitacao], oddities: Oddities
) -> tuple[tuple[Licitacao, ...], int]:
    """The readable records as bids, and how many were left out."""
    bids: list[Licitacao] = []
    skipped = 0
    for record in records:
        try:
            unreadable = record if isinstance(record, Unreadable) else None
            if not isinstance(record, Unreadable):
                bids.append(to_licitacao(record))
        except ValidationError as error:
            unreadable = Unreadable.because(error)
        if unreadable is not None:
            skipped += 1
            oddities.unreadable(unreadable.field, unreadable.kind)
    return tuple(bids), skipped


class Envelope(Protocol[R_co]):
    """A list's answer, whatever its source calls the fields."""

    @property
    def records(self) -> Sequence[R_co | Unreadable]:
        """Of this page."""

    @property
    def total_records(self) -> int:
        """Of the whole list."""

    @property
    def total_pages(self) -> int:
        """Of the whole list."""

    @property
    def page_size(self) -> int:
        """Records of a full page."""


def listed(
    reply: Reply,
    ask: PageAsk,
    shape: TypeAdapter[Envelope[R]],
    *,
    to_licitacao: Callable[[R], Licitacao],
    oddities: Oddities,
) -> Listing:
    """A page of a list: 204, and 400 past the last page, are its end; AttemptFailed for whatever else is no page."""
    if reply.status == NO_CONTENT or (reply.status == BAD_REQUEST and ask.page > 1):
        return END_OF_LIST
    if reply.status != OK:
        raise AttemptFailed(f"http.{reply.status}", again=False)
    envelope = parsed(reply, shape)
    if not envelope.records and ask.page == 1 and envelope.total_records:
        raise AttemptFailed("body.hollow", again=True)
    bids, skipped = normalised(envelope.records, to_licitacao, oddities)
    return Listing(
        bids=bids,
        skipped=skipped,
        total_records=envelope.total_records,
        total_pages=envelope.total_pages,
        page_size=envelope.page_size,
    )


def leaf_of(
    rows: Sequence[R | Unreadable],
    page: int,
    *,
    key: Callable[[R], Hashable],
    show: Callable[[R], T | None],
    oddities: Oddities,
    pages: int | None = None,
) -> Leaf[T]:
    """A page of details; what cannot be read fills its place and is told."""
    kept: list[tuple[Hashable, T | None]] = []
    for place, row in enumerate(rows):
        if isinstance(row, Unreadable):
            oddities.unreadable(row.field, row.kind)
            kept.append(((page, place), None))
        else:
            kept.append((key(row), show(row)))
    return Leaf(tuple(kept), pages)
