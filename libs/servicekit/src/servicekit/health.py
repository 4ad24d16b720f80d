"""Health is a handful of named checks, each with a time limit, asked at once."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from time import perf_counter

from contracts.base import Value

LIMIT = timedelta(seconds=1)


class HealthStatus(StrEnum):
    """How a part, or the whole, does."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class CheckResult(Value):
    """What one check found."""

    status: HealthStatus
    ms: float
    detail: str | None = None


class Health(Value):
    """The worst of the checks that matter, and each of them."""

    status: HealthStatus
    checks: dict[str, CheckResult]


class Unwell(Exception):
    """What a check of ours found; its words may be shown to anybody."""


class DiskFull(Unwell):
    """There is too little room left to write into."""


def disk(path: Path, *, least: int = 64 * 1024 * 1024) -> "Check":
    """A check that there is room where this service writes; bytes."""

    async def check() -> str | None:
        free = (await asyncio.to_thread(shutil.disk_usage, path)).free
        if free < least:
            raise DiskFull(f"{free // 1024 // 1024} MB free")
        return None

    return check


Check = Callable[[], Awaitable[str | None]]
"""Returns when the part is well, with a detail or None; raises when it is not."""


async def examine(
    required: Mapping[str, Check], *, optional: Mapping[str, Check] | None = None, limit: timedelta = LIMIT
) -> Health:
    """A required part that fails makes the whole unhealthy, an optional one makes it degraded."""
    helpers = optional or {}
    names = [*required, *helpers]
    results = await asyncio.gather(
        *(_one(check, HealthStatus.UNHEALTHY, limit) for check in required.values()),
        *(_one(check, HealthStatus.DEGRADED, limit) for check in helpers.values()),
    )
    return _of(dict(zip(names, results, strict=True)))


def worst_of(parts: Mapping[str, Health]) -> Health:
    """Several parts as one: each check under the name of its part."""
    return _of({f"{part}.{name}": check for part, health in parts.items() for name, check in health.checks.items()})


def _of(checks: dict[str, CheckResult]) -> Health:
    found = {check.status for check in checks.values()}
    worst = next(
        (status for status in (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED) if status in found), HealthStatus.HEALTHY
    )
    return Health(status=worst, checks=checks)


async def _one(check: Check, failure: HealthStatus, limit: timedelta) -> CheckResult:
    began = perf_counter()
    status, detail = HealthStatus.HEALTHY, None
    try:
        async with asyncio.timeout(limit.total_seconds()):
            detail = await check()
    except TimeoutError:
        status, detail = failure, "timeout"
    except Exception as exc:  # noqa: BLE001 - whatever a part raises is its state, and the other checks go on
        # The words of other errors may hold addresses and what a person has written.
        words = f": {exc}"[:120] if isinstance(exc, Unwell) else ""
        status, detail = failure, f"{type(exc).__name__}{words}"
    return CheckResult(status=status, ms=round((perf_counter() - began) * 1000, 2), detail=detail)
