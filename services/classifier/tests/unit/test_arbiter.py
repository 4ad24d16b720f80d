import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from classifier import handlers
from classifier.adapters.catalogue_files import load_briefs
from classifier.arbiter import Arbiter, Bill, Limits, OpinionCache, Why
from classifier.domain.arbitration import LlmAway, Opinion, Said
from classifier.domain.spending import DailyBudget, LlmBreaker, Prices
from classifier.handlers import Bench
from classifier.purse import Purse
from contracts.classification import AcceptedBid, ArbitrateBids, RejectedBid, UncertainBid, Zone
from contracts.fetch import Item
from contracts.subjects import ARBITRATED
from contracts.verdict import Confidence, Lens, RelevanceSource, Verdict
from contracts.when import UtcDatetime
from servicekit.bus import Delivery
from servicekit.errors import DependencyAway

LENS = Lens(sector="vestuario")
YES = {
    "classe": "relevante", "confianca": 90, "evidencias": ["jalecos"], "motivo_exclusao": "",
    "precisa_mais_dados": False,
}  # fmt: skip
SAY_YES = Said(json.dumps(YES), 100, 50)
Answers = Callable[[int], Said | Exception]


class FakeReader:
    model = "fake"

    def __init__(self, *answers: Said | Exception, hangs: bool = False) -> None:
        self.answers, self.hangs, self.asked = list(answers), hangs, 0

    async def ask(self, messages: Sequence[Mapping[str, str]]) -> Said:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def now(make_bid: Any) -> UtcDatetime:
    seen: UtcDatetime = make_bid("x").seen_at
    return seen


class SlowReader(FakeReader):
    """Answers once it is let."""

    def __init__(self, *answers: Said | Exception) -> None:
        super().__init__(*answers)
        self.go = asyncio.Event()

    async def ask(self, messages: Sequence[Mapping[str, str]]) -> Said:
        self.asked += 1
        await self.go.wait()
        self.asked -= 1
        return await super().ask(messages)


class FakeOpinions:
    """What all processes keep, here in memory."""

    def __init__(self, *, away: bool = False) -> None:
        self.held: dict[str, Opinion] = {}
        self.told, self.away = asyncio.Event(), away

    async def get(self, key: str) -> Opinion | None:
        if self.away:
            raise DependencyAway("sql", "sql: gone")
        return self.held.get(key)

    async def put(self, key: str, opinion: Opinion, *, now: UtcDatetime) -> None:
        if self.away:
            raise DependencyAway("sql", f"sql: gone at {now}")
        self.held[key] = opinion
        self.told.set()


def arbiter(
    reader: FakeReader,
    now: Any,
    *,
    usd: str = "1",
    failures: int = 5,
    call: float = 5,
    kept: FakeOpinions | None = None,
) -> Arbiter:
    return Arbiter(
        reader,
        briefs=load_briefs(),
        limits=Limits(at_once=4, call=timedelta(seconds=call), held=100),
        purse=Purse(shared=None, own=DailyBudget(Decimal(usd)), clock=lambda: now),
        prices=Prices(asked=Decimal("0.10"), answered=Decimal("0.40")),
        breaker=LlmBreaker(failures=failures),
        clock=lambda: now,
        kept=kept,
    )


def open_bid(make_bid: Any, number: int = 1, objeto: str = "Material diverso e jalecos") -> UncertainBid:
    verdict = Verdict(
        relevance_source=RelevanceSource.RULES_WITHOUT_LLM, confidence=Confidence.LOW, confidence_score=50, density=0.03
    )
    return UncertainBid(sighted=make_bid(objeto, number=number), zone=Zone.STANDARD, verdict=verdict)


