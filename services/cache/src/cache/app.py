"""The memory, put together: settings -> database -> handlers -> the bus."""

import random
from datetime import timedelta
from functools import partial
from typing import Any

from cache.adapters.bells import Bells
from cache.adapters.sql.answers import SqlAnswers
from cache.adapters.sql.schema import SCHEMA
from cache.adapters.sql.store import SqlMemory
from cache.adapters.sql.upkeep import Keeping, SqlUpkeep
from cache.handlers.answers import archive, remember, tell_bid, tell_needed
from cache.handlers.filling import Filler, Hot
from cache.handlers.gather import gather
from cache.handlers.pages import keep, keep_later
from cache.settings import CacheSettings
from contracts.fetch import Bell
from contracts.subjects import (
    BELL,
    CACHE_ARCHIVE,
    CACHE_GATHER,
    CACHE_PAGES,
    CACHE_PAGES_LATER,
    CACHE_REMEMBER,
    FILL,
    LEDGER,
    NEEDED,
    STORED_BID,
)
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.every import Every
from servicekit.health import disk
from servicekit.logs import log
from servicekit.service import Service
from servicekit.sql.database import Database
from servicekit.telemetry.measures import LEDGER_AGE

UPKEEP = timedelta(hours=1)
INGEST = timedelta(seconds=30)
LEDGER_AGE_EVERY = timedelta(seconds=60)


def build(settings: CacheSettings | None = None) -> Service:
    """One cache process, ready to start."""
    settings = settings or CacheSettings()
    bus = Bus(url=settings.nats_url, service="cache")
    database = Database.of(SCHEMA, settings.database_url, settings.data_dir)
    memory = SqlMemory(database)
    bells = Bells()
    filler = Filler(memory=memory, claims=bus, now=utc_now)

    hot = Hot(days=settings.ingest_days, modalidades=settings.ingest_modalidades)
    ingest = Every(INGEST, partial(filler.ingest, hot), name="ingest")

    async def heard(bell: Bell) -> None:
        await bells.heard(bell)
        if filler.heard(bell):
            ingest.nudge()

    bus.listen(BELL, heard)
    bus.handle(
        CACHE_GATHER,
        partial(gather, memory=memory, bells=bells, bus=bus, now=utc_now, retry_delay=_retry_delay),
    )
    for consumer in CACHE_PAGES.values():
        bus.handle(consumer, partial(keep, memory=memory))
    for consumer in CACHE_PAGES_LATER.values():
        bus.handle(consumer, partial(keep_later, memory=memory))
    bus.handle(CACHE_REMEMBER, partial(remember, answers=SqlAnswers(database)))
    bus.handle(CACHE_ARCHIVE, partial(archive, bus=bus))
    bus.answer(NEEDED, partial(tell_needed, memory=memory, now=utc_now))
    bus.answer(STORED_BID, partial(tell_bid, memory=memory))
    bus.answer(LEDGER, filler.tell)
    bus.answer(FILL, filler.fill)
    jobs = (_upkeep(settings, database), _ledger_age(memory), *((ingest,) if settings.ingest == "on" else ()))
    return Service(name="cache", bus=bus, parts=(database, *jobs), **_checks(settings, database))


def _checks(settings: CacheSettings, database: Database) -> dict[str, Any]:
    room = {"disk": disk(settings.data_dir)}
    # Of SQLite a full disk is the end; PostgreSQL has its own.
    return {"helpful": {"sql": database.check, **room}} if settings.database_url else {
        "needed": room, "helpful": {"sql": database.check}
    }  # fmt: skip


def _upkeep(settings: CacheSettings, database: Database) -> Every:
    upkeep = SqlUpkeep(
        database,
        Keeping(
            bids=timedelta(days=settings.keep_bids_days),
            answers=timedelta(days=settings.keep_answers_days),
            most_bytes=settings.most_megabytes * 1024 * 1024,
        ),
    )

    async def prune() -> None:
        gone = await upkeep.prune(now=utc_now())
        if gone.bids:
            log.info("memory_pruned", bids=gone.bids, versions=gone.versions, answers=gone.answers)

    return Every(UPKEEP, prune, name="upkeep")


def _ledger_age(memory: SqlMemory) -> Every:
    async def measure() -> None:
        now = utc_now()
        for source, at in (await memory.newest_read()).items():
            LEDGER_AGE.set((now - at).total_seconds(), source=source)

    return Every(LEDGER_AGE_EVERY, measure, name="ledger_age")


def _retry_delay() -> timedelta:
    """T04.3: jitter on every retry, so that what failed together is not asked again together."""
    return timedelta(seconds=random.uniform(1, 3))  # noqa: S311 - spreads load, guards nothing
