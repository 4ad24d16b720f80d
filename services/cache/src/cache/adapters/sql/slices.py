"""The ledger: what was looked at, what was changed since, and what the sources themselves count."""

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from cache.adapters.sql.schema import upsert
from cache.adapters.sql.tables import EVERY, audits, bids, slices, syncs
from cache.domain.ledger import (
    OPEN_TODAY,
    SliceKey,
    SliceRecord,
    Synced,
    after_end,
    days_of_end,
    slices_of_end,
    synced,
)
from contracts.fetch import RangeEnded, SliceStatus
from contracts.ledger import LedgerGap
from contracts.places import NATIONAL, UF
from contracts.values import Modalidade, Source
from servicekit.sql.database import Database


class SqlLedger:
    """The ledger of slices; each raises DependencyAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ledger(
        self,
        source: Source,
        *,
        ufs: Collection[UF],
        modalidades: Collection[Modalidade],
        first: date,
        last: date,
        after: int = 0,
    ) -> list[SliceRecord]:
        """What the ledger holds of these slices, told later than `after`."""
        query = _ledger_rows(source, first=first, last=last)
        if not source.national:
            query = query.where(slices.c.uf.in_(ufs), slices.c.modalidade.in_([int(each) for each in modalidades]))
        if after:
            query = query.where(slices.c.store_seq > after)
        async with self._database.reading() as connection:
            records = [_record(row) for row in await connection.execute(query)]
        if not source.national:
            return records
        return [
            replace(record, key=SliceKey(uf, modalidade, record.key.day))
            for record in records
            for uf in ufs
            for modalidade in modalidades
        ]

    async def synced_upto(self, source: Source) -> dict[tuple[UF, Modalidade], datetime]:
        """Until when every change of each UF and modalidade was read."""
        async with self._database.reading() as connection:
            rows = await connection.execute(
                sa.select(syncs.c.uf, syncs.c.modalidade, syncs.c.upto).where(syncs.c.source == source)
            )
            return {(UF(uf), Modalidade(modalidade)): upto for uf, modalidade, upto in rows}

    async def newest_read(self) -> dict[Source, datetime]:
        """When a slice of each source was last read to its end."""
        newest = sa.func.max(slices.c.done_at, type_=slices.c.done_at.type)
        async with self._database.reading() as connection:
            rows = await connection.execute(sa.select(slices.c.source, newest).group_by(slices.c.source))
            return {Source(source): at for source, at in rows if at is not None}

    async def audits(self, source: Source) -> list[LedgerGap]:
        """The last audit of each UF and modalidade, whatever it found."""
        async with self._database.reading() as connection:
            rows = await connection.execute(sa.select(audits).where(audits.c.source == source))
            return [
                LedgerGap(
                    source=source,
                    uf=UF(row.uf),
                    modalidade=Modalidade(row.modalidade),
                    day_from=row.day_from,
                    day_to=row.day_to,
                    held=row.held,
                    published=row.published,
                    seen_at=row.seen_at,
                )
                for row in rows
            ]


async def tell_ledger(connection: AsyncConnection, seq: int, end: RangeEnded) -> None:
    """Enter an end, all of whose pages are stored: a look, a sync or an audit."""
    if end.range.updated:
        await _tell_sync(connection, end)
        return
    if end.range.count_only:
        await _tell_audit(connection, end)
        return
    keys = _rows_of_end(end)
    if not keys:
        return
    ufs, first, last = {key.uf for key in keys}, min(key.day for key in keys), max(key.day for key in keys)
    modalidades = {key.modalidade for key in keys}
    query = _ledger_rows(end.source, first=first, last=last)
    if not end.source.national:
        query = query.where(slices.c.uf.in_(ufs), slices.c.modalidade.in_(modalidades))
    known = {record.key: record for record in map(_record, await connection.execute(query))}
    counts = await _counts(connection, end, ufs=ufs, first=first, last=last)
    rows = []
    for key in keys:
        before = known.get(key)
        record = after_end(before, key, end)
        if record != before:
            rows.append(_slice_row(end.source, record, records=counts.get(key, 0), seq=seq))
    await upsert(connection, slices, rows)


async def _tell_sync(connection: AsyncConnection, end: RangeEnded) -> None:
    if end.uf is None or end.range.modalidade is None:
        return  # no source lists what was changed in the whole country
    key = {"source": end.source, "uf": end.uf, "modalidade": int(end.range.modalidade)}
    where = [syncs.c[name] == value for name, value in key.items()]
    row = (await connection.execute(sa.select(syncs.c.since, syncs.c.upto).where(*where))).one_or_none()
    before = Synced(since=row.since, upto=row.upto) if row else None
    if (after := synced(before, end)) is not None and after != before:
        await upsert(connection, syncs, [{**key, "since": after.since, "upto": after.upto}])


async def _tell_audit(connection: AsyncConnection, end: RangeEnded) -> None:
    """Keep what the source counts beside what is held of the same days, counted now."""
    if end.published is None or end.uf is None or end.range.modalidade is None:
        return
    place = {"source": end.source, "uf": end.uf, "modalidade": int(end.range.modalidade)}
    days = {"day_from": end.range.day_from, "day_to": end.range.day_to}
    held: int = (
        await connection.execute(
            sa.select(sa.func.count()).where(
                *(bids.c[name] == value for name, value in place.items()),
                bids.c.day >= end.range.day_from,
                bids.c.day <= end.range.day_to,
            )
        )
    ).scalar_one()
    await upsert(
        connection, audits, [{**place, **days, "held": held, "published": end.published, "seen_at": end.ended_at}]
    )


def _rows_of_end(end: RangeEnded) -> list[SliceKey]:
    """The rows that an end tells: a national source is only read whole, so one row a day stands for all its slices."""
    return [_whole(day) for day in days_of_end(end)] if end.source.national else list(slices_of_end(end))


def _whole(day: date) -> SliceKey:
    return SliceKey(UF.XX, Modalidade.OUTRA, day)


def _ledger_rows(source: Source, *, first: date, last: date) -> "sa.Select[Any]":
    same = [slices.c[name] == syncs.c[name] for name in ("source", "uf", "modalidade")]
    return (
        sa.select(slices, syncs.c.since.label("sync_since"), syncs.c.upto.label("sync_upto"))
        .select_from(slices.outerjoin(syncs, sa.and_(*same)))
        .where(slices.c.source == source, slices.c.day >= first, slices.c.day <= last)
    )


async def _counts(
    connection: AsyncConnection, end: RangeEnded, *, ufs: Collection[UF], first: date, last: date
) -> dict[SliceKey, int]:
    day: sa.ColumnElement[date] = bids.c.day
    counted = sa.and_(bids.c.day >= first, bids.c.day <= last)
    if end.range.open_today:
        day, counted = sa.literal(OPEN_TODAY), bids.c.open_seen >= end.started_at
    if end.source.national:
        query = sa.select(day, sa.func.count()).where(bids.c.source == end.source, counted).group_by(day)
        return {_whole(when): count for when, count in await connection.execute(query)}
    by_slice = (
        sa.select(bids.c.uf, bids.c.modalidade, day, sa.func.count())
        .where(bids.c.source == end.source, bids.c.uf.in_(ufs), counted)
        .group_by(bids.c.uf, bids.c.modalidade, day)
    )
    return {
        SliceKey(UF(uf), Modalidade(modalidade), when): count
        for uf, modalidade, when, count in await connection.execute(by_slice)
    }


def _slice_row(source: Source, record: SliceRecord, *, records: int, seq: int) -> dict[str, Any]:
    return {
        "source": source,
        "uf": NATIONAL if source.national else record.key.uf,
        "modalidade": EVERY if source.national else int(record.key.modalidade),
        "day": record.key.day,
        "status": record.status,
        "why": record.why,
        "fetched_at": record.fetched_at,
        "done_at": record.done_at,
        "last_attempt_at": record.attempt_at,
        "fetch_id": record.attempt_id,
        "attempt_status": record.attempt_status,
        "attempt_why": record.attempt_why,
        "records": records,
        "store_seq": seq,
    }


def _record(row: "sa.Row[Any]") -> SliceRecord:
    national = row.uf == NATIONAL
    sync = Synced(since=row.sync_since, upto=row.sync_upto) if row.sync_upto else None
    return SliceRecord(
        key=_whole(row.day) if national else SliceKey(UF(row.uf), Modalidade(row.modalidade), row.day),
        status=SliceStatus(row.status),
        why=row.why,
        fetched_at=row.fetched_at,
        done_at=row.done_at,
        attempt_at=row.last_attempt_at,
        attempt_id=row.fetch_id,
        attempt_status=SliceStatus(row.attempt_status),
        attempt_why=row.attempt_why,
        renewed_at=sync.upto if sync and row.fetched_at and sync.covers(row.fetched_at) else None,
        records=row.records,
    )
