import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.answer_codec import AnswerUnreadable, encode_answer
from servicekit.spreadsheet.workshop import SpreadsheetTimedOut, Workshop, WorkshopBroken

MINUTE = timedelta(seconds=60)


def workers() -> list[psutil.Process]:
    """The interpreters that make spreadsheets; the resource tracker beside them is not one."""
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def workshop(benches: int = 1) -> Workshop:
    return Workshop(benches=benches, retry_after=timedelta(seconds=2))


class TestWorkshop:
    async def test_makes_spreadsheets_one_after_another_in_one_process(self, answer: Any, result: Any) -> None:
        packed = encode_answer(answer((result(),)))
        async with workshop() as shop:
            assert (await shop.make(packed, limit=MINUTE)).rows == 1
            [process] = workers()
            await shop.make(packed, limit=MINUTE)
            assert workers() == [process]
        assert workers() == []

    async def test_leaves_the_loop_free_while_it_works(self, answer: Any, result: Any) -> None:
        packed = encode_answer(answer(tuple(result(n) for n in range(1, 1500))))
        async with workshop() as shop:
            job = asyncio.create_task(shop.make(packed, limit=MINUTE))
            turns = 0
            while not job.done():
                await asyncio.sleep(0.01)
                turns += 1
            assert (await job).rows == 1499
        assert turns > 20

    async def test_starts_a_new_process_after_one_was_killed(self, answer: Any, result: Any) -> None:
        packed = encode_answer(answer((result(),)))
        async with workshop() as shop:
            await shop.make(packed, limit=MINUTE)
            os.kill(workers()[0].pid, signal.SIGSTOP)
            job = asyncio.create_task(shop.make(packed, limit=MINUTE))
            await asyncio.sleep(0.2)
            os.kill(workers()[0].pid, signal.SIGKILL)
            with pytest.raises(WorkshopBroken) as broken:
                await job
            assert broken.value.delay == timedelta(seconds=2)
            assert (await shop.make(packed, limit=MINUTE)).rows == 1

    async def test_ends_a_job_that_takes_too_long_and_only_that_one(self, answer: Any, result: Any) -> None:
        packed = encode_answer(answer((result(),)))
        async with workshop(benches=2) as shop:
            await asyncio.gather(shop.make(packed, limit=MINUTE), shop.make(packed, limit=MINUTE))
            stuck, well = workers()
            os.kill(stuck.pid, signal.SIGSTOP)
            jobs = [shop.make(packed, limit=timedelta(seconds=1.5)) for _ in range(2)]
            outcomes = await asyncio.gather(*jobs, return_exceptions=True)
            assert sorted(type(outcome).__name__ for outcome in outcomes) == [
                "Spreadsheet",
                SpreadsheetTimedOut.__name__,
            ]
            assert workers() == [well]

    async def test_says_that_an_answer_is_unreadable_and_works_on(self, answer: Any) -> None:
        async with workshop() as shop:
            with pytest.raises(AnswerUnreadable):
                await shop.make(b"not gzip", limit=MINUTE)
            before = workers()
            await shop.make(encode_answer(answer()), limit=MINUTE)
            assert workers() == before

    async def test_leaves_no_process_behind_when_its_parent_is_killed(self, answer: Any, tmp_path: Path) -> None:
        packed = tmp_path / "answer"
        packed.write_bytes(encode_answer(answer()))
        script = tmp_path / "parent.py"
        script.write_text(_PARENT)

        parent = await asyncio.create_subprocess_exec(
            sys.executable, str(script), str(packed), stdout=asyncio.subprocess.PIPE
        )
        assert parent.stdout
        worker = psutil.Process(int(await asyncio.wait_for(parent.stdout.readline(), 60)))
        parent.kill()
        await parent.wait()
        for _ in range(200):
            if not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE:
                return
            await asyncio.sleep(0.05)
        worker.kill()
        pytest.fail("the worker outlived its parent")


_PARENT = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
import psutil
from servicekit.spreadsheet.workshop import Workshop

async def main() -> None:
    async with Workshop(benches=1, retry_after=timedelta(seconds=2)) as shop:
        await shop.make(Path(sys.argv[1]).read_bytes(), limit=timedelta(seconds=60))
        [worker] = [c.pid for c in psutil.Process().children() if "spawn_main" in " ".join(c.cmdline())]
        print(worker, flush=True)
        await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""
