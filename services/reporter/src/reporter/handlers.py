"""The two jobs of the reporter. Each says exactly one fact per revision, and says it again never."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

from contracts.answer import Answer
from contracts.answer_codec import AnswerUnreadable, decode_answer
from contracts.report import (
    MakeSpreadsheet,
    ObjectRef,
    SpreadsheetFailed,
    SpreadsheetReady,
    Summarize,
    Summary,
    SummaryReady,
)
from contracts.search import Completed
from contracts.subjects import (
    SPREADSHEET_FAILED,
    SPREADSHEET_READY,
    SUMMARY_READY,
    Outgoing,
    Topic,
)
from contracts.summary import summarize, summarize_outcome
from contracts.when import Deadline
from reporter.domain.lately import Lately
from reporter.domain.narrative import UngroundedError, messages, narrated
from servicekit.bus import Delivery
from servicekit.clock import Clock
from servicekit.errors import DependencyAway, Rejected, Transient, Unavailable
from servicekit.logs import log
from servicekit.telemetry.tracing import about, span

RETRY_AFTER: Final = timedelta(seconds=2)
"""F01: tries lie so far apart."""
FAILED_MESSAGE: Final = (
    "Não foi possível gerar a planilha desta vez. Os resultados estão na tela; tente baixar de novo em alguns minutos."
)
LATE_MESSAGE: Final = (
    "O tempo para gerar a planilha terminou. Os resultados estão na tela; tente baixar de novo mais tarde."
)


class Shelf(Protocol):
    """Where answers are read and files are put, and what was already said of a search."""

    async def packed_answer(self, ref: ObjectRef) -> bytes:
        """The encoded answer; raises Transient when it cannot be read now, Rejected when it is gone."""

    async def keep_spreadsheet(self, content: bytes, *, search_id: str, revision: int) -> ObjectRef:
        """Store the file under the one name of this revision."""

    async def said(self, *topics: Topic[Any], search_id: str, revision: int) -> bool:
        """Whether any of these facts is in the log."""

    async def completed(self, search_id: str) -> Completed | None:
        """The terminal fact of a search."""


class MadeSpreadsheet(Protocol):
    """A finished file."""

    @property
    def content(self) -> bytes:
        """The xlsx."""

    @property
    def rows(self) -> int:
        """Bids in it."""


class Workshop(Protocol):
    """Makes spreadsheets away from the loop."""

    async def make(self, packed_answer: bytes, *, limit: timedelta) -> MadeSpreadsheet:
        """Raises Transient when it failed or took longer than the limit, AnswerUnreadable when it never can."""


class Writer(Protocol):
    """A model that puts computed figures into words."""

    async def write(self, messages: Sequence[Mapping[str, str]]) -> str | None:
        """What it says, or None; raises Transient when another try may help, Rejected when none will."""


class WordsRefused(Transient):
    """The model said what the data do not."""


async def write_summary(
    command: Summarize,
    delivery: Delivery,
    *,
    shelf: Shelf,
    lately: Lately[Summary],
    writer: Writer | None = None,
    retry_after: timedelta = RETRY_AFTER,
) -> AsyncIterator[Outgoing]:
    """Write the summary of one revision: in a model's words where there is one, else, and at the last try, in ours.

    Of an answer that cannot be read it is made from the terminal fact alone: it is never none. Of the same answer it is
    made once, and said of every search that the answer serves.
    """
    search_id, revision = command.search_id, command.revision
    if await shelf.said(SUMMARY_READY, search_id=search_id, revision=revision):
        return
    if (made := lately.of(command.answer_ref.sha256)) is not None:
        again = SummaryReady(search_id=search_id, revision=revision, summary=made)
        yield SUMMARY_READY.message(again, search_id=search_id, revision=revision)
        return
    try:
        with span("generate", search_id=search_id, job="summary"):
            packed = await shelf.packed_answer(command.answer_ref)
            # Ten thousand rows take long enough to hold up every other summary.
            answer, summary = await asyncio.to_thread(_read, packed)
            if writer is not None and answer.results:
                summary = await _worded(answer, summary, delivery, writer=writer, retry_after=retry_after)
            if writer is None or summary.method == "llm" or not answer.results:
                lately.note(command.answer_ref.sha256, summary)
    except (Transient, Rejected, AnswerUnreadable) as exc:
        if _may_yet_work(exc, delivery):
            raise
        log.warning("summary_without_answer", reason=str(exc))
        completed = await shelf.completed(search_id)
        if completed is None:
            raise
        summary = summarize_outcome(completed)
    fact = SummaryReady(search_id=search_id, revision=revision, summary=summary)
    yield SUMMARY_READY.message(fact, search_id=search_id, revision=revision)


def _read(packed: bytes) -> tuple[Answer, Summary]:
    answer = decode_answer(packed)
    return answer, summarize(answer)


async def _worded(
    answer: Answer, facts: Summary, delivery: Delivery, *, writer: Writer, retry_after: timedelta
) -> Summary:
    """The model's words; ours when it refuses for good, and at the last try whatever it did."""
    try:
        return narrated(await writer.write(messages(facts)), answer, facts)
    except UngroundedError as exc:
        failure: Transient | Rejected = WordsRefused(str(exc), delay=retry_after)
    except (Transient, Rejected) as exc:
        failure = exc
    if isinstance(failure, Transient) and not delivery.last_try:
        raise failure
    log.warning("summary_without_model", reason=str(failure))
    return facts


