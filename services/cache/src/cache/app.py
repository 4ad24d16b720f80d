"""The memory, put together: settings -> database -> handlers -> the bus."""

import random
from datetime import timedelta
from functools import partial

from cache.adapters.bells import Bells
from cache.adapters.sql.database import Database
from cache.adapters.sql.store import SqlMemory
from cache.handlers.answers import archive, remember, tell_bid, tell_needed
from cache.handlers.gather import gather
from cache.handlers.pages import keep, keep_later
from cache.settings import CacheSettings
from contracts.subjects import (
    BELL,
    CACHE_ARCHIVE,
    CACHE_GATHER,
    CACHE_PAGES,
    CACHE_PAGES_LATER,
    CACHE_REMEMBER,
    NEEDED,
    STORED_BID,
)
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.service import Service


def build(settings: CacheSettings | None = None) -> Service:
    """One cache process, ready to start."""
    settings = settings or CacheSettings()
    bus = Bus(url=settings.nats_url, service="cache")
    memory = SqlMemory(Database.of(settings.database_url, settings.data_dir))
    bells = Bells()
    bus.listen(BELL, bells.heard)
    bus.handle(
        CACHE_GATHER,
        partial(gather, memory=memory, bells=bells, bus=bus, now=utc_now, retry_delay=_retry_delay),
    )
    for consumer in CACHE_PAGES.values():
        bus.handle(consumer, partial(keep, memory=memory))
    for consumer in CACHE_PAGES_LATER.values():
        bus.handle(consumer, partial(keep_later, memory=memory))
    bus.handle(CACHE_REMEMBER, partial(remember, memory=memory))
    bus.handle(CACHE_ARCHIVE, partial(archive, bus=bus))
    bus.answer(NEEDED, partial(tell_needed, memory=memory, now=utc_now))
    bus.answer(STORED_BID, partial(tell_bid, memory=memory))
    return Service(name="cache", bus=bus, parts=(memory,))


def _retry_delay() -> timedelta:
    """T04.3: jitter on every retry, so that what failed together is not asked again together."""
    return timedelta(seconds=random.uniform(1, 3))  # noqa: S311 - spreads load, guards nothing
