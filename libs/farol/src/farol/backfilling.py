"""`farol backfill`: has what the memory lacks fetched, a window at a time, until nothing is left or nothing moves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Protocol

WINDOW_DAYS: Final = 31
"""Days that one request may name."""
BETWEEN: Final = 2.0
"""Seconds between two looks."""
STILL_FOR: Final = 20
"""Looks without any progress after which what is left is left."""


class Filler(Protocol):
    """Farol, as far as this needs it."""

    async def backfill(self, params: dict[str, Any]) -> dict[str, int]:
        """Begin some of what is missing; how much is left."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """How far one window has come."""

    date_from: date
    date_to: date
    left: int
    resting: int
    over: bool

    @property
    def fields(self) -> dict[str, Any]:
        """As JSON."""
        days = {"date_from": self.date_from.isoformat(), "date_to": self.date_to.isoformat()}
        return {**days, "left": self.left, "resting": self.resting, "over": self.over}


def windows(first: date, last: date) -> Iterator[tuple[date, date]]:
    """The newest days first: they are asked for most."""
    while last >= first:
        begin = max(first, last - timedelta(days=WINDOW_DAYS - 1))
        yield begin, last
        last = begin - timedelta(days=1)


async def backfill(
    farol: Filler,
    *,
    ufs: Sequence[str],
    first: date,
    last: date,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Step]:
    """Each step that changes something, window after window. A fetch that failed rests: that is left to a later run."""
    for begin, end in windows(first, last):
        params = {"uf": list(ufs), "date_from": begin.isoformat(), "date_to": end.isoformat()}
        before, still = None, 0
        while True:
            reply = await farol.backfill(params)
            left, resting = reply["left"], reply["resting"]
            still = 0 if before != (left, resting) or reply["claimed"] else still + 1
            before = (left, resting)
            nothing_to_do = left == resting and not reply["unfinished"]
            step = Step(begin, end, left, resting, over=not left or nothing_to_do or still >= STILL_FOR)
            if not still or step.over:
                yield step
            if step.over:
                break
            await pause(BETWEEN)