class TestArbiter:
    async def test_decides_and_remembers(self, make_bid: Any, now: Any) -> None:
        reader = FakeReader(SAY_YES)
        judge = arbiter(reader, now)
        for number in (1, 2):
            verdict = await judge.decide(open_bid(make_bid, number), LENS, by=now + timedelta(seconds=5))
            assert isinstance(verdict, AcceptedBid)
            assert verdict.sighted.bid.id == make_bid("x", number=number).bid.id
        assert reader.asked == 1

    @pytest.mark.parametrize("bad", [Said("{}", 1, 1), Said("claro!", 1, 1), Said(None, 1, 1)])
    async def test_asks_once_more_for_the_right_shape(self, bad: Said, make_bid: Any, now: Any) -> None:
        reader = FakeReader(bad, SAY_YES)
        verdict = await arbiter(reader, now).decide(open_bid(make_bid), LENS, by=now + timedelta(seconds=5))
        assert isinstance(verdict, AcceptedBid)
        stubborn = FakeReader(bad)
        assert await arbiter(stubborn, now).decide(open_bid(make_bid), LENS, by=now + timedelta(seconds=5)) is Why.SHAPE
        assert stubborn.asked == 2

    async def test_never_tries_a_model_again_that_is_away(self, make_bid: Any, now: Any) -> None:
        reader = FakeReader(LlmAway("llm.status_500"))
        judge = arbiter(reader, now)
        assert await judge.decide(open_bid(make_bid), LENS, by=now + timedelta(seconds=5)) is Why.AWAY
        assert reader.asked == 1

    async def test_leaves_a_broken_model_alone(self, make_bid: Any, now: Any) -> None:
        reader = FakeReader(LlmAway("llm.status_500"))
        judge = arbiter(reader, now, failures=2)
        bids = [open_bid(make_bid, n, f"jalecos {n}") for n in range(1, 6)]
        said = [await judge.decide(bid, LENS, by=now + timedelta(seconds=5)) for bid in bids]
        assert said == [Why.AWAY, Why.AWAY, Why.BREAKER, Why.BREAKER, Why.BREAKER]
        assert reader.asked == 2

    async def test_stops_when_the_days_money_is_spent(self, make_bid: Any, now: Any) -> None:
        reader = FakeReader(Said(SAY_YES.content, 3_000, 100))
        judge = arbiter(reader, now, usd="0.0005")
        bids = [open_bid(make_bid, n, f"jalecos {n}") for n in range(1, 6)]
        said = [await judge.decide(bid, LENS, by=now + timedelta(seconds=5)) for bid in bids]
        assert isinstance(said[0], AcceptedBid)
        assert said[-1] is Why.BUDGET
        assert reader.asked < 3

    async def test_puts_what_the_answers_cost_on_the_bill_of_whoever_asked_first(self, make_bid: Any, now: Any) -> None:
        judge, by = arbiter(FakeReader(Said(SAY_YES.content, 1_000, 100)), now), now + timedelta(seconds=5)
        first, second = Bill(), Bill()
        for bill in (first, second):
            await judge.decide(open_bid(make_bid), LENS, by=by, bill=bill)
        assert (first.tokens, first.usd > 0) == (1_100, True)
        assert second == Bill()

    async def test_asks_nobody_after_the_deadline(self, make_bid: Any, now: Any) -> None:
        reader = FakeReader(SAY_YES, hangs=True)
        assert await arbiter(reader, now).decide(open_bid(make_bid), LENS, by=now) is Why.LATE

    async def test_asks_one_question_for_all_who_wait_for_it(self, make_bid: Any, now: Any) -> None:
        reader = FakeReader(SAY_YES)
        judge, by = arbiter(reader, now), now + timedelta(seconds=5)
        said = await asyncio.gather(*(judge.decide(open_bid(make_bid, n), LENS, by=by) for n in range(1, 9)))
        assert all(isinstance(each, AcceptedBid) for each in said)
        assert reader.asked == 1

    async def test_keeps_an_answer_that_comes_after_the_search_for_the_next(self, make_bid: Any, now: Any) -> None:
        reader, kept = SlowReader(SAY_YES), FakeOpinions()
        judge = arbiter(reader, now, kept=kept)
        late = await judge.decide(open_bid(make_bid), LENS, by=now + timedelta(milliseconds=20))
        assert late is Why.LATE
        reader.go.set()
        async with asyncio.timeout(5):
            await kept.told.wait()
        another = arbiter(FakeReader(LlmAway("llm.status_500")), now, kept=kept)
        assert isinstance(await another.decide(open_bid(make_bid), LENS, by=now + timedelta(seconds=5)), AcceptedBid)

    async def test_never_begins_a_question_that_nobody_waits_for(self, make_bid: Any, now: Any) -> None:
        reader = SlowReader(SAY_YES)
        judge = arbiter(reader, now)
        bids = [open_bid(make_bid, n, f"jalecos {n}") for n in range(1, 9)]
        by = now + timedelta(milliseconds=20)
        assert await asyncio.gather(*(judge.decide(bid, LENS, by=by) for bid in bids)) == [Why.LATE] * 8
        reader.go.set()
        await judge.close()
        assert reader.asked == 4  # as many as may be asked at once

    async def test_goes_on_while_what_is_kept_is_away(self, make_bid: Any, now: Any) -> None:
        kept = FakeOpinions(away=True)
        judge = arbiter(FakeReader(SAY_YES), now, kept=kept)
        assert isinstance(await judge.decide(open_bid(make_bid), LENS, by=now + timedelta(seconds=5)), AcceptedBid)

    async def test_ends_a_call_that_hangs(self, make_bid: Any, now: Any) -> None:
        reader = FakeReader(SAY_YES, hangs=True)
        judge = arbiter(reader, now, call=0.01)
        assert await judge.decide(open_bid(make_bid), LENS, by=now + timedelta(seconds=60)) is Why.AWAY


