"""A job that a process does now and then of itself."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Self

from servicekit.clock import utc_now
from servicekit.errors import Transient
from servicekit.logs import log
from servicekit.telemetry.measures import JOB_RUNS, JOB_SUCCESS

AT_LEAST = timedelta(milliseconds=500)
"""Between two turns, however often it is nudged."""

CANCEL_AGAIN = 1.0


class Every:
    """Does a job at once and then at intervals, each a little off so that processes do not move in step.

    A job that fails is done again at the next turn: one warning per row of failures.
    """

    def __init__(
        self, interval: timedelta, job: Callable[[], Awaitable[object]], *, name: str, at_least: timedelta = AT_LEAST
    ) -> None:
        self.every_s = interval.total_seconds()
        self._job = job
        self.name = name
        self.last_success: datetime | None = None
        """When a turn last went well."""
        self._task: asyncio.Task[None] | None = None
        self._leaving = False
        self._nudged = asyncio.Event()
        self._at_least = at_least.total_seconds()

    def nudge(self) -> None:
        """Do it again before its time."""
        self._nudged.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=self.name)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._task is None:
            return
        self._leaving = True
        while not self._task.done():
            # Again, for a library that the job calls may have swallowed the first.
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_AGAIN)

    async def _run(self) -> None:
        failing = False
        while not self._leaving:
            outcome = "failed"
            try:
                await self._job()
            except Transient as exc:
                if not failing:
                    log.warning("job.waits", job=self.name, code=exc.code)
                failing, outcome = True, "waits"
            except Exception:  # noqa: BLE001 - one bad turn must not end the turns after it
                log.exception("job.failed", job=self.name)
            else:
                failing, outcome = False, "ok"
                self.last_success = utc_now()
                JOB_SUCCESS.set(self.last_success.timestamp(), job=self.name)
            JOB_RUNS.add(job=self.name, outcome=outcome)
            pause = self.every_s * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._nudged.wait()
                    await asyncio.sleep(self._at_least)
            self._nudged.clear()
