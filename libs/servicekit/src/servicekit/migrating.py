"""Alembic keeps its place in globals: two services of one loop must not migrate at the same time."""

import asyncio
from weakref import WeakKeyDictionary

_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


def one_at_a_time() -> asyncio.Lock:
    """The lock of this event loop under which a service brings its tables to the newest shape."""
    return _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
