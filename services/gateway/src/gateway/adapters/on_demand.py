"""Spreadsheets made here, for the time when no reporter has: one at a time, each once, the last few kept."""

import asyncio
from collections import OrderedDict
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from contracts.answer import Answer
from contracts.answer_codec import encode_answer
from contracts.values import SearchId
from servicekit.errors import Transient
from servicekit.logs import log
from servicekit.spreadsheet.workshop import Workshop

MADE_WITHIN: Final = timedelta(seconds=60)
"""F01: a spreadsheet; waiting for the one before counts."""
MOST_WAITING: Final = 4
MOST_KEPT: Final = 4
MOST_BYTES_KEPT: Final = 32 * 1024 * 1024


class OnDemand:
    """Makes what someone is waiting for; whoever asks for the same meanwhile waits for the same."""

    def __init__(self, *, workshop: Workshop | None = None) -> None:
        self._workshop = workshop or Workshop(benches=1, retry_after=timedelta(seconds=2))
        self._making: dict[tuple[SearchId, int], asyncio.Task[bytes]] = {}
        self._kept: OrderedDict[tuple[SearchId, int], bytes] = OrderedDict()

    async def __aenter__(self) -> Self:
        """The worker process starts when it is first needed."""
        await self._workshop.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the worker, whatever it makes."""
        for task in self._making.values():
            task.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)
        await self._workshop.__aexit__(kind, error, trace)

    async def make(self, answer: Answer) -> bytes | None:
        """The file; None when it cannot be made now, or too many wait already."""
        key = (answer.search_id, answer.revision)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        task = self._making.get(key)
        if task is None:
            if len(self._making) >= MOST_WAITING:
                return None
            task = self._making[key] = asyncio.create_task(self._make(answer))
            task.add_done_callback(lambda done: self._made(key, done))
        try:
            return await asyncio.shield(task)
        except Transient as exc:
            log.warning("spreadsheet_on_demand_failed", search_id=answer.search_id, reason=exc.code)
            return None

    async def _make(self, answer: Answer) -> bytes:
        packed = await asyncio.to_thread(encode_answer, answer)
        return (await self._workshop.make(packed, limit=MADE_WITHIN)).content

    def _made(self, key: tuple[SearchId, int], task: asyncio.Task[bytes]) -> None:
        self._making.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        self._kept[key] = task.result()
        while len(self._kept) > MOST_KEPT or sum(map(len, self._kept.values())) > MOST_BYTES_KEPT:
            self._kept.popitem(last=False)
