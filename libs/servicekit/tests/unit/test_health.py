"""Health of parts and of the whole."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from servicekit.health import Check, HealthStatus, disk, examine, worst_of


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


class TestDisk:
    async def test_tells_a_full_disk_from_one_with_room(self, tmp_path: Path) -> None:
        found = await examine({"room": disk(tmp_path, least=1), "full": disk(tmp_path, least=1 << 62)})
        assert (found.checks["room"].status, found.checks["full"].status) == (
            HealthStatus.HEALTHY,
            HealthStatus.UNHEALTHY,
        )
        assert (found.checks["full"].detail or "").startswith("DiskFull: ")
        assert found.status is HealthStatus.UNHEALTHY


class TestWorstOf:
    async def test_names_each_check_by_its_part_and_is_as_bad_as_the_worst(self) -> None:
        async def away() -> str | None:
            raise OSError("gone")

        async def well() -> str | None:
            return None

        parts = {
            "cache": await examine({"bus": well}),
            "fetcher": await examine({"bus": well}, optional={"redis": away}),
        }
        whole = worst_of(parts)
        assert whole.checks.keys() == {"cache.bus", "fetcher.bus", "fetcher.redis"}
        assert whole.status is HealthStatus.DEGRADED