class TestOpinionCache:
    def test_lets_the_least_recently_used_go(self) -> None:
        cache, opinion = OpinionCache(2), Opinion.model_validate(YES)
        cache.put("a", opinion)
        cache.put("b", opinion)
        cache.get("a")
        cache.put("c", opinion)
        assert [cache.get(key) is not None for key in "abc"] == [True, False, True]


class TestArbitrate:
    async def answered(self, command: ArbitrateBids, judge: Arbiter | None, bench: Bench) -> Any:
        delivery = Delivery(
            subject="work.classifier.arbitrate.v1", sequence=1, attempt=1, correlation_id="c", stopping=asyncio.Event()
        )
        (out,) = [out async for out in handlers.arbitrate(command, delivery, bench=bench, arbiter=judge)]
        return ARBITRATED.decode(out.body)

    def command(self, bids: list[UncertainBid], now: Any) -> ArbitrateBids:
        return ArbitrateBids(
            search_id="0" * 32, batch="llm-1", bids=tuple(bids), lens=LENS, deadline=now + timedelta(seconds=5)
        )

    async def test_lets_one_failure_hurt_no_other_bid(self, make_bid: Any, now: Any, bench: Bench) -> None:
        no = Said(json.dumps({**YES, "classe": "irrelevante"}), 1, 1)
        judge = arbiter(FakeReader(SAY_YES, LlmAway("llm.timeout"), no), now)
        bids = [open_bid(make_bid, n, f"jalecos {n}") for n in (1, 2, 3)]
        fact = await self.answered(self.command(bids, now), judge, bench)
        assert [a.sighted.bid.id for a in fact.accepted] == [bids[0].sighted.bid.id]
        assert [r.id for r in fact.rejected] == [bids[2].sighted.bid.id]
        assert isinstance(fact.rejected[0], RejectedBid)

    async def test_lets_items_decide_before_the_model_is_asked(self, make_bid: Any, now: Any, bench: Bench) -> None:
        bids = [open_bid(make_bid, n, f"material {n}") for n in (1, 2)]
        shirts = (Item(numero=1, descricao="Camiseta de malha"),)
        command = self.command(bids, now).model_copy(update={"items": ((bids[0].sighted.bid.id, shirts),)})
        reader = FakeReader(Said(json.dumps({**YES, "classe": "irrelevante"}), 1, 1))
        fact = await self.answered(command, arbiter(reader, now), bench)
        assert [a.verdict.relevance_source for a in fact.accepted] == [RelevanceSource.ITEM_INSPECTION]
        assert [r.id for r in fact.rejected] == [bids[1].sighted.bid.id]
        items_alone = await self.answered(
            command.model_copy(update={"ask_model": False}), arbiter(FakeReader(), now), bench
        )
        assert (len(items_alone.accepted), len(items_alone.rejected)) == (1, 0)

    async def test_gives_back_with_their_items_the_bids_that_nothing_decides(
        self, make_bid: Any, now: Any, bench: Bench
    ) -> None:
        bids = [open_bid(make_bid, n, f"material {n}") for n in (1, 2, 3)]
        half = (Item(numero=1, descricao="Camiseta"), Item(numero=2, descricao="Banana"))
        named = ((bids[0].sighted.bid.id, half), (bids[1].sighted.bid.id, half[1:]), (bids[2].sighted.bid.id, ()))
        command = self.command(bids, now).model_copy(update={"items": named})
        fact = await self.answered(command, None, bench)
        assert [r.id for r in fact.rejected] == [bids[1].sighted.bid.id]
        (left,) = fact.left_open
        assert (left.sighted, left.verdict.trace[-1]) == (bids[0].sighted, "items:1/2")
        yes = arbiter(
            FakeReader(Said(json.dumps({**YES, "evidencias": ["Camiseta"]}), 1, 1), LlmAway("llm.timeout")), now
        )
        decided = await self.answered(command, yes, bench)
        assert [a.sighted.bid.id for a in decided.accepted] == [bids[0].sighted.bid.id]
        assert decided.left_open == ()

    async def test_answers_empty_without_a_model_so_that_nobody_waits(
        self, make_bid: Any, now: Any, bench: Bench
    ) -> None:
        fact = await self.answered(self.command([open_bid(make_bid)], now), None, bench)
        assert (fact.batch, fact.accepted, fact.rejected) == ("llm-1", (), ())
