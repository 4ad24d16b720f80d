"""Analytics events (B05): fire and forget to a Mixpanel-compatible sink, or one debug line each."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import httpx

from contracts.answers import AnswerTouched
from servicekit.logs import log

QUEUE: Final = 1_000
AT_ONCE: Final = 50
WITHIN: Final = 5.0


class Analytics:
    """Never waited for: a sink that is slow, full or broken loses events and nothing else."""

    def __init__(self, *, url: str, token: str | None) -> None:
        self._url = url
        self._token = token
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE)
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self.lost = 0

    async def __aenter__(self) -> Self:
        if self._token:
            self._task = asyncio.create_task(self._run(), name="analytics")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def tell(self, touched: AnswerTouched) -> None:
        """Send one event some time; no personal data is in it."""
        event = f"cache_{touched.outcome}"
        if not self._token:
            log.debug("analytics_event", analytics_event=event, key=touched.key)
            return
        properties = {
            "token": self._token, "time": int(touched.at.timestamp()), "distinct_id": "farol", "key": touched.key,
            "saved": touched.saved,
        }  # fmt: skip
        try:
            self._queue.put_nowait({"event": event, "properties": properties})
        except asyncio.QueueFull:
            self.lost += 1

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=WITHIN) as client:
            while True:
                events = [await self._queue.get()]
                while len(events) < AT_ONCE and not self._queue.empty():
                    events.append(self._queue.get_nowait())
                await self._send(client, events)

    async def _send(self, client: httpx.AsyncClient, events: list[dict[str, Any]]) -> None:
        try:
            async with asyncio.timeout(WITHIN):
                reply = await client.post(self._url, json=events)
            reply.raise_for_status()
        except (httpx.HTTPError, TimeoutError) as exc:
            self.lost += len(events)
            if not self._failing:
                log.warning("analytics_failing", reason=type(exc).__name__)
            self._failing = True
        else:
            self._failing = False
