"""Settings to adapters to handlers: the coordinator put together."""

import functools
import os
import socket
import uuid
from collections import OrderedDict
from contextlib import AbstractAsyncContextManager

from contracts.subjects import COORDINATOR_REQUESTED
from coordinator.adapters.log import FirstRows, FollowedSearch, hold
from coordinator.handlers import run_search
from coordinator.settings import CoordinatorSettings
from servicekit.bus import Bus
from servicekit.chain import TimeoutChain
from servicekit.clock import utc_now
from servicekit.feed import SearchFeed
from servicekit.service import Service


def build(settings: CoordinatorSettings | None = None) -> Service:
    """The coordinator, ready to start."""
    settings = settings or CoordinatorSettings()
    bus = Bus(url=settings.nats_url, service="coordinator")
    feed = SearchFeed(bus)
    served: FirstRows = OrderedDict()
    process = f"{socket.gethostname()}-{os.getpid()}"

    def hold_search(search_id: str) -> AbstractAsyncContextManager[FollowedSearch]:
        return hold(bus, feed, search_id, owner=f"{process}-{uuid.uuid4().hex[:8]}", clock=utc_now, served=served)

    budgets = settings.budgets(TimeoutChain.load())
    bus.handle(COORDINATOR_REQUESTED, functools.partial(run_search, hold=hold_search, budgets=budgets, clock=utc_now))
    return Service(name="coordinator", bus=bus, parts=(feed,))
