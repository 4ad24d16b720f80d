import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.answer import Answer
from contracts.answer_codec import AnswerUnreadable, decode_answer, encode_answer
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
from contracts.state import ResponseState, Status
from contracts.subjects import Outgoing, Topic
from reporter.domain.lately import Lately
from reporter.handlers import FAILED_MESSAGE, LATE_MESSAGE, write_spreadsheet, write_summary
from servicekit.bus import Delivery
from servicekit.errors import DependencyAway, Rejected, Transient, Unavailable

SEARCH_ID = "0123456789abcdef0123456789abcdef"
OTHER_ID = "fedcba9876543210fedcba9876543210"
REF = ObjectRef(bucket="ANSWERS", name=f"answers/{SEARCH_ID}/1", size=1, sha256="0" * 64)


def delivery(attempt: int = 1, *, last_try: bool = False) -> Delivery:
    return Delivery(
        subject="work.reporter.x.v1", sequence=7, attempt=attempt, correlation_id="c", stopping=asyncio.Event(),
        last_try=last_try,
    )  # fmt: skip


class AnswerAway(Transient):
    pass


@dataclass
class FakeShelf:
    packed: bytes | Exception
    facts: set[str] = field(default_factory=set)
    outcome: Completed | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    async def packed_answer(self, ref: ObjectRef) -> bytes:
        if isinstance(self.packed, Exception):
            raise self.packed
        return self.packed

    async def keep_spreadsheet(self, content: bytes, *, search_id: str, revision: int) -> ObjectRef:
        name = f"files/{search_id}/{revision}.xlsx"
        self.files[name] = content
        return ObjectRef(bucket="FILES", name=name, size=len(content), sha256="1" * 64)

    async def said(self, *topics: Topic[Any], search_id: str, revision: int) -> bool:
        return any(topic.subject(search_id=search_id, revision=revision) in self.facts for topic in topics)

    async def completed(self, search_id: str) -> Completed | None:
        return self.outcome


@dataclass
class Made:
    content: bytes = b"xlsx"
    rows: int = 3


@dataclass
class FakeWorkshop:
    error: Exception | None = None
    limits: list[timedelta] = field(default_factory=list)

    async def make(self, packed_answer: bytes, *, limit: timedelta) -> Made:
        self.limits.append(limit)
        if self.error:
            raise self.error
        return Made()


async def all_of(messages: AsyncIterator[Outgoing]) -> list[Outgoing]:
    return [message async for message in messages]


def completed(answer: Any) -> Completed:
    return Completed(
        search_id=SEARCH_ID,
        status=Status.COMPLETED,
        response_state=ResponseState.LIVE,
        answer_ref=REF,
        counts=answer.counts,
        coverage=answer.coverage,
        operational_state=answer.operational_state,
        reliability=100,
        total=17,
        at=answer.finished_at,
    )


