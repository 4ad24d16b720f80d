"""What every process shows of itself while it runs, however many services it holds."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from servicekit.health import Health
from servicekit.settings import TelemetrySettings
from servicekit.telemetry.measures import LOOP_LAG, MEASURES
from servicekit.telemetry.meters import switched_on
from servicekit.telemetry.port import Port
from servicekit.telemetry.tracing import traced

_LOOK_EVERY: Final = 0.5
_lags: deque[float] = deque(maxlen=40)


@asynccontextmanager
async def shown(settings: TelemetrySettings, *, ready: Callable[[], Awaitable[Health]]) -> AsyncIterator[None]:
    """Count, and answer whoever asks, until this is left."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(traced(settings))
        if settings.metrics_enabled:
            stack.enter_context(switched_on(MEASURES))
        if settings.metrics_port is not None:
            port = Port(settings.metrics_host, settings.metrics_port, token=settings.metrics_token, ready=ready)
            await stack.enter_async_context(port)
        watching = asyncio.create_task(_watch_loop(), name="loop-lag")
        stack.push_async_callback(_cancelled, watching)
        yield


async def _watch_loop() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LOOK_EVERY
        await asyncio.sleep(_LOOK_EVERY)
        _lags.append(max(0.0, loop.time() - due))
        LOOP_LAG.set(worst_lag())


def worst_lag() -> float:
    """The longest that the loop was late in the last 20 s; 0 where nobody looks."""
    return max(_lags, default=0.0)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
