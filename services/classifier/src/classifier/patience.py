"""How long a verdict waits for what all processes share: shortly, and after once in vain not at all for a while.

A database that hangs answers nothing for as long as its own limits let it, and writers queue behind each other; a
search spends at most ten seconds on all of its open bids.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from servicekit.clock import Clock
from servicekit.errors import DependencyAway

T = TypeVar("T")

WAIT: Final = timedelta(seconds=2)
REST: Final = timedelta(seconds=30)


class Patience:
    """One for each thing that is shared."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: datetime | None = None

    async def ask(self, asking: Callable[[], Awaitable[T]]) -> T:
        """Its answer; raises DependencyAway after `WAIT`, and at once while it is left alone."""
        if self._until is not None and self._clock() < self._until:
            raise DependencyAway("sql", "sql: left alone for a while")
        try:
            async with asyncio.timeout(WAIT.total_seconds()):
                answer = await asking()
        except (DependencyAway, TimeoutError) as exc:
            self._until = self._clock() + REST
            if isinstance(exc, DependencyAway):
                raise
            raise DependencyAway("sql", "sql: no answer in time") from exc
        self._until = None
        return answer
