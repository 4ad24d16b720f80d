"""What the ledger lacks: told by source, UF and day, and chosen for the next fetches."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from cache.domain.ledger import SliceKey, SliceRecord, is_due, merged
from contracts.fetch import FetchRange, SliceStatus
from contracts.ledger import LedgerGap, LedgerRun
from contracts.places import UF
from contracts.values import Modalidade, Source

_NEVER = datetime.min.replace(tzinfo=UTC)
REST = timedelta(minutes=10)
"""So long a slice whose fetch failed is left alone by whoever has time."""

Place = UF | None
Ledger = Mapping[SliceKey, SliceRecord]
Wanted = Callable[[SliceRecord | None], bool]


def not_complete(record: SliceRecord | None) -> bool:
    """For a backfill: what was never read to its end, however old the rest is."""
    return record is None or record.status is not SliceStatus.COMPLETE


def due(now: datetime) -> Wanted:
    """For the scheduled ingest: what a search would have read again."""
    return lambda record: is_due(record, now=now)


@dataclass(frozen=True, slots=True)
class Lack:
    """What is wanted of one source."""

    places: tuple[tuple[Place, tuple[FetchRange, ...]], ...]
    """What may be claimed now, the place that was left alone longest first."""
    slices: int
    resting: int


def keys_of(
    source: Source, ufs: Iterable[UF], modalidades: Iterable[Modalidade], days: Iterable[date]
) -> dict[Place, list[SliceKey]]:
    """The slices asked, by place. A source that lists the country whole has one a day, whatever is asked of it."""
    if source.national:
        return {None: [SliceKey(UF.XX, Modalidade.OUTRA, day) for day in days]}
    return {uf: [SliceKey(uf, modalidade, day) for modalidade in modalidades for day in days] for uf in ufs}


def lacking(
    source: Source, asked: Mapping[Place, Sequence[SliceKey]], ledger: Ledger, *, wanted: Wanted, now: datetime
) -> Lack:
    """The wanted slices as ranges to claim; those whose last fetch failed a moment ago rest."""
    places: list[tuple[datetime, Place, tuple[FetchRange, ...]]] = []
    slices = resting = 0
    for place, keys in asked.items():
        left = [key for key in keys if wanted(ledger.get(key))]
        ready = [key for key in left if not _rests(ledger.get(key), now)]
        slices, resting = slices + len(left), resting + len(left) - len(ready)
        if ready:
            touched = min(ledger[key].attempt_at if key in ledger else _NEVER for key in ready)
            places.append((touched, place, _ranges(source, ready)))
    places.sort(key=lambda each: (each[0], each[1] or ""))
    return Lack(tuple((place, ranges) for _, place, ranges in places), slices, resting)


def _rests(record: SliceRecord | None, now: datetime) -> bool:
    return (
        record is not None
        and record.attempt_status is not SliceStatus.COMPLETE
        and now - record.attempt_at < REST
    )  # fmt: skip


def _ranges(source: Source, keys: Sequence[SliceKey]) -> tuple[FetchRange, ...]:
    by_modalidade: dict[Modalidade | None, set[date]] = {}
    for key in keys:
        by_modalidade.setdefault(None if source.national else key.modalidade, set()).add(key.day)
    return tuple(
        each for modalidade, days in by_modalidade.items() for each in merged(modalidade, days, today=max(days))
    )


def is_gap(audit: LedgerGap) -> bool:
    """Whether a source counts more than is held; what it has taken back is no gap."""
    return audit.published > audit.held


def held_whole(uf: UF, modalidade: Modalidade, ledger: Ledger, *, last: date) -> tuple[date, date] | None:
    """The longest row of complete days that ends on a day; None when that day is not complete."""
    first = None
    day = last
    while not not_complete(ledger.get(SliceKey(uf, modalidade, day))):
        first = day
        day -= timedelta(days=1)
    return None if first is None else (first, last)


def told(
    source: Source, asked: Mapping[Place, Sequence[SliceKey]], ledger: Ledger, *, now: datetime
) -> list[LedgerRun]:
    """The ledger by place and day, equal neighbours joined."""
    return [
        run
        for place, keys in asked.items()
        for run in _joined([_day(source, place, each, ledger, now) for each in _by_day(keys)])
    ]


def _by_day(keys: Sequence[SliceKey]) -> list[list[SliceKey]]:
    return [list(each) for _, each in groupby(sorted(keys, key=lambda key: key.day), key=lambda key: key.day)]


def _day(source: Source, place: Place, keys: Sequence[SliceKey], ledger: Ledger, now: datetime) -> LedgerRun:
    records = [record for key in keys if (record := ledger.get(key)) is not None]
    status = [record.status for record in records]
    return LedgerRun(
        source=source,
        uf=place,
        day_from=keys[0].day,
        day_to=keys[0].day,
        complete=status.count(SliceStatus.COMPLETE),
        partial=status.count(SliceStatus.PARTIAL),
        failed=status.count(SliceStatus.FAILED),
        never=len(keys) - len(records),
        due=sum(record.status is SliceStatus.COMPLETE and is_due(record, now=now) for record in records),
        records=sum(record.records for record in records),
        oldest_fetched_at=min((each.fetched_at for each in records if each.fetched_at), default=None),
    )


def _joined(days: Sequence[LedgerRun]) -> list[LedgerRun]:
    runs: list[LedgerRun] = []
    for day in days:
        before = runs[-1] if runs else None
        if before is None or day.day_from - before.day_to != timedelta(days=1) or _counts(before) != _counts(day):
            runs.append(day)
            continue
        looks = [each.oldest_fetched_at for each in (before, day) if each.oldest_fetched_at]
        runs[-1] = before.model_copy(
            update={
                "day_to": day.day_to,
                "records": before.records + day.records,
                "oldest_fetched_at": min(looks, default=None),
            }
        )
    return runs


def _counts(run: LedgerRun) -> tuple[int, ...]:
    return run.complete, run.partial, run.failed, run.never, run.due
