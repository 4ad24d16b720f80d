"""What a user asks, as asked over HTTP and as normalised for the log."""

import hashlib
import unicodedata
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, field_validator, model_validator

from contracts.base import Value
from contracts.places import UF
from contracts.sectors import SectorId
from contracts.values import Esfera, Modalidade, Money, Source
from contracts.verdict import Lens
from contracts.when import days_between

DEFAULT_DAYS = 10
"""Today and the 9 days before, in America/Sao_Paulo."""
KEY_VERSION = "v2"
"""Raised when answers of yesterday's keys would no longer answer today's."""
MAX_DAYS = 365
"""The sources' own longest window."""
DEFAULT_MODALIDADES = (
    Modalidade.CONCORRENCIA_ELETRONICA,
    Modalidade.CONCORRENCIA_PRESENCIAL,
    Modalidade.PREGAO_ELETRONICO,
    Modalidade.PREGAO_PRESENCIAL,
    Modalidade.DISPENSA,
)

Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=80)]


class Scope(StrEnum):
    """Published in a window, or everything that still takes proposals today."""

    PUBLISHED = "published"
    OPEN = "open"


class Sort(StrEnum):
    """The order of the results; each is total."""

    RELEVANCE = "relevance"
    VIABILITY = "viability"
    CLOSING = "closing"
    PUBLISHED = "published"
    VALUE = "value"


class SearchQuery(Value):
    """A search as every service reads it: every default filled in, every list sorted and without repeats."""

    ufs: tuple[UF, ...] = Field(min_length=1)
    sector: SectorId | None = None
    terms: tuple[str, ...] = ()
    scope: Scope = Scope.PUBLISHED
    date_from: date
    date_to: date
    modalidades: tuple[Modalidade, ...]
    sources: tuple[Source, ...]
    value_min: Money | None = None
    value_max: Money | None = None
    municipio_ibge: str | None = None
    esfera: Esfera | None = None
    home_uf: UF | None = None
    sort: Sort = Sort.RELEVANCE
    force_refresh: bool = False

    @property
    def days(self) -> tuple[date, ...]:
        """Every publication day of the window."""
        return days_between(self.date_from, self.date_to)

    @property
    def key(self) -> str:
        """What two searches share that have the same answer: everything but the order and the wish for fresh data.

        Judging is blind to accents, case and spacing, so the terms' are too.
        """
        amounts = {
            name: amount.normalize()
            for name in ("value_min", "value_max")
            if (amount := getattr(self, name)) is not None
        }
        terms = tuple(sorted({_folded(term) for term in self.terms}))
        canonical = self.model_copy(update={**amounts, "terms": terms})
        text = canonical.model_dump_json(exclude={"sort", "force_refresh"})
        return f"{KEY_VERSION}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    @property
    def lens(self) -> Lens:
        """What the classifier needs to know of it."""
        return Lens(
            sector=self.sector,
            terms=self.terms,
            value_min=self.value_min,
            value_max=self.value_max,
            municipio_ibge=self.municipio_ibge,
            esfera=self.esfera,
            home_uf=self.home_uf,
        )

    def modalidades_of(self, source: Source) -> tuple[Modalidade, ...]:
        """The modalidades whose slices a source is asked for: PCP is always asked for its unmapped ones as well."""
        return (Modalidade.OUTRA, *self.modalidades) if source.national else self.modalidades


def _folded(term: str) -> str:
    plain = unicodedata.normalize("NFKD", term.casefold())
    return " ".join("".join(each for each in plain if not unicodedata.combining(each)).split())


class SearchRequest(BaseModel):
    """The body of `POST /v1/searches`. Unknown fields, empty UFs, reversed or too long windows are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ufs: tuple[UF, ...] = Field(min_length=1, max_length=27, examples=[["SP", "RJ"]])
    sector: SectorId | None = Field(default=None, examples=["vestuario"])
    terms: tuple[Term, ...] = Field(default=(), max_length=50)
    scope: Scope = Scope.PUBLISHED
    date_from: date | None = None
    date_to: date | None = None
    modalidades: tuple[Modalidade, ...] = Field(default=DEFAULT_MODALIDADES, min_length=1, max_length=15)
    sources: tuple[Source, ...] = Field(default=(Source.PNCP, Source.PCP), min_length=1, max_length=2)
    value_min: Money | None = None
    value_max: Money | None = None
    municipio_ibge: str | None = Field(default=None, pattern=r"^[0-9]{7}$")
    esfera: Literal["F", "E", "M", "D"] | None = None
    home_uf: UF | None = None
    sort: Sort = Sort.RELEVANCE
    force_refresh: StrictBool = False

    @field_validator("ufs")
    @classmethod
    def _ufs_can_be_asked(cls, ufs: tuple[UF, ...]) -> tuple[UF, ...]:
        if UF.XX in ufs:
            raise ValueError("XX não é uma UF que se possa pesquisar")
        return ufs

    @field_validator("date_from", "date_to", mode="before")
    @classmethod
    def _days_are_written_out(cls, day: object) -> object:
        if isinstance(day, int | float):
            raise ValueError("data inválida; use AAAA-MM-DD")  # noqa: TRY004 - pydantic reports ValueError by field
        return day

    @field_validator("home_uf")
    @classmethod
    def _home_is_a_place(cls, home: UF | None) -> UF | None:
        if home is UF.XX:
            raise ValueError("XX não é uma UF")
        return home

    @field_validator("modalidades")
    @classmethod
    def _modalidades_can_be_asked(cls, modalidades: tuple[Modalidade, ...]) -> tuple[Modalidade, ...]:
        if Modalidade.OUTRA in modalidades:
            raise ValueError("as modalidades vão de 1 a 15")
        return modalidades

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if (self.sector is None) == (not self.terms):
            raise ValueError("sector: informe um setor ou termos próprios, e não os dois")
        if self.value_min is not None and self.value_max is not None and self.value_min > self.value_max:
            raise ValueError("value_min: o valor mínimo é maior que o máximo")
        return self

    def normalised(self, *, today: date) -> SearchQuery:
        """Fill in the defaults relative to today (America/Sao_Paulo); a date_to after today is cut to today.

        What is open today has no window: its one day is today. Raises ValueError, naming the field first
        (`date_from: ...`), when the window is reversed or too long, or where there is none.
        """
        if self.scope is Scope.OPEN:
            if self.date_from or self.date_to:
                raise ValueError("date_from: a busca por tudo o que está aberto hoje não tem período")
            return self._between(today, today)
        date_to = min(self.date_to or today, today)
        date_from = self.date_from or date_to - timedelta(days=DEFAULT_DAYS - 1)
        if date_from > date_to:
            raise ValueError("date_from: a data inicial é posterior à data final")
        if (date_to - date_from).days + 1 > MAX_DAYS:
            raise ValueError(f"date_from: o período passa de {MAX_DAYS} dias")
        return self._between(date_from, date_to)

    def _between(self, date_from: date, date_to: date) -> SearchQuery:
        return SearchQuery(
            ufs=tuple(sorted(set(self.ufs))),
            sector=self.sector,
            terms=tuple(sorted({term.casefold() for term in self.terms})),
            scope=self.scope,
            date_from=date_from,
            date_to=date_to,
            modalidades=tuple(sorted(set(self.modalidades))),
            sources=tuple(sorted(set(self.sources))),
            value_min=self.value_min,
            value_max=self.value_max,
            municipio_ibge=self.municipio_ibge,
            esfera=Esfera(self.esfera) if self.esfera else None,
            home_uf=self.home_uf,
            sort=self.sort,
            force_refresh=self.force_refresh,
        )
