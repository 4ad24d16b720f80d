import asyncio
import io
import itertools
import shutil
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from openpyxl import load_workbook

from contracts.answer_codec import encode_answer
from contracts.report import MakeSpreadsheet, ObjectRef, SpreadsheetFailed, SpreadsheetReady, Summarize, SummaryReady
from contracts.subjects import (
    ANSWERS_BUCKET,
    SPREADSHEET,
    SPREADSHEET_FAILED,
    SPREADSHEET_READY,
    SUMMARIZE,
    SUMMARY_READY,
    Topic,
)
from reporter.app import build
from reporter.settings import ReporterSettings
from servicekit.bus import Bus
from servicekit.clock import utc_now
from simulators.llm import Conduct, LlmSimulator, Mood


@pytest_asyncio.fixture
async def bus(bus_url: str) -> AsyncIterator[Bus]:
    """The rest of Farol: what asks the reporter and reads what it says."""
    service = build(ReporterSettings(NATS_URL=bus_url, retry_delay_s=0.05))
    outside = Bus(url=bus_url, service="outside")
    await outside.start()
    await service.start()
    yield outside
    await service.stop()
    await outside.stop()


@pytest.fixture
def search_id() -> str:
    """Its own for each test: the server remembers message ids beyond a purge."""
    return uuid.uuid4().hex


async def fact(bus: Bus, topic: Topic[Any], search_id: str) -> Any:
    subject = topic.subject(search_id=search_id, revision=1)
    for wait in itertools.repeat(0.02, 3000):
        if (stored := await bus.last(subject)) is not None:
            return topic.decode(stored.body)
        await asyncio.sleep(wait)
    pytest.fail(f"no {topic.name} within a minute")


async def ask(bus: Bus, search_id: str, ref: ObjectRef, *, attempt: int = 1) -> None:
    deadline, dedup = utc_now() + timedelta(minutes=4), f"{search_id}:1:{attempt}"
    summarize = Summarize(search_id=search_id, revision=1, answer_ref=ref, deadline=deadline)
    spreadsheet = MakeSpreadsheet(search_id=search_id, revision=1, answer_ref=ref, deadline=deadline)
    await bus.publish(SUMMARIZE.message(summarize, dedup=dedup))
    await bus.publish(SPREADSHEET.message(spreadsheet, dedup=dedup))


class TestReporter:
    async def test_answers_both_jobs_with_facts_and_a_file_that_opens(
        self, bus: Bus, search_id: str, answer: Any, result: Any, tmp_path: Path
    ) -> None:
        rows = tuple(result(n, objeto=f"=SOMA(1;{n}) uniforme") for n in range(1, 31))
        await ask(
            bus, search_id, await bus.put_object(ANSWERS_BUCKET, f"answers/{search_id}/1", encode_answer(answer(rows)))
        )
        summary: SummaryReady = await fact(bus, SUMMARY_READY, search_id)
        ready: SpreadsheetReady = await fact(bus, SPREADSHEET_READY, search_id)
        assert summary.summary.text.startswith("Foram encontradas 30 licitações")
        assert (ready.rows, ready.file.name) == (30, f"files/{search_id}/1.xlsx")
        content = await bus.get_object(ready.file)
        book = load_workbook(io.BytesIO(content))
        assert book.worksheets[0].max_row == 31
        assert book.worksheets[0]["E2"].value == "=SOMA(1;1) uniforme"
        assert await pages_in_libreoffice(content, tmp_path) > 0

    async def test_says_each_fact_once_however_often_it_is_asked(
        self, bus: Bus, search_id: str, answer: Any, result: Any
    ) -> None:
        ref = await bus.put_object(ANSWERS_BUCKET, f"answers/{search_id}/1", encode_answer(answer((result(),))))
        await ask(bus, search_id, ref)
        await fact(bus, SUMMARY_READY, search_id)
        await fact(bus, SPREADSHEET_READY, search_id)
        await ask(bus, search_id, ref, attempt=2)
        await asyncio.sleep(0.5)
        subjects = [stored.subject.split(".")[3] for stored in await bus.history(search_id)]
        assert sorted(subjects) == ["spreadsheet_ready", "summary_ready"]

    async def test_makes_the_failure_a_fact_when_there_is_no_answer(self, bus: Bus, search_id: str) -> None:
        await ask(bus, search_id, ObjectRef(bucket=ANSWERS_BUCKET, name="answers/none/1", size=1, sha256="0" * 64))
        failed: SpreadsheetFailed = await fact(bus, SPREADSHEET_FAILED, search_id)
        assert failed.message.startswith("Não foi possível gerar a planilha")


class TestModel:
    @pytest.mark.parametrize(
        ("mood", "method"), [(Mood.HONEST, "llm"), (Mood.FALSE_QUOTES, "fallback"), (Mood.BROKEN, "fallback")]
    )
    async def test_words_the_summary_or_the_computed_one_stands(
        self, bus_url: str, search_id: str, answer: Any, result: Any, mood: Mood, method: str
    ) -> None:
        async with LlmSimulator(conduct=Conduct(mood=mood)) as llm:
            settings = ReporterSettings(
                NATS_URL=bus_url, retry_delay_s=0.05, OPENAI_API_KEY="sk-of-the-test", OPENAI_BASE_URL=llm.base_url
            )
            service, outside = build(settings), Bus(url=bus_url, service="outside")
            await outside.start()
            await service.start()
            ref = await outside.put_object(ANSWERS_BUCKET, f"answers/{search_id}/1", encode_answer(answer((result(),))))
            await ask(outside, search_id, ref)
            ready: SummaryReady = await fact(outside, SUMMARY_READY, search_id)
            await service.stop()
            await outside.stop()
        assert ready.summary.method == method
        assert ("Em resumo: " in ready.summary.text) is (method == "llm")
        assert len(llm.calls) == (1 if method == "llm" else 3)
        assert {call.body["max_tokens"] for call in llm.calls} == {500}


async def pages_in_libreoffice(content: bytes, directory: Path) -> int:
    """How many bytes LibreOffice makes of it as PDF; the test fails where LibreOffice is missing."""
    soffice = shutil.which("soffice")
    if soffice is None:
        pytest.fail("soffice is missing: `make test` installs it")
    source = directory / "planilha.xlsx"
    source.write_bytes(content)
    process = await asyncio.create_subprocess_exec(
        soffice,
        f"-env:UserInstallation={(directory / 'profile').as_uri()}",
        "--headless",
        "--convert-to",
        "pdf",
        "--outdir",
        str(directory),
        str(source),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(100):
            await process.wait()
    except TimeoutError:
        process.kill()
        raise
    made = source.with_suffix(".pdf").read_bytes()
    return len(made) if made.startswith(b"%PDF") else 0