async def write_spreadsheet(
    command: MakeSpreadsheet,
    delivery: Delivery,
    *,
    shelf: Shelf,
    workshop: Workshop,
    lately: Lately[tuple[ObjectRef, int]],
    clock: Clock,
    limit: timedelta,
) -> AsyncIterator[Outgoing]:
    """Make and store the spreadsheet of one revision; when it cannot be, or no longer in time, that is the fact.

    Of the same answer it is made once: every search that the answer serves is given the same file.
    """
    search_id, revision = command.search_id, command.revision
    if await shelf.said(SPREADSHEET_READY, SPREADSHEET_FAILED, search_id=search_id, revision=revision):
        return
    if (made_before := lately.of(command.answer_ref.sha256)) is not None:
        yield _ready(command, *made_before)
        return
    now = clock()
    if Deadline(command.deadline).passed(now):
        yield _failed(command, LATE_MESSAGE)
        return
    try:
        with span("generate", search_id=search_id, job="spreadsheet") as step:
            packed = await shelf.packed_answer(command.answer_ref)
            made = await workshop.make(packed, limit=Deadline(command.deadline).within(now, limit).remaining(now))
            file = await shelf.keep_spreadsheet(made.content, search_id=search_id, revision=revision)
            about(step, items_in=made.rows, items_out=file.size)
    except (Transient, Rejected, AnswerUnreadable) as exc:
        if _may_yet_work(exc, delivery):
            raise
        log.error("spreadsheet_failed", reason=str(exc))
        yield _failed(command, FAILED_MESSAGE)
        return
    lately.note(command.answer_ref.sha256, (file, made.rows))
    yield _ready(command, file, made.rows)


def _may_yet_work(exc: Exception, delivery: Delivery) -> bool:
    """A dependency that is away spends no try; what is permanent is worth none; else up to the last one."""
    if isinstance(exc, DependencyAway) or (isinstance(exc, Unavailable) and exc.bus_itself):
        return True
    return isinstance(exc, Transient) and not delivery.last_try


def _ready(command: MakeSpreadsheet, file: ObjectRef, rows: int) -> Outgoing:
    fact = SpreadsheetReady(search_id=command.search_id, revision=command.revision, file=file, rows=rows)
    return SPREADSHEET_READY.message(fact, search_id=command.search_id, revision=command.revision)


def _failed(command: MakeSpreadsheet, message: str) -> Outgoing:
    fact = SpreadsheetFailed(search_id=command.search_id, revision=command.revision, message=message)
    return SPREADSHEET_FAILED.message(fact, search_id=command.search_id, revision=command.revision)
