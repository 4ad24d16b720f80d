"""The ledger as it is told and completed: how much of the country is held, and asking for what is not."""

from datetime import date

from pydantic import Field

from contracts.base import Message, Value
from contracts.places import UF
from contracts.query import DEFAULT_MODALIDADES
from contracts.values import Modalidade, Source
from contracts.when import UtcDatetime

MOST_DAYS = 31
"""Of one question: the answer fits one message whatever the days look like."""


class LedgerWindow(Message):
    """Request to the memory: the slices of these places, modalidades and days."""

    sources: tuple[Source, ...] = Field(default=tuple(Source), min_length=1)
    ufs: tuple[UF, ...] = Field(min_length=1)
    modalidades: tuple[Modalidade, ...] = Field(default=DEFAULT_MODALIDADES, min_length=1)
    day_from: date
    day_to: date
    """At most `MOST_DAYS` with `day_from`."""


class LedgerRun(Value):
    """Consecutive days of one place that the ledger says the same of. The counts are slices of each single day."""

    source: Source
    uf: UF | None
    """None: the source lists the country whole, one slice a day."""
    day_from: date
    day_to: date
    complete: int
    partial: int
    failed: int
    never: int
    due: int
    """Of the complete ones: read so long ago that a search would have them read again."""
    records: int
    """Bids of all days of the run that the memory held when they were last read."""
    oldest_fetched_at: UtcDatetime | None = None
    """None when no page of any of these slices ever came."""


class LedgerGap(Value):
    """What an audit found: a source counts another number of records than are held of days that were read whole."""

    source: Source
    uf: UF | None
    modalidade: Modalidade | None
    day_from: date
    day_to: date
    held: int
    published: int
    seen_at: UtcDatetime


class LedgerReply(Message):
    """Reply: the ledger of the window, by source, UF and day."""

    runs: tuple[LedgerRun, ...]
    gaps: tuple[LedgerGap, ...] = ()
    slices_asked: int
    slices_complete: int
    at: UtcDatetime


class FillReply(Message):
    """Reply to the wish that what is missing of a window be fetched: some of it is claimed now, ask again for more."""

    left: int
    """Slices that are not complete yet, those that are being fetched included."""
    resting: int
    """Of them, those whose last fetch failed so recently that it is not tried again yet."""
    claimed: int
    """Places for which a fetch was begun by this request."""
    unfinished: int
    """Places whose fetch was begun by this or an earlier request and is not over."""
