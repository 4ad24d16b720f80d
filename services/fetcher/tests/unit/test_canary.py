"""The canary in virtual time: what it asks, what it tells, when it raises the alarm."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.places import UF
from contracts.values import Licitacao, Modalidade, Source
from fetcher.asking import Asker
from fetcher.canary import Canary
from fetcher.clocks import Limits
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.canary import alarm_of, question
from fetcher.domain.drift import Drift
from fetcher.domain.listing import Listing, PageAsk
from fetcher.guard import Guard
from fetcher.lane import Lane
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Policy
from servicekit.shared.rate import SourceRate

LIMITS = Limits(timedelta(seconds=90), "timeout.uf", timedelta(seconds=60), timedelta(seconds=30))
UNREADABLE = Listing(bids=(), skipped=50, total_records=500, total_pages=10)
READABLE = Listing(
    bids=(
        Licitacao(
            id="00059311000126-1-000028/2026",
            source=Source.PNCP,
            uf=UF.SP,
            orgao="Prefeitura",
            modalidade=Modalidade.PREGAO_ELETRONICO,
            modalidade_nome="Pregão - Eletrônico",
            objeto="Aquisição de uniformes",
            data_publicacao=datetime(2026, 11, 19, 12, tzinfo=UTC),
        ),
    ),
    total_records=1,
    total_pages=1,
)


class FakeSource:
    """Answers with what it is told to, or fails."""

    source = Source.PNCP

    def __init__(self, *answers: Listing | AttemptFailed) -> None:
        self.answers = list(answers)
        self.asked: list[PageAsk] = []

    async def read(self, ask: PageAsk, *, within: timedelta) -> Listing:
        assert within > timedelta(0)
        self.asked.append(ask)
        answer = self.answers.pop(0)
        if isinstance(answer, AttemptFailed):
            raise answer
        return answer


def canary(source: FakeSource, virtual: Any, alarms: list[Drift]) -> tuple[Canary, Asker]:
    policy = Policy()
    guard = Guard(Breaker("pncp", policy=policy, part_policy=policy, tell=lambda _: None))
    asker = Asker(lane=Lane(SourceRate("pncp", 10)), guard=guard, chance=lambda: 0.5)
    return Canary(reader=source, asker=asker, limits=LIMITS, now=virtual.now, alarm=alarms.append), asker


async def sung(one: Canary, times: int) -> list[str | None]:
    outcomes = []
    for _ in range(times):
        await one.sing()
        outcomes.append(one.outcome)
    return outcomes


class TestCanary:
    def test_tells_that_all_is_well_and_raises_nothing(self, virtual: Any) -> None:
        alarms: list[Drift] = []
        one, asker = canary(FakeSource(READABLE, READABLE), virtual, alarms)
        assert virtual.run(sung(one, 2)) == ["ok", "ok"]
        assert (alarms, asker.counted["canary.ok"]) == ([], 2)

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            (Listing(bids=()), "canary.empty"),
            (UNREADABLE, "canary.unreadable"),
            (AttemptFailed("body.html", again=True), "body.html"),
            (AttemptFailed("http.404", again=False), "http.404"),
        ],
    )
    def test_raises_one_alarm_while_an_answer_is_otherwise(
        self, virtual: Any, answer: Listing | AttemptFailed, code: str
    ) -> None:
        alarms: list[Drift] = []
        one, asker = canary(FakeSource(READABLE, answer, answer, READABLE, answer), virtual, alarms)
        assert virtual.run(sung(one, 5)) == ["ok", code, code, "ok", code]
        assert [(drift.kind, drift.specimen) for drift in alarms] == [("canary", code)] * 2
        assert asker.counted["canary.failed"] == 3

    @pytest.mark.parametrize("code", ["timeout.http", "http.503", "http.429", "net.connect"])
    def test_tells_a_source_that_is_down_and_leaves_the_alarm_to_its_circuit(self, virtual: Any, code: str) -> None:
        alarms: list[Drift] = []
        one, _ = canary(FakeSource(AttemptFailed(code, again=True)), virtual, alarms)
        assert virtual.run(sung(one, 1)) == [code]
        assert alarms == []

    def test_asks_once_and_never_again(self, virtual: Any) -> None:
        source = FakeSource(AttemptFailed("http.503", again=True))
        one, asker = canary(source, virtual, [])
        virtual.run(sung(one, 1))
        assert len(source.asked) == 1
        assert asker.counted["again.http.503"] == 0


class TestQuestion:
    def test_is_a_week_of_the_busiest_place(self) -> None:
        ask = question(Source.PNCP, today=date(2026, 11, 22))
        assert (ask.uf, ask.page) == (UF.SP, 1)
        assert (ask.range.day_from, ask.range.day_to) == (date(2026, 11, 14), date(2026, 11, 20))

    def test_is_national_where_the_list_is(self) -> None:
        ask = question(Source.PCP, today=date(2026, 11, 22))
        assert (ask.uf, ask.range.modalidade) == (None, None)


class TestAlarm:
    def test_is_not_raised_for_a_422_that_a_healthy_source_answers(self) -> None:
        assert alarm_of("http.422.spurious") is None
        assert alarm_of("http.422") is not None
