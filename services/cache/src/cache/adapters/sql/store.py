"""The memory in SQL: stores pages and ends, answers what is there and what is new."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Self

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from cache.adapters.sql.database import Database
from cache.adapters.sql.tables import (
    COUNTED,
    EVERY,
    UPDATED,
    answers,
    audits,
    bid_history,
    bids,
    ranges,
    sequence,
    slices,
    syncs,
)
from cache.domain.amendments import amendments
from cache.domain.batches import LISTED_FOR, StoredBid
from cache.domain.ledger import (
    OPEN_TODAY,
    SliceKey,
    SliceRecord,
    Synced,
    after_end,
    days_of_end,
    days_of_range,
    slices_of_end,
    synced,
)
from cache.domain.pages import ANOTHER_AGE, RangeProgress, moment_of
from contracts.fetch import PageFetched, RangeEnded, SliceStatus
from contracts.ledger import LedgerGap
from contracts.memory import BidChanged, Remember
from contracts.places import NATIONAL, UF
from contracts.values import BidId, Licitacao, Modalidade, Source

_PAGE = 500
"""Rows read at a time: what a gather holds at once is bounded by it."""
_VERSIONS_TOLD = 50
"""Contents of one bid that its history goes back."""
_RANGES_KEPT = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing one message has come to."""

    changes: tuple[BidChanged, ...] = ()
    settled: bool = False
    """The message's range is in the ledger."""
    claim_done: bool = False
    """And so are the other ranges of its claim."""


