"""A reporter that is killed at any step of a job leaves one whole file and says once that it is ready."""

import asyncio
import hashlib
import io
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from nats import connect
from openpyxl import load_workbook

from contracts.answer_codec import encode_answer
from contracts.report import MakeSpreadsheet, SpreadsheetReady
from contracts.subjects import ANSWERS_BUCKET, FILES_BUCKET, REPORTER_SPREADSHEET, SPREADSHEET, SPREADSHEET_READY
from servicekit.bus import Bus
from servicekit.clock import utc_now

ROWS = 400
SOON = 60.0
Step = Callable[[psutil.Process, str, str], Awaitable[bool]]


async def taken(_: psutil.Process, url: str, search_id: str) -> bool:
    """The command is in its hands."""
    client = await connect(url)
    try:
        consumer = await client.jetstream().consumer_info("WORK", REPORTER_SPREADSHEET.durable)
        return bool(consumer.num_ack_pending)
    finally:
        await client.close()


async def working(process: psutil.Process, url: str, search_id: str) -> bool:
    """The worker process is at it."""
    return any("spawn_main" in " ".join(child.cmdline()) for child in process.children())


async def stored(_: psutil.Process, url: str, search_id: str) -> bool:
    """The file lies there; that it does may not have been said."""
    client = await connect(url)
    try:
        store = await client.jetstream().object_store(FILES_BUCKET)
        return bool(await store.get_info(f"files/{search_id}/1.xlsx"))
    except Exception:  # noqa: BLE001 - not there yet, whatever the client calls it
        return False
    finally:
        await client.close()


async def said(_: psutil.Process, url: str, search_id: str) -> bool:
    """The fact is in the log; the command may not be acknowledged."""
    client = await connect(url)
    try:
        await client.jetstream().get_last_msg("SEARCH", SPREADSHEET_READY.subject(search_id=search_id, revision=1))
    except Exception:  # noqa: BLE001 - not there yet
        return False
    finally:
        await client.close()
    return True


async def started(url: str, directory: Path) -> asyncio.subprocess.Process:
    environment = {**os.environ, "NATS_URL": url, "FAROL_DATA_DIR": str(directory)}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "reporter", env=environment, stdout=asyncio.subprocess.DEVNULL
    )


async def until(condition: Callable[[], Awaitable[bool]], *, every: float) -> None:
    async with asyncio.timeout(SOON):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(every)


class TestKilled:
    @pytest.mark.parametrize(
        "step",
        [
            pytest.param(taken, marks=pytest.mark.soak),
            working,
            pytest.param(stored, marks=pytest.mark.soak),
            pytest.param(said, marks=pytest.mark.soak),
        ],
    )
    async def test_leaves_one_whole_file_and_says_so_once(
        self, bus_url: str, tmp_path: Path, answer: Any, result: Any, step: Step
    ) -> None:
        search_id, outside = uuid.uuid4().hex, Bus(url=bus_url, service="outside")
        await outside.start()
        rows = tuple(result(n) for n in range(ROWS))
        ref = await outside.put_object(ANSWERS_BUCKET, f"answers/{search_id}/1", encode_answer(answer(rows)))
        command = MakeSpreadsheet(
            search_id=search_id, revision=1, answer_ref=ref, deadline=utc_now() + timedelta(minutes=4)
        )
        first = await started(bus_url, tmp_path)
        alive = psutil.Process(first.pid)
        await outside.publish(SPREADSHEET.message(command, dedup=f"{search_id}:1:1"))
        await until(lambda: step(alive, bus_url, search_id), every=0.01)
        os.kill(first.pid, signal.SIGKILL)
        await first.wait()

        second = await started(bus_url, tmp_path)
        try:
            await until(lambda: said(alive, bus_url, search_id), every=0.1)
            await until(lambda: _acknowledged(bus_url), every=0.2)
        finally:
            with suppress(ProcessLookupError):
                second.terminate()
            await second.wait()
        facts = [each for each in await outside.history(search_id) if "spreadsheet" in each.subject]
        ready: SpreadsheetReady = SPREADSHEET_READY.decode(facts[0].body)
        content = await outside.get_object(ready.file)
        await outside.stop()
        assert [each.subject.split(".")[3] for each in facts] == ["spreadsheet_ready"]
        assert (len(content), hashlib.sha256(content).hexdigest()) == (ready.file.size, ready.file.sha256)
        assert load_workbook(io.BytesIO(content)).worksheets[0].max_row == ROWS + 1


async def _acknowledged(url: str) -> bool:
    client = await connect(url)
    try:
        consumer = await client.jetstream().consumer_info("WORK", REPORTER_SPREADSHEET.durable)
        return not consumer.num_ack_pending and not consumer.num_pending
    finally:
        await client.close()