class TestWriteSummary:
    def command(self, now: datetime) -> Summarize:
        return Summarize(search_id=SEARCH_ID, revision=1, answer_ref=REF, deadline=now + timedelta(seconds=60))

    async def test_says_the_summary_of_the_answer_once_per_revision(self, answer: Any, result: Any) -> None:
        whole = answer((result(),))
        shelf = FakeShelf(encode_answer(whole))
        [message] = await all_of(
            write_summary(self.command(whole.finished_at), delivery(), shelf=shelf, lately=Lately())
        )
        assert message.subject == f"search.v1.{SEARCH_ID}.summary_ready.1"
        assert message.msg_id == f"{message.subject}:1"
        assert isinstance(message.value, SummaryReady)
        assert message.value.summary.text.startswith("Foi encontrada 1 licitação")

    async def test_says_nothing_when_the_log_has_it_already(self, answer: Any) -> None:
        shelf = FakeShelf(encode_answer(answer()), facts={f"search.v1.{SEARCH_ID}.summary_ready.1"})
        assert (
            await all_of(write_summary(self.command(answer().finished_at), delivery(2), shelf=shelf, lately=Lately()))
            == []
        )

    async def test_is_made_once_of_an_answer_that_serves_many_searches(self, answer: Any, result: Any) -> None:
        whole, lately = answer((result(),)), Lately[Summary]()
        first = self.command(whole.finished_at)
        [made] = await all_of(write_summary(first, delivery(), shelf=FakeShelf(encode_answer(whole)), lately=lately))
        other = first.model_copy(update={"search_id": OTHER_ID})
        [again] = await all_of(write_summary(other, delivery(), shelf=FakeShelf(AnswerAway("unread")), lately=lately))
        assert again.subject == f"search.v1.{OTHER_ID}.summary_ready.1"
        assert again.value.summary == made.value.summary

    async def test_tries_again_while_the_answer_is_away(self, answer: Any) -> None:
        shelf = FakeShelf(AnswerAway("away"), outcome=completed(answer()))
        with pytest.raises(AnswerAway):
            await all_of(write_summary(self.command(answer().finished_at), delivery(9), shelf=shelf, lately=Lately()))

    @pytest.mark.parametrize(
        ("error", "last_try"),
        [(AnswerAway("away"), True), (AnswerUnreadable("cut"), False), (Rejected("object.missing"), False)],
    )
    async def test_falls_back_to_the_terminal_fact_when_there_is_no_answer_to_read(
        self, answer: Any, error: Exception, last_try: bool
    ) -> None:
        shelf = FakeShelf(error, outcome=completed(answer()))
        given = delivery(last_try=last_try)
        [message] = await all_of(write_summary(self.command(answer().finished_at), given, shelf=shelf, lately=Lately()))
        assert message.value.summary.text.startswith("A pesquisa encontrou 17 licitações.")

    async def test_reads_the_answer_away_from_the_loop(
        self, answer: Any, result: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read_in: list[threading.Thread] = []

        def watched(packed: bytes) -> Answer:
            read_in.append(threading.current_thread())
            return decode_answer(packed)

        monkeypatch.setattr("reporter.handlers.decode_answer", watched)
        whole = answer((result(),))
        shelf = FakeShelf(encode_answer(whole))
        await all_of(write_summary(self.command(whole.finished_at), delivery(), shelf=shelf, lately=Lately()))
        assert len(read_in) == 1
        assert read_in[0] is not threading.current_thread()


@dataclass
class FakeWriter:
    says: list[str | Exception | None]

    async def write(self, messages: Any) -> str | None:
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


class TestWordsOfAModel:
    async def run(self, answer: Any, result: Any, *says: str | Exception | None, last_try: bool = False) -> Any:
        whole = answer((result(),))
        command = Summarize(
            search_id=SEARCH_ID, revision=1, answer_ref=REF, deadline=whole.finished_at + timedelta(seconds=60)
        )
        shelf = FakeShelf(encode_answer(whole))
        given = delivery(last_try=last_try)
        [message] = await all_of(
            write_summary(command, given, shelf=shelf, lately=Lately(), writer=FakeWriter([*says]))
        )
        return message.value.summary

    async def test_are_the_summary_where_they_hold(self, answer: Any, result: Any) -> None:
        made = await self.run(answer, result, '{"resumo": "Campinas compra uniformes."}')
        assert (made.method, made.text.splitlines()[0]) == ("llm", "Campinas compra uniformes.")

    @pytest.mark.parametrize("said", ['{"resumo": "Há 99 licitações."}', None, AnswerAway("llm.away")])
    async def test_are_asked_for_again_until_the_last_try(self, answer: Any, result: Any, said: Any) -> None:
        with pytest.raises(Transient):
            await self.run(answer, result, said)
        made = await self.run(answer, result, said, last_try=True)
        assert (made.method, made.text.split()[0]) == ("fallback", "Foi")

    async def test_are_asked_for_anew_by_the_next_search_where_they_failed(self, answer: Any, result: Any) -> None:
        whole, lately = answer((result(),)), Lately[Summary]()
        command = Summarize(
            search_id=SEARCH_ID, revision=1, answer_ref=REF, deadline=whole.finished_at + timedelta(seconds=60)
        )
        shelf, writer = FakeShelf(encode_answer(whole)), FakeWriter([Rejected("llm.status_401"), '{"resumo": "Sim."}'])
        methods = []
        for _ in range(2):
            [message] = await all_of(write_summary(command, delivery(), shelf=shelf, lately=lately, writer=writer))
            methods.append(message.value.summary.method)
        assert methods == ["fallback", "llm"]

    async def test_are_not_waited_for_where_none_will_come(self, answer: Any, result: Any) -> None:
        assert (await self.run(answer, result, Rejected("llm.status_401"))).method == "fallback"


class TestWriteSpreadsheet:
    async def run(
        self, answer: Any, *, shelf: FakeShelf | None = None, workshop: FakeWorkshop | None = None, **more: Any
    ) -> list[Outgoing]:
        now = answer.finished_at
        command = MakeSpreadsheet(
            search_id=more.get("search_id", SEARCH_ID),
            revision=1,
            answer_ref=REF,
            deadline=now + timedelta(seconds=more.get("seconds_left", 200)),
        )
        return await all_of(
            write_spreadsheet(
                command,
                delivery(more.get("attempt", 1), last_try=more.get("last_try", False)),
                shelf=shelf or FakeShelf(encode_answer(answer)),
                workshop=workshop or FakeWorkshop(),
                lately=more.get("lately", Lately()),
                clock=lambda: now,
                limit=timedelta(seconds=60),
            )
        )

    async def test_keeps_the_file_under_the_name_of_its_revision_and_says_so(self, answer: Any) -> None:
        shelf = FakeShelf(encode_answer(answer()))
        [message] = await self.run(answer(), shelf=shelf)
        assert isinstance(message.value, SpreadsheetReady)
        assert message.value.rows == 3
        assert shelf.files == {f"files/{SEARCH_ID}/1.xlsx": b"xlsx"}
        assert message.value.file.name in shelf.files

    @pytest.mark.parametrize("fact", ["spreadsheet_ready", "spreadsheet_failed"])
    async def test_makes_nothing_when_the_log_has_its_fact_already(self, answer: Any, fact: str) -> None:
        workshop = FakeWorkshop()
        shelf = FakeShelf(encode_answer(answer()), facts={f"search.v1.{SEARCH_ID}.{fact}.1"})
        assert await self.run(answer(), shelf=shelf, workshop=workshop, attempt=2) == []
        assert workshop.limits == []

    async def test_gives_every_search_of_one_answer_the_same_file(self, answer: Any) -> None:
        lately, workshop = Lately[tuple[ObjectRef, int]](), FakeWorkshop()
        [made] = await self.run(answer(), workshop=workshop, lately=lately)
        [again] = await self.run(answer(), workshop=workshop, lately=lately, search_id=OTHER_ID)
        assert again.subject == f"search.v1.{OTHER_ID}.spreadsheet_ready.1"
        assert (again.value.file, again.value.rows) == (made.value.file, made.value.rows)
        assert len(workshop.limits) == 1

    async def test_tries_again_before_the_last_try(self, answer: Any) -> None:
        with pytest.raises(AnswerAway):
            await self.run(answer(), workshop=FakeWorkshop(AnswerAway("died")), attempt=9)

    async def test_makes_the_failure_of_the_last_try_a_fact_with_a_friendly_message(self, answer: Any) -> None:
        [message] = await self.run(answer(), workshop=FakeWorkshop(AnswerAway("died")), last_try=True)
        assert message.value == SpreadsheetFailed(search_id=SEARCH_ID, revision=1, message=FAILED_MESSAGE)

    @pytest.mark.parametrize("away", [DependencyAway("sql"), Unavailable("bus.away")])
    async def test_gives_up_on_nothing_while_a_dependency_is_away(self, answer: Any, away: Transient) -> None:
        with pytest.raises(type(away)):
            await self.run(answer(), shelf=FakeShelf(away), last_try=True)

    async def test_does_not_try_an_unreadable_answer_twice(self, answer: Any) -> None:
        [message] = await self.run(answer(), workshop=FakeWorkshop(AnswerUnreadable("cut")))
        assert isinstance(message.value, SpreadsheetFailed)

    async def test_reports_a_late_command_as_late(self, answer: Any) -> None:
        workshop = FakeWorkshop()
        [message] = await self.run(answer(), workshop=workshop, seconds_left=0)
        assert message.value.message == LATE_MESSAGE
        assert workshop.limits == []

    async def test_never_works_past_the_deadline_of_the_command(self, answer: Any) -> None:
        workshop = FakeWorkshop()
        await self.run(answer(), workshop=workshop, seconds_left=20)
        await self.run(answer(), workshop=workshop, seconds_left=200)
        assert workshop.limits == [timedelta(seconds=20), timedelta(seconds=60)]