class SqlMemory:
    """The tables as the handlers speak of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._database.close()

    # -- storing

    async def store(self, message: PageFetched | RangeEnded) -> Stored:
        """Keep one page or end, in one transaction; the same one again changes nothing and tells the same."""
        async with self._database.storing() as (connection, seq):
            changes: tuple[BidChanged, ...] = ()
            if isinstance(message, PageFetched):
                changes = await _keep_bids(connection, seq, message)
            before = await _progress(connection, message)
            moment = moment_of(message)
            if before is not None and before.since - moment > ANOTHER_AGE:
                return Stored(changes=changes)
            progress = RangeProgress.of(before, moment)
            progress = progress.with_page(message) if isinstance(message, PageFetched) else progress.with_end(message)
            if progress != before:
                await _keep_progress(connection, message, progress, moment)
                if progress.settled and progress.end is not None:
                    await _tell_ledger(connection, seq, progress.end)
            return Stored(
                changes=changes,
                settled=progress.settled,
                claim_done=progress.settled
                and progress.end is not None
                and await _claim_done(connection, progress.end, progress.since),
            )

    async def remember(self, answer: Remember) -> None:
        """Keep where a finished answer lies."""
        row = {
            "search_id": answer.search_id,
            "key": answer.key,
            "ref": answer.answer_ref.model_dump_json(),
            "coverage": answer.coverage.model_dump_json(),
            "oldest_fetched_at": answer.oldest_fetched_at,
            "created_at": answer.created_at,
        }
        async with self._database.storing() as (connection, _seq):
            await _upsert(connection, answers, [row])

    # -- reading

    async def seq(self) -> int:
        """The `store_seq` of the last commit."""
        async with self._database.reading() as connection:
            value: int = (
                await connection.execute(sa.select(sequence.c.value).where(sequence.c.name == "store"))
            ).scalar_one()
        return value

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

    async def stored(self, source: Source, uf: UF, *, first: date, last: date) -> AsyncIterator[list[StoredBid]]:
        """Every bid of one UF published on these days, some hundreds at a time."""
        day, bid_id = first, ""
        while True:
            rows = await self._bids(
                sa.select(bids)
                .where(bids.c.source == source, bids.c.uf == uf, bids.c.day >= day, bids.c.day <= last)
                .where(sa.or_(bids.c.day > day, bids.c.id > bid_id))
                .order_by(bids.c.day, bids.c.id)
            )
            if rows:
                yield rows
            if len(rows) < _PAGE:
                return
            day, bid_id = rows[-1].bid.day, rows[-1].bid.id

    async def still_open(self, source: Source, uf: UF, *, at: datetime) -> AsyncIterator[list[StoredBid]]:
        """Every bid of one UF that `is_open` at a moment, some hundreds at a time."""
        open_at = sa.or_(bids.c.closes > at, bids.c.open_seen >= at - LISTED_FOR)
        bid_id = ""
        while True:
            rows = await self._bids(
                sa.select(bids)
                .where(bids.c.source == source, bids.c.uf == uf, open_at, bids.c.id > bid_id)
                .order_by(bids.c.id)
            )
            if rows:
                yield rows
            if len(rows) < _PAGE:
                return
            bid_id = rows[-1].bid.id

    async def news(self, source: Source, *, ufs: Collection[UF], after: int) -> AsyncIterator[list[StoredBid]]:
        """Every bid of these UFs stored, or seen again, later than `after`."""
        bid_id = ""
        while True:
            rows = await self._bids(
                sa.select(bids)
                .where(bids.c.source == source, bids.c.uf.in_(ufs), bids.c.store_seq >= after)
                .where(sa.or_(bids.c.store_seq > after, bids.c.id > bid_id) if bid_id else bids.c.store_seq > after)
                .order_by(bids.c.store_seq, bids.c.id)
            )
            if rows:
                yield rows
            if len(rows) < _PAGE:
                return
            after, bid_id = rows[-1].store_seq, rows[-1].bid.id

    async def _bids(self, query: "sa.Select[Any]") -> list[StoredBid]:
        async with self._database.reading() as connection:
            return [_stored_bid(row) for row in await connection.execute(query.limit(_PAGE))]

    async def bid(self, bid_id: BidId) -> StoredBid | None:
        """One bid by its id."""
        found = await self._bids(sa.select(bids).where(bids.c.id == bid_id))
        return found[0] if found else None

    async def synced_upto(self, source: Source) -> dict[tuple[UF, Modalidade], datetime]:
        """Until when every change of each UF and modalidade was read."""
        async with self._database.reading() as connection:
            rows = await connection.execute(
                sa.select(syncs.c.uf, syncs.c.modalidade, syncs.c.upto).where(syncs.c.source == source)
            )
            return {(UF(uf), Modalidade(modalidade)): upto for uf, modalidade, upto in rows}

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

    async def changes(self, bid_id: BidId) -> tuple[BidChanged, ...]:
        """What was amended of one bid since it was first seen, the newest first, as far back as is kept."""
        async with self._database.reading() as connection:
            rows = (
                await connection.execute(
                    sa.select(bid_history.c.content, bid_history.c.replaced_at)
                    .where(bid_history.c.bid_id == bid_id)
                    .order_by(bid_history.c.replaced_at.desc())
                    .limit(_VERSIONS_TOLD)
                )
            ).all()
            now = (await connection.execute(sa.select(bids.c.content).where(bids.c.id == bid_id))).scalar_one_or_none()
        if now is None:
            return ()
        contents = [Licitacao.model_validate_json(each) for each in (now, *(row.content for row in rows))]
        return tuple(
            change
            for newer, older, row in zip(contents, contents[1:], rows, strict=False)
            for change in amendments(older, newer, seen_at=row.replaced_at)
        )

    async def pages(self, source: Source, uf: UF, *, first: date, last: date, since: datetime) -> int:
        """How many pages fetches of these days brought since a moment; of a national listing, all its pages."""
        place = NATIONAL if source.national else uf
        async with self._database.reading() as connection:
            rows = await connection.execute(
                sa.select(ranges.c.pages).where(
                    ranges.c.source == source,
                    ranges.c.place == place,
                    ranges.c.touched_at >= since,
                    ranges.c.day_from <= last,
                    ranges.c.day_to >= first,
                )
            )
            return sum(len({key.partition(".")[0] for key in orjson.loads(row.pages)}) for row in rows)


# -- bids


async def _keep_bids(connection: AsyncConnection, seq: int, page: PageFetched) -> tuple[BidChanged, ...]:
    arrived = {bid.id: bid for bid in page.bids}
    if not arrived:
        return ()
    held = {
        row.id: row for row in await connection.execute(sa.select(bids).where(bids.c.id.in_(arrived)))
    }  # fmt: skip
    rows, replaced = [], []
    for bid in arrived.values():
        old = held.get(bid.id)
        if old is not None and old.last_seen > page.fetched_at:
            continue  # a page that waited longer on its way does not turn the clock back
        content, content_hash = bid.to_json().decode(), bid.content_hash
        changed = old is None or old.hash != content_hash
        if old is not None and changed:
            replaced.append(
                {
                    "bid_id": bid.id,
                    "replaced_at": page.fetched_at,
                    "hash": old.hash,
                    "content": old.content,
                    "since": old.since,
                }
            )
        rows.append(
            {
                "id": bid.id,
                "source": bid.source,
                "uf": bid.uf,
                "modalidade": int(bid.modalidade),
                "day": bid.day,
                "hash": content_hash,
                "content": content,
                "first_seen": page.fetched_at if old is None else old.first_seen,
                "since": page.fetched_at if old is None or changed else old.since,
                "last_seen": page.fetched_at,
                "closes": bid.data_encerramento,
                "open_seen": page.fetched_at if page.range.open_today else old.open_seen if old else None,
                "store_seq": seq,
            }
        )
    await _upsert(connection, bids, rows)
    await _upsert(connection, bid_history, replaced)
    # held since this very page: it was delivered before, and may have died before it told its changes
    again = any(old.since == page.fetched_at > old.first_seen for old in held.values())
    return await _changes(connection, page, arrived) if replaced or again else ()


async def _changes(
    connection: AsyncConnection, page: PageFetched, arrived: Mapping[BidId, Licitacao]
) -> tuple[BidChanged, ...]:
    """What this page amended, from the history: a redelivered page tells it again, under the same ids."""
    rows = await connection.execute(
        sa.select(bid_history.c.bid_id, bid_history.c.content).where(
            bid_history.c.replaced_at == page.fetched_at, bid_history.c.bid_id.in_(arrived)
        )
    )
    return tuple(
        change
        for row in rows
        for change in amendments(
            Licitacao.model_validate_json(row.content), arrived[row.bid_id], seen_at=page.fetched_at
        )
    )


def _stored_bid(row: "sa.Row[Any]") -> StoredBid:
    return StoredBid(
        bid=Licitacao.model_validate_json(row.content),
        hash=row.hash,
        size=len(row.content.encode()),
        since=row.since,
        last_seen=row.last_seen,
        store_seq=row.store_seq,
        open_seen=row.open_seen,
    )


# -- what has arrived of a range


def _range_key(message: PageFetched | RangeEnded) -> dict[str, Any]:
    asked, modalidade = message.range, message.range.modalidade
    days = days_of_range(asked) or (asked.day_from, asked.day_to)
    kind = UPDATED if asked.updated else COUNTED if asked.count_only else 0
    return {
        "source": message.source,
        "place": message.uf or NATIONAL,
        "fetch_id": message.fetch_id,
        "modalidade": EVERY if modalidade is None else int(modalidade) + kind,
        "day_from": days[0],
        "day_to": days[-1],
    }


async def _progress(connection: AsyncConnection, message: PageFetched | RangeEnded) -> RangeProgress | None:
    key = _range_key(message)
    row = (
        await connection.execute(sa.select(ranges).where(*(ranges.c[name] == value for name, value in key.items())))
    ).one_or_none()
    if row is None:
        return None
    return RangeProgress(
        since=row.since,
        pages=frozenset(orjson.loads(row.pages)),
        end=RangeEnded.model_validate_json(row.end) if row.end else None,
    )


async def _keep_progress(
    connection: AsyncConnection, message: PageFetched | RangeEnded, progress: RangeProgress, moment: datetime
) -> None:
    row = {
        **_range_key(message),
        "since": progress.since,
        "touched_at": moment,
        "pages": orjson.dumps(sorted(progress.pages)).decode(),
        "end": progress.end.model_dump_json() if progress.end else None,
        "settled": progress.settled,
    }
    await _upsert(connection, ranges, [row])
    if progress.settled:
        await connection.execute(
            sa.delete(ranges).where(ranges.c.source == message.source, ranges.c.touched_at < moment - _RANGES_KEPT)
        )


async def _claim_done(connection: AsyncConnection, end: RangeEnded, since: datetime) -> bool:
    settled: int = (
        await connection.execute(
            sa.select(sa.func.count()).where(
                ranges.c.source == end.source,
                ranges.c.place == (end.uf or NATIONAL),
                ranges.c.fetch_id == end.fetch_id,
                ranges.c.since >= since - ANOTHER_AGE,
                ranges.c.settled.is_(True),
            )
        )
    ).scalar_one()
    return settled >= end.claim_ranges


# -- the ledger


async def _tell_ledger(connection: AsyncConnection, seq: int, end: RangeEnded) -> None:
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
    await _upsert(connection, slices, rows)


async def _tell_sync(connection: AsyncConnection, end: RangeEnded) -> None:
    if end.uf is None or end.range.modalidade is None:
        return  # no source lists what was changed in the whole country
    key = {"source": end.source, "uf": end.uf, "modalidade": int(end.range.modalidade)}
    where = [syncs.c[name] == value for name, value in key.items()]
    row = (await connection.execute(sa.select(syncs.c.since, syncs.c.upto).where(*where))).one_or_none()
    before = Synced(since=row.since, upto=row.upto) if row else None
    if (after := synced(before, end)) is not None and after != before:
        await _upsert(connection, syncs, [{**key, "since": after.since, "upto": after.upto}])


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
    await _upsert(
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


async def _upsert(connection: AsyncConnection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        await connection.execute(_upsert_into(table, connection.dialect.name), list(rows))


@lru_cache(maxsize=32)
def _upsert_into(table: sa.Table, dialect: str) -> "sa.Insert":
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=others)
