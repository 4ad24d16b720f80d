"""The memory, put together: settings -> database -> handlers -> the bus."""

import random
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import Any

from cache.adapters.analytics import Analytics
from cache.adapters.bells import Bells
from cache.adapters.circuits import Circuits
from cache.adapters.levels import LocalLevel, MemoryLevel
from cache.adapters.sql.answers import SqlAnswers
from cache.adapters.sql.archives import SqlArchives
from cache.adapters.sql.figures import SqlFigures
from cache.adapters.sql.schema import SCHEMA
from cache.adapters.sql.store import SqlMemory
from cache.adapters.sql.upkeep import Keeping, SqlUpkeep
from cache.handlers.answers import archive, tell_archive, tell_bid, tell_needed
from cache.handlers.counting import Desk, Priorities
from cache.handlers.filling import Filler, Hot
from cache.handlers.gather import gather
from cache.handlers.pages import keep, keep_later
from cache.handlers.remembering import Memory
from cache.settings import CacheSettings
from contracts.control import Flag
from contracts.fetch import Bell
from contracts.stored import Level
from contracts.subjects import (
    ARCHIVED,
    BELL,
    BREAKER_CHANGED,
    CACHE_ARCHIVE,
    CACHE_ATTEMPTED,
    CACHE_ENTRIES,
    CACHE_GATHER,
    CACHE_KEEP,
    CACHE_PAGES,
    CACHE_PAGES_LATER,
    CACHE_REMEMBER,
    CACHE_STATE,
    FILL,
    FORGET,
    LEDGER,
    NEEDED,
    STORED_ANSWER,
    STORED_BID,
    TOUCHED,
)
from servicekit.answer_files import AnswerFiles
from servicekit.bus import Bus
from servicekit.cascade import Cascade, Tier
from servicekit.clock import utc_now
from servicekit.every import Every
from servicekit.health import disk
from servicekit.levers import Levers
from servicekit.logs import log
from servicekit.service import Service
from servicekit.shared.answers import Rules, SharedAnswers
from servicekit.sql.database import Database
from servicekit.sql.faults import SchemaMismatch
from servicekit.telemetry.measures import LEDGER_AGE

UPKEEP = timedelta(hours=1)
INGEST = timedelta(seconds=30)
LEDGER_AGE_EVERY = timedelta(seconds=60)
WRITE_DOWN = timedelta(seconds=10)
REFRESH_HOT = timedelta(minutes=1)


def build(settings: CacheSettings | None = None) -> Service:
    """One cache process, ready to start."""
    settings = settings or CacheSettings()
    bus = Bus(url=settings.nats_url, service="cache")
    database = Database.of(SCHEMA, settings.database_url, settings.data_dir)
    memory = SqlMemory(database)
    bells = Bells()
    filler = Filler(memory=memory, claims=bus, now=utc_now)

    hot = Hot(days=settings.ingest_days, modalidades=settings.ingest_modalidades)
    levers = Levers(bus)

    async def fill_hot() -> None:
        if levers.on(Flag.INGEST):
            await filler.ingest(hot)

    ingest = Every(INGEST, fill_hot, name="ingest")

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
    bus.answer(NEEDED, partial(tell_needed, memory=memory, now=utc_now))
    bus.answer(STORED_BID, partial(tell_bid, memory=memory))
    bus.answer(LEDGER, filler.tell)
    bus.answer(FILL, filler.fill)
    parts = _answers(settings, bus, database, memory)
    jobs = (_upkeep(settings, database), _ledger_age(memory), *((ingest,) if settings.ingest == "on" else ()))
    return Service(name="cache", bus=bus, parts=(database, *parts, *jobs), levers=levers, **_checks(settings, database))


def _answers(
    settings: CacheSettings, bus: Bus, database: Database, ledger: SqlMemory
) -> tuple[AbstractAsyncContextManager[Any], ...]:
    """The memory of answers: its levels, its handlers, its jobs."""
    lasts = timedelta(seconds=settings.refresh_timeout)
    shared = SharedAnswers(settings.redis_url, rules=Rules(most=settings.most_refreshes, lasts=lasts))
    table, files = SqlAnswers(database), AnswerFiles(settings.data_dir / "answers")
    priorities = Priorities()
    tiers = (
        Tier(Level.MEMORY, MemoryLevel(shared, priorities.of), timedelta(milliseconds=100)),
        Tier(Level.DATABASE, table, timedelta(milliseconds=120)),
        Tier(Level.LOCAL, LocalLevel(files), timedelta(milliseconds=60)),
    )
    cascade = Cascade(tiers)
    analytics = Analytics(
        url=settings.mixpanel_url,
        token=settings.mixpanel_token.get_secret_value() if settings.mixpanel_token else None,
    )
    desk = Desk(
        table=table,
        figures=SqlFigures(database),
        shared=shared,
        cascade=cascade,
        priorities=priorities,
        tell=analytics.tell,
        now=utc_now,
    )
    answers = Memory(
        cascade=cascade, answers=table, budget=shared, ledger=ledger, bus=bus, circuits=Circuits(), now=utc_now,
        lasts=lasts,
    )  # fmt: skip
    archives = SqlArchives(database)
    bus.handle(CACHE_REMEMBER, answers.remember)
    bus.handle(CACHE_ATTEMPTED, answers.attempted)
    for consumer in CACHE_KEEP.values():
        bus.handle(consumer, answers.keep_at_level)
    bus.handle(CACHE_ARCHIVE, partial(archive, bus=bus, archives=archives))
    bus.answer(STORED_ANSWER, answers.tell)
    kept = timedelta(days=settings.keep_answers_days)
    bus.answer(ARCHIVED, partial(tell_archive, archives=archives, kept=kept, now=utc_now))
    bus.answer(CACHE_STATE, desk.state)
    bus.answer(CACHE_ENTRIES, desk.entries)
    bus.answer(FORGET, desk.forget)
    bus.listen(TOUCHED, desk.heard, once=True)
    bus.listen(BREAKER_CHANGED, answers.heard)

    async def prune() -> None:
        await files.prune(now=utc_now())

    return (
        shared,
        analytics,
        Every(WRITE_DOWN, desk.write_down, name="accesses"),
        Every(REFRESH_HOT, answers.refresh_hot, name="refresh_hot"),
        Every(UPKEEP, prune, name="answer_files"),
    )


def _checks(settings: CacheSettings, database: Database) -> dict[str, Any]:
    room = {"disk": disk(settings.data_dir)}
    needed = {"schema": partial(_shape, database)}
    # Of SQLite a full disk is the end; PostgreSQL has its own.
    helpful = {"sql": database.check}
    return (
        {"needed": needed, "helpful": helpful | room}
        if settings.database_url
        else {"needed": needed | room, "helpful": helpful}
    )


async def _shape(database: Database) -> None:
    """Tables of another shape than this program's do not pass by waiting: it must not be given work."""
    if isinstance(fault := database.fault, SchemaMismatch):
        raise fault


def _upkeep(settings: CacheSettings, database: Database) -> Every:
    upkeep = SqlUpkeep(
        database,
        Keeping(
            bids=timedelta(days=settings.keep_bids_days),
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
