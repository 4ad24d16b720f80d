"""Where spreadsheets are made: worker processes, so that ten thousand rows never hold up the loop."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from contracts.answer_codec import decode_answer
from servicekit.errors import Transient

if TYPE_CHECKING:
    from servicekit.spreadsheet.sheet import Spreadsheet

STARTED_WITHIN = timedelta(seconds=30)
"""A fresh interpreter imports openpyxl and pydantic in about a second; on a drowning machine in many."""


class WorkshopBroken(Transient):
    """The worker process died or did not start; the next try gets a new one."""


class SpreadsheetTimedOut(Transient):
    """The spreadsheet took longer than it may; its process was ended."""


class Workshop:
    """A few worker processes, each with one job at a time; one that dies or hangs is replaced, alone.

    They are started on first use. A bench holds one process: a job that has to be killed takes no other job with it.
    """

    def __init__(self, *, benches: int, retry_after: timedelta) -> None:
        self._count = benches
        self._retry_after = retry_after
        self._free: asyncio.Queue[_Bench] = asyncio.Queue(maxsize=benches)

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            self._free.put_nowait(_Bench())
        return self

    async def __aexit__(self, *_: object) -> None:
        while not self._free.empty():
            await self._free.get_nowait().clear()

    async def make(self, packed_answer: bytes, *, limit: timedelta) -> "Spreadsheet":
        """The spreadsheet of an encoded answer. Waiting for a free process counts into the limit.

        Raises AnswerUnreadable, WorkshopBroken or SpreadsheetTimedOut.
        """
        try:
            async with asyncio.timeout(limit.total_seconds()), self._bench() as bench:
                return await bench.make(packed_answer)
        except TimeoutError as exc:
            raise SpreadsheetTimedOut("reporter.spreadsheet_timed_out", delay=self._retry_after) from exc
        except BrokenProcessPool as exc:
            raise WorkshopBroken("reporter.worker_died", delay=self._retry_after) from exc

    @asynccontextmanager
    async def _bench(self) -> AsyncIterator["_Bench"]:
        bench = await self._free.get()
        try:
            yield bench
        except (BrokenProcessPool, TimeoutError, asyncio.CancelledError):
            await bench.clear()
            raise
        finally:
            self._free.put_nowait(bench)


class _Bench:
    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._pid: int | None = None

    async def make(self, packed_answer: bytes) -> "Spreadsheet":
        """Run one job in this bench's process, starting it if it is not there."""
        loop = asyncio.get_running_loop()
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max_workers=1, mp_context=multiprocessing.get_context("spawn"), initializer=_settle_in
            )
            async with asyncio.timeout(STARTED_WITHIN.total_seconds()):
                self._pid = await loop.run_in_executor(self._pool, os.getpid)
        return await loop.run_in_executor(self._pool, _make, packed_answer)

    async def clear(self) -> None:
        """End the process, working or not."""
        pool, pid, self._pool, self._pid = self._pool, self._pid, None, None
        if pool is None:
            return
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # Joining a killed process is quick, but it is a join: not on the loop.
        await asyncio.to_thread(pool.shutdown, wait=pid is not None, cancel_futures=True)


def _settle_in() -> None:
    """In the worker: leave Ctrl-C to the parent, and never outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(packed_answer: bytes) -> "Spreadsheet":
    # openpyxl takes a second to import: the worker pays for it, not every start of the service.
    from servicekit.spreadsheet.sheet import make_spreadsheet  # noqa: PLC0415

    return make_spreadsheet(decode_answer(packed_answer))
