"""Each service tells OPS every 15 s that it lives, and how it does."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import uuid4

from contracts.ops import CircuitSeen, Heartbeat, JobSeen
from contracts.subjects import HEARTBEAT
from servicekit.bus import Bus
from servicekit.clock import utc_now
from servicekit.errors import Transient
from servicekit.every import Every
from servicekit.health import Health, HealthStatus
from servicekit.logs import errors_of
from servicekit.telemetry.process import worst_lag

EVERY: Final = timedelta(seconds=15)
FAREWELL: Final = 2.0


class Heart:
    """Beats from its start to its end; what it says last is that it leaves."""

    def __init__(
        self,
        bus: Bus,
        *,
        health: Callable[[], Awaitable[Health]],
        jobs: Sequence[Every] = (),
        circuits: Callable[[], Sequence[CircuitSeen]] = tuple,
    ) -> None:
        self._bus = bus
        self._health = health
        self._circuits = circuits
        self._beating = Every(EVERY, self._beat, name="heartbeat")
        self._jobs = tuple(jobs)
        self._started_at = utc_now()
        self.worker = f"{bus.service}-{uuid4().hex[:8]}"
        """How this process is known; new at each start."""

    async def start(self) -> None:
        """Begin to beat."""
        await self._beating.__aenter__()

    async def stop(self) -> None:
        """Say good-bye, if the bus still takes it."""
        await self._beating.__aexit__()
        with suppress(Transient, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._tell(
                    Heartbeat(
                        service=self._bus.service, worker=self.worker, started_at=self._started_at, at=utc_now(),
                        leaving=True,
                    )
                )  # fmt: skip

    async def _beat(self) -> None:
        health = await self._health()
        failing = {
            status: tuple(f"{name}: {check.detail}" for name, check in health.checks.items() if check.status is status)
            for status in (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED)
        }
        await self._tell(
            Heartbeat(
                service=self._bus.service,
                worker=self.worker,
                started_at=self._started_at,
                at=utc_now(),
                failing=failing[HealthStatus.UNHEALTHY],
                degraded=failing[HealthStatus.DEGRADED],
                queues=await self._bus.queues(),
                jobs=tuple(
                    JobSeen(name=job.name, every_s=job.every_s, last_success=job.last_success) for job in self._jobs
                ),
                circuits=tuple(self._circuits()),
                errors=errors_of(self._bus.service),
                loop_lag_s=round(worst_lag(), 3),
                drained=self._bus.drained,
            )
        )

    async def _tell(self, beat: Heartbeat) -> None:
        key = f"{beat.at.timestamp():.3f}:{'leaving' if beat.leaving else 'beat'}"
        await self._bus.publish(HEARTBEAT.message(beat, dedup=key, service=beat.service, worker=beat.worker))
