"""A page of results: filtered, in a total order, with a cursor that survives rows coming in."""

import base64
import binascii
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

import orjson
from pydantic import BaseModel, Field

from contracts.answer import Result
from contracts.base import Value
from contracts.places import UF
from contracts.query import Sort
from contracts.ranking import ranked
from contracts.state import Status
from contracts.values import Modalidade, SearchId
from contracts.verdict import Confidence, ViabilityLevel
from gateway.domain.shelf import Mark

MAX_LIMIT = 200
DEFAULT_LIMIT = 50


class Rows(Value):
    """Every row of a search as far as it is known, in the order that the search asked for."""

    results: tuple[Result, ...]
    revision: int
    status: Status
    final: bool
    """False: more may come, what is here may be merged."""
    sort: Sort


class ResultFilter(BaseModel):
    """What a reader wants to see of the rows; None asks nothing."""

    uf: tuple[UF, ...] = ()
    modalidade: tuple[Modalidade, ...] = ()
    confidence: tuple[Confidence, ...] = ()
    viability: tuple[ViabilityLevel, ...] = ()
    value_min: Decimal | None = None
    value_max: Decimal | None = None
    q: str | None = None

    def keeps(self, row: Result) -> bool:
        """Whether the row is shown. An unknown value is not outside a range."""
        return (
            (not self.uf or row.uf in self.uf)
            and (not self.modalidade or row.modalidade_id in self.modalidade)
            and (not self.confidence or row.confidence in self.confidence)
            and (not self.viability or (row.viability is not None and row.viability.level in self.viability))
            and self._keeps_value(row.valor_estimado)
            and (not self.q or fold(self.q) in fold(f"{row.objeto} {row.orgao} {row.municipio or ''}"))
        )

    def _keeps_value(self, value: Decimal | None) -> bool:
        if value is None:
            return True
        return (self.value_min is None or value >= self.value_min) and (
            self.value_max is None or value <= self.value_max
        )


class ShownResult(Result):
    """A row as one tenant sees it."""

    new_since_last: bool | None = None
    """True: no earlier search has shown it to this tenant. None while what was shown is not known."""
    triage: Mark | None = None
    """How this tenant has marked it."""


class ResultsPage(BaseModel):
    """One page of the results of a search."""

    search_id: SearchId
    revision: int
    """0 while the search runs."""
    status: Status
    final: bool
    """False while more may come."""
    total: int
    """Rows before filters."""
    matched: int
    """Rows that the filters leave."""
    results: tuple[ShownResult, ...]
    next_cursor: str | None = None
    """None on the last page."""
    links: dict[str, str] = Field(default_factory=dict)


def chosen(rows: Rows, *, wanted: ResultFilter, sort: Sort | None = None) -> Sequence[Result]:
    """The rows that the filters leave, in the order asked for or in that of the search."""
    kept = [row for row in rows.results if wanted.keeps(row)]
    return kept if sort is None or sort is rows.sort else ranked(kept, sort)


class BadCursorError(ValueError):
    """A cursor that this service never made."""


def page_of(
    rows: Rows,
    *,
    search_id: SearchId,
    wanted: ResultFilter,
    sort: Sort | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> ResultsPage:
    """The page after the cursor. The cursor names the last row shown, so that rows that come in shift nothing."""
    kept = chosen(rows, wanted=wanted, sort=sort)
    start = _start(kept, cursor)
    shown = kept[start : start + limit]
    more = start + limit < len(kept)
    return ResultsPage(
        search_id=search_id,
        revision=rows.revision,
        status=rows.status,
        final=rows.final,
        total=len(rows.results),
        matched=len(kept),
        results=tuple(ShownResult.model_construct(**dict(row)) for row in shown),
        next_cursor=_cursor(shown[-1].id, start + limit) if more else None,
    )


def fold(text: str) -> str:
    """Without case and accents."""
    return (
        unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).encode("ascii", "ignore").decode()
    )


def _cursor(last_id: str, offset: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([last_id, offset])).decode().rstrip("=")


def _start(rows: Sequence[Result], cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        last_id, offset = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError) as exc:
        raise BadCursorError(cursor[:80]) from exc
    if not isinstance(last_id, str) or not isinstance(offset, int) or offset < 0:
        raise BadCursorError(cursor[:80])
    return next((n + 1 for n, row in enumerate(rows) if row.id == last_id), offset)
