"""Health of parts and of the whole."""

import asyncio
from datetime import timedelta

import pytest

from servicekit.health import Check, HealthStatus, examine


async def well() -> str | None:
    return "2 ms"


async def broken() -> str | None:
    raise ConnectionError("secret host name")


async def hanging() -> str | None:
    await asyncio.Event().wait()
    return None


class TestExamine:
    @pytest.mark.parametrize(
        ("required", "optional", "expected"),
        [
            ({"bus": well}, {"redis": well}, HealthStatus.HEALTHY),
            ({"bus": well}, {"redis": broken}, HealthStatus.DEGRADED),
            ({"bus": broken}, {"redis": broken}, HealthStatus.UNHEALTHY),
            ({}, {}, HealthStatus.HEALTHY),
        ],
    )
    async def test_is_as_well_as_its_worst_part(
        self, required: dict[str, Check], optional: dict[str, Check], expected: HealthStatus
    ) -> None:
        assert (await examine(required, optional=optional)).status is expected

    async def test_cuts_a_check_that_hangs(self) -> None:
        health = await examine({"sql": hanging, "bus": well}, limit=timedelta(milliseconds=1))
        assert health.checks["sql"].detail == "timeout"
        assert health.checks["bus"].detail == "2 ms"

    async def test_names_the_kind_of_a_failure_and_not_its_text(self) -> None:
        health = await examine({"sql": broken})
        assert health.checks["sql"].detail == "ConnectionError"
