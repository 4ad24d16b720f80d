import asyncio
from contextlib import suppress
from datetime import timedelta

from servicekit.errors import DependencyAway
from servicekit.every import Every

RARELY = timedelta(hours=1)


class TestEvery:
    async def test_begins_at_once_and_again_when_nudged(self) -> None:
        turns: asyncio.Queue[int] = asyncio.Queue()
        done = 0

        async def job() -> None:
            nonlocal done
            done += 1
            turns.put_nowait(done)

        each = Every(RARELY, job, name="test", at_least=timedelta(0))
        async with each:
            assert await turns.get() == 1
            each.nudge()
            each.nudge()
            assert await turns.get() == 2
        assert turns.empty()

    async def test_goes_on_after_a_turn_that_failed(self) -> None:
        turns: asyncio.Queue[str] = asyncio.Queue()
        fates = iter([DependencyAway("sql"), RuntimeError("a bug"), None])

        async def job() -> None:
            fate = next(fates)
            turns.put_nowait(type(fate).__name__)
            if fate is not None:
                raise fate

        each = Every(RARELY, job, name="test", at_least=timedelta(0))
        async with each:
            seen = []
            for _ in range(3):
                seen.append(await turns.get())
                each.nudge()
        assert seen == ["DependencyAway", "RuntimeError", "NoneType"]

    async def test_is_left_though_its_job_swallows_that_it_was_cancelled(self) -> None:
        begun = asyncio.Event()

        async def job() -> None:
            begun.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        async with asyncio.timeout(10):
            async with Every(RARELY, job, name="test"):
                await begun.wait()
