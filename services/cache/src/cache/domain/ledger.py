"""The ledger of what was looked at: how fresh a slice is, what an end of a fetch makes of it, what is still needed."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from typing import NamedTuple

from contracts.fetch import FetchRange, RangeEnded, SliceStatus
from contracts.memory import SliceRun
from contracts.places import UF
from contracts.values import Modalidade
from contracts.when import day_of, days_between, end_of_day

FRESH_SAME_DAY = timedelta(minutes=30)
"""A day read before it was over goes on growing."""
FRESH_NEXT_DAY = timedelta(hours=6)
"""Late publications and corrections mostly come on the day after."""
FRESH_OLDER = timedelta(hours=24)

UNREAD = "memory.away"
"""Why a slice does not count that the ledger knows, but whose bids could not be read for this search."""

OPEN_TODAY = date(9999, 1, 1)
"""In the ledger, the day of the list of what takes proposals today. That day is never over, so the list counts for
`FRESH_SAME_DAY` whenever it was read."""
LONGEST_RANGE = 31
"""Days of one range: a fetch that is cut loses the range it was in, not the whole year that was asked."""

EVERY_UF: tuple[UF, ...] = tuple(UF)
"""The 27 and `XX`: what a national end speaks of."""
EVERY_MODALIDADE: tuple[Modalidade, ...] = tuple(Modalidade)


class SliceKey(NamedTuple):
    """A slice within one source."""

    uf: UF
    modalidade: Modalidade
    day: date
    """`OPEN_TODAY` is the list of what is open today."""


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """What the ledger says of one slice: the best look so far, and the last attempt."""

    key: SliceKey
    status: SliceStatus
    why: str | None
    fetched_at: datetime | None
    """When the fetch began whose result `status` is; None when no page ever came."""
    done_at: datetime | None
    """When that fetch was over."""
    attempt_at: datetime
    """When the last fetch began, whatever came of it."""
    attempt_id: int
    """Its fetch id."""
    attempt_status: SliceStatus
    attempt_why: str | None
    renewed_at: datetime | None = field(default=None, compare=False)
    """Until when every change since the look is known: the incremental sync has read them all without a hole."""
    records: int = field(default=0, compare=False)
    """Bids of the slice that were held when it was told."""


def fresh_until(day: date, fetched_at: datetime, renewed_at: datetime | None = None) -> datetime:
    """Until when a complete look at a day counts: by when its fetch began, not by what the day is called later.

    A day read when it was two days old is renewed by knowing all that was changed since.
    """
    if fetched_at < _over(day):
        return fetched_at + FRESH_SAME_DAY
    if fetched_at < _over(day + timedelta(days=1)):
        return fetched_at + FRESH_NEXT_DAY
    return max(fetched_at, renewed_at or fetched_at) + FRESH_OLDER


_over = lru_cache(maxsize=4096)(end_of_day)  # a national range asks it thousands of times for a few days


def is_due(record: SliceRecord | None, *, now: datetime, newer_than: datetime | None = None) -> bool:
    """Whether a slice has to be fetched: never completely read, no longer fresh, or read before `newer_than`."""
    if record is None or record.status is not SliceStatus.COMPLETE or record.fetched_at is None:
        return True
    if newer_than is not None and record.fetched_at < newer_than:
        return True
    return now >= fresh_until(record.key.day, record.fetched_at, record.renewed_at)


def after_end(before: SliceRecord | None, key: SliceKey, end: RangeEnded) -> SliceRecord:
    """The record once an end, all of whose pages are stored, has been told. A worse look never replaces a better one.

    The order of ends does not matter: of two looks of one quality the one begun later counts.
    """
    came = SliceRecord(
        key=key,
        status=end.status,
        why=end.why,
        fetched_at=None if end.status is SliceStatus.FAILED else end.started_at,
        done_at=end.ended_at,
        attempt_at=end.started_at,
        attempt_id=end.fetch_id,
        attempt_status=end.status,
        attempt_why=end.why,
    )
    if before is None:
        return came
    best = came if _better(came, before) else before
    last = came if (came.attempt_at, came.attempt_id) >= (before.attempt_at, before.attempt_id) else before
    return replace(
        best,
        attempt_at=last.attempt_at,
        attempt_id=last.attempt_id,
        attempt_status=last.attempt_status,
        attempt_why=last.attempt_why,
    )


_QUALITY = {SliceStatus.NEVER: 0, SliceStatus.FAILED: 1, SliceStatus.PARTIAL: 2, SliceStatus.COMPLETE: 3}


def _better(came: SliceRecord, before: SliceRecord) -> bool:
    if _QUALITY[came.status] != _QUALITY[before.status]:
        return _QUALITY[came.status] > _QUALITY[before.status]
    return (came.attempt_at, came.attempt_id) >= (before.fetched_at or before.attempt_at, 0)


def days_of_end(end: RangeEnded) -> tuple[date, ...]:
    """The days that an end speaks of: of a range that had to ask a margin, the inner ones."""
    if end.range.updated or end.range.count_only:
        return ()
    if end.range.open_today:
        return (OPEN_TODAY,)
    first = max(end.range.day_from, end.inner_from or end.range.day_from)
    return days_between(first, min(end.range.day_to, end.inner_to or end.range.day_to))


def slices_of_end(end: RangeEnded) -> Iterator[SliceKey]:
    """The slices that an end speaks of: a national one of all UFs and modalidades."""
    days = days_of_end(end)
    ufs = EVERY_UF if end.uf is None else (end.uf,)
    modalidades = EVERY_MODALIDADE if end.range.modalidade is None else (end.range.modalidade,)
    return (SliceKey(uf, modalidade, day) for uf in ufs for modalidade in modalidades for day in days)


def days_of_range(asked: FetchRange) -> tuple[date, ...]:
    """The days of the ledger that a range asks for."""
    if asked.updated or asked.count_only:
        return ()
    return (OPEN_TODAY,) if asked.open_today else days_between(asked.day_from, asked.day_to)


def slices_of_ranges(uf: UF | None, ranges: Iterable[FetchRange]) -> Iterator[SliceKey]:
    """The slices that ranges of one place cover."""
    for each in ranges:
        for place in EVERY_UF if uf is None else (uf,):
            for modalidade in EVERY_MODALIDADE if each.modalidade is None else (each.modalidade,):
                for day in days_of_range(each):
                    yield SliceKey(place, modalidade, day)


def needed(
    uf: UF | None,
    ranges: Sequence[FetchRange],
    ledger: Mapping[SliceKey, SliceRecord],
    *,
    now: datetime,
    newer_than: datetime | None = None,
) -> tuple[FetchRange, ...]:
    """What of these ranges is missing or due, as ranges of consecutive days, in the order asked.

    What was changed on some days, and a count, is always needed: nobody else has asked for it.
    """
    left: list[FetchRange] = []
    for each in ranges:
        due = {
            key.day for key in slices_of_ranges(uf, (each,)) if is_due(ledger.get(key), now=now, newer_than=newer_than)
        }
        left += [each] if each.updated or each.count_only else merged(each.modalidade, due, today=each.day_to)
    return tuple(left)


def merged(modalidade: Modalidade | None, days: Iterable[date], *, today: date) -> tuple[FetchRange, ...]:
    """The ranges of consecutive days that cover exactly these days, none longer than `LONGEST_RANGE`."""
    asked = set(days)
    open_today = asked & {OPEN_TODAY}
    return (
        *(
            FetchRange(modalidade=modalidade, day_from=first, day_to=min(last, first + _TO_LAST))
            for begin, last in _consecutive(sorted(asked - open_today), lambda _before, _after: True)
            for first in days_between(begin, last)[::LONGEST_RANGE]
        ),
        *(FetchRange(modalidade=modalidade, day_from=today, day_to=today, open_today=True) for _ in open_today),
    )


_TO_LAST = timedelta(days=LONGEST_RANGE - 1)


def runs(
    uf: UF,
    modalidades: Iterable[Modalidade],
    days: Iterable[date],
    ledger: Mapping[SliceKey, SliceRecord],
    *,
    asked_at: datetime,
    cut: str,
    unread: Collection[SliceKey] = (),
) -> tuple[SliceRun, ...]:
    """What the ledger says of each asked slice of one UF, each counted once, equal neighbours joined.

    A look counts as live when its fetch was over after the search was asked. `cut` is why a slice that nobody has
    tried since is missing. A slice whose bids are `unread` was not looked at for this search, whatever the ledger says.
    """
    ordered = sorted(set(days))
    joined = []
    for modalidade in dict.fromkeys(modalidades):
        each_day = {
            day: _unread_run(modalidade, day)
            if (key := SliceKey(uf, modalidade, day)) in unread and key in ledger
            else _run(ledger.get(key), modalidade, day, asked_at, cut)
            for day in ordered
        }
        if (listed := each_day.get(OPEN_TODAY)) is not None:
            today = day_of(asked_at)
            joined.append(listed.model_copy(update={"day_from": today, "day_to": today}))
            continue
        for first, last in _consecutive(ordered, partial(_alike, each_day)):
            oldest = min((at for day in days_between(first, last) if (at := each_day[day].fetched_at)), default=None)
            joined.append(each_day[first].model_copy(update={"day_to": last, "fetched_at": oldest}))
    return tuple(joined)


def _run(record: SliceRecord | None, modalidade: Modalidade, day: date, asked_at: datetime, cut: str) -> SliceRun:
    if record is None:
        return SliceRun(modalidade=modalidade, day_from=day, day_to=day, status=SliceStatus.NEVER, why=cut)
    if record.status is SliceStatus.COMPLETE:
        # a stored look that the last fetch could not renew says why it is not newer
        why = record.attempt_why if record.attempt_status is not SliceStatus.COMPLETE else None
    else:
        why = record.attempt_why if record.attempt_at >= asked_at else cut
    return SliceRun(
        modalidade=modalidade,
        day_from=day,
        day_to=day,
        status=record.status,
        why=why,
        fetched_at=record.fetched_at,
        live=record.fetched_at is not None and record.done_at is not None and record.done_at >= asked_at,
        stale=record.fetched_at is not None and asked_at >= fresh_until(day, record.fetched_at, record.renewed_at),
    )


def _unread_run(modalidade: Modalidade, day: date) -> SliceRun:
    return SliceRun(modalidade=modalidade, day_from=day, day_to=day, status=SliceStatus.FAILED, why=UNREAD)


def _alike(said: Mapping[date, SliceRun], a: date, b: date) -> bool:
    one, other = said[a], said[b]
    return (one.status, one.why, one.live, one.stale) == (other.status, other.why, other.live, other.stale)


def _consecutive(days: Sequence[date], joins: Callable[[date, date], bool]) -> Iterator[tuple[date, date]]:
    first = before = None
    for day in days:
        if first is None or before is None:
            first = before = day
        elif day - before == timedelta(days=1) and joins(before, day):
            before = day
        else:
            yield first, before
            first = before = day
    if first is not None and before is not None:
        yield first, before


@dataclass(frozen=True, slots=True)
class Synced:
    """How far the incremental sync of one UF and modalidade has come: every change from `since` to `upto` was read."""

    since: datetime
    upto: datetime

    def covers(self, fetched_at: datetime) -> bool:
        """Whether a look of that moment lacks nothing that was changed until `upto`."""
        return self.since <= fetched_at <= self.upto


def synced(before: Synced | None, end: RangeEnded) -> Synced | None:
    """The sync once an end of what was changed is told; a hole before it begins the sync anew."""
    if end.status is not SliceStatus.COMPLETE:
        return before
    begun = end_of_day(end.range.day_from - timedelta(days=1))
    if before is None or before.upto < begun:
        return Synced(since=begun, upto=end.started_at)
    return Synced(since=min(before.since, begun), upto=max(before.upto, end.started_at))
