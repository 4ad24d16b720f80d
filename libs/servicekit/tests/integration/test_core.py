"""Questions and bells on core NATS."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from contracts.answers import AnswerQuery, AnswerReply
from contracts.fetch import Bell, BellKind
from contracts.places import UF
from contracts.subjects import BELL, STORED_ANSWER
from contracts.values import Source
from servicekit.bus import Bus
from servicekit.correlation import correlated, correlation_id
from servicekit.errors import DependencyAway, Unavailable

from .conftest import NOW, StartBus, eventually

SECOND = timedelta(seconds=1)
NOTHING = AnswerReply(answer_ref=None)


def bell(fetch_id: int) -> Bell:
    return Bell(kind=BellKind.STORED, source=Source.PNCP, uf=UF.SP, fetch_id=fetch_id)


class TestRequest:
    async def test_brings_the_reply(self, start_bus: StartBus) -> None:
        seen: list[tuple[AnswerQuery, str | None]] = []

        async def answer(query: AnswerQuery) -> AnswerReply:
            seen.append((query, correlation_id()))
            return AnswerReply(answer_ref=None, created_at=NOW)

        await start_bus(prepare=lambda bus: bus.answer(STORED_ANSWER, answer))
        asker = await start_bus()
        with correlated("page-1"):
            reply = await asker.request(STORED_ANSWER, AnswerQuery(key="k"), timeout=SECOND)
        assert reply == AnswerReply(answer_ref=None, created_at=NOW)
        assert seen == [(AnswerQuery(key="k"), "page-1")]

    async def test_is_answered_by_one_of_a_services_processes(self, start_bus: StartBus) -> None:
        answered: list[str] = []

        def listening(name: str) -> Callable[[Bus], None]:
            async def answer(query: AnswerQuery) -> AnswerReply:
                answered.append(name)
                return NOTHING

            return lambda bus: bus.answer(STORED_ANSWER, answer)

        for name in "ab":
            await start_bus(prepare=listening(name))
        asker = await start_bus()
        await asyncio.gather(
            *(asker.request(STORED_ANSWER, AnswerQuery(key=str(n)), timeout=SECOND * 5) for n in range(40))
        )
        assert len(answered) == 40
        assert set(answered) == {"a", "b"}

    async def test_is_unavailable_when_nobody_answers(self, start_bus: StartBus) -> None:
        asker = await start_bus()
        with pytest.raises(Unavailable) as caught:
            await asker.request(STORED_ANSWER, AnswerQuery(key="k"), timeout=SECOND)
        assert caught.value.code == "rpc.no_answer"
        assert not caught.value.bus_itself

    async def test_is_unavailable_when_the_answer_is_late(self, start_bus: StartBus) -> None:
        async def never(query: AnswerQuery) -> AnswerReply:
            await asyncio.sleep(30)
            return NOTHING

        await start_bus(prepare=lambda bus: bus.answer(STORED_ANSWER, never))
        asker = await start_bus()
        with pytest.raises(Unavailable):
            await asker.request(STORED_ANSWER, AnswerQuery(key="k"), timeout=timedelta(milliseconds=50))

    async def test_is_unavailable_at_once_when_the_handler_fails(
        self, start_bus: StartBus, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def fails(query: AnswerQuery) -> AnswerReply:
            if query.key == "away":
                raise DependencyAway("sql")
            raise KeyError(query.key)

        await start_bus(prepare=lambda bus: bus.answer(STORED_ANSWER, fails))
        asker = await start_bus()
        codes = []
        for key in ("away", "bug"):
            with pytest.raises(Unavailable) as caught:
                await asker.request(STORED_ANSWER, AnswerQuery(key=key), timeout=SECOND * 30)
            codes.append(caught.value.code)
        assert codes == ["rpc.sql.away", "rpc.bug"]
        assert capsys.readouterr().out.count("request.failed") == 1


class TestBell:
    async def test_is_heard_in_order_by_every_process(self, start_bus: StartBus) -> None:
        heard: dict[str, list[int | None]] = {"a": [], "b": []}

        def listening(name: str) -> Callable[[Bus], None]:
            async def hear(rung: Bell) -> None:
                heard[name].append(rung.fetch_id)

            return lambda bus: bus.listen(BELL, hear)

        for name in heard:
            await start_bus(prepare=listening(name))
        ringer = await start_bus()
        for n in range(100):
            await ringer.ring(BELL.message(bell(n), source=Source.PNCP, uf=UF.SP))
        await eventually(lambda: all(len(each) == 100 for each in heard.values()))
        assert heard == {"a": list(range(100)), "b": list(range(100))}

    async def test_goes_on_after_a_listener_that_fails(self, start_bus: StartBus) -> None:
        heard: list[int | None] = []

        async def hear(rung: Bell) -> None:
            if rung.fetch_id == 1:
                raise KeyError("oops")
            heard.append(rung.fetch_id)

        await start_bus(prepare=lambda bus: bus.listen(BELL, hear))
        ringer = await start_bus()
        for n in range(3):
            await ringer.ring(BELL.message(bell(n), source=Source.PNCP, uf=UF.SP))
        await eventually(lambda: 2 in heard)
        assert heard == [0, 2]

    async def test_never_fails_loudly(self) -> None:
        await Bus(url="nats://127.0.0.1:1", service="test").ring(BELL.message(bell(1), source=Source.PNCP, uf=UF.SP))
