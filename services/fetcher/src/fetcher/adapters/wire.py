"""Reading a list of records of which some may be broken."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, TypeVar

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
from fetcher.domain.text import moment

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


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
