"""Items on demand, on virtual time, from a source that does as it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from contracts.fetch import DetailsQuery, Document, FetchItems, Item, ItemsFetched
from contracts.values import Source
from fetcher.asking import Asker
from fetcher.details import KEPT_FOR, NOT_PUBLIC, Details
from fetcher.domain.attempts import AttemptFailed
from fetcher.domain.leafing import Leaf
from fetcher.domain.retries import RetryBudget
from fetcher.guard import Guard
from fetcher.handlers import describe, inspect
from fetcher.lane import Lane
from servicekit.bus import Delivery
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Change, Policy, State
from servicekit.shared.rate import SourceRate

BID = "00059311000126-1-000004/2026"
SEARCH = "0" * 32
WITHIN = timedelta(seconds=5)
DELIVERY = Delivery(
    subject="work.fetcher.items.v1.pncp", sequence=1, attempt=1, correlation_id="c", stopping=asyncio.Event()
)


def bids(count: int) -> tuple[str, ...]:
    return tuple(f"00059311000126-1-{number:06}/2026" for number in range(1, count + 1))


class FakeItems:
    """`count` items a bid, a second a page; `behave` may fail or dawdle first."""

    def __init__(self, count: int = 3) -> None:
        self.count = count
        self.asked: list[tuple[float, str, int, int]] = []
        self.behave: Callable[[str, int, int], Awaitable[None]] | None = None
        self.text = "Camiseta"

    async def __call__(self, bid_id: str, *, page: int, size: int, within: timedelta) -> Leaf[Item]:
        self.asked.append((asyncio.get_running_loop().time(), bid_id, page, size))
        try:
            async with asyncio.timeout(within.total_seconds()):
                if self.behave is not None:
                    await self.behave(bid_id, page, size)
                await asyncio.sleep(1)
        except TimeoutError:
            raise AttemptFailed("timeout.http", again=True) from None
        rows = range(self.count)[(page - 1) * size : page * size]
        return Leaf(tuple((row, Item(numero=row, descricao=self.text)) for row in rows))


async def no_documents(bid_id: str, *, page: int, size: int, within: timedelta) -> Leaf[Document]:
    return Leaf(())


class Counter:
    """One source's details, and the changes of its circuits."""

    def __init__(self, virtual: Any, source: FakeItems, *, rate: float = 100, documents: bool = True) -> None:
        self.changes: list[Change] = []
        policy = Policy()
        breaker = Breaker("pncp", policy=policy, part_policy=Policy(least_calls=10), tell=self.changes.append)
        self.asker = Asker(
            lane=Lane(SourceRate("pncp", rate)),
            guard=Guard(breaker),
            chance=lambda: 0.5,
            retries=RetryBudget(share=0.1, reserve=10),
        )
        self.details = Details(
            items=source,
            documents=no_documents if documents else None,
            asker=self.asker,
            within=WITHIN,
            now=virtual.now,
        )
        self._now = virtual.now

    async def items(self, bid_id: str = BID, *, seconds: float = 60) -> Any:
        until = self._now() + timedelta(seconds=seconds)
        return await self.details.items(bid_id, tenant="t", search=SEARCH, until=until)

    async def inspected(self, *bid_ids: str, seconds: float = 60) -> list[ItemsFetched]:
        command = FetchItems(
            search_id=SEARCH, source=Source.PNCP, bid_ids=bid_ids, deadline=self._now() + timedelta(seconds=seconds)
        )
        return [out.value async for out in inspect(command, DELIVERY, details=self.details)]


class TestItems:
    def test_come_whole(self, virtual: Any) -> None:
        source = FakeItems(count=1100)
        source.text = "x"
        lines = virtual.run(Counter(virtual, source).items())
        assert [item.numero for item in lines.rows] == list(range(1100))
        assert (lines.why, lines.cut) == (None, False)
        assert [page for _, _, page, _ in source.asked] == [1, 2, 3]

    def test_are_asked_for_once_by_all_who_want_them_together(self, virtual: Any) -> None:
        source = FakeItems()
        counter = Counter(virtual, source)

        async def many() -> list[Any]:
            return await asyncio.gather(*(counter.items() for _ in range(100)))

        assert len({lines.rows for lines in virtual.run(many())}) == 1
        assert len(source.asked) == 1

    def test_are_kept_for_some_minutes(self, virtual: Any) -> None:
        source = FakeItems()
        counter = Counter(virtual, source)

        async def again() -> None:
            await counter.items()
            await asyncio.sleep(KEPT_FOR.total_seconds() - 5)
            await counter.items()
            assert len(source.asked) == 1
            await asyncio.sleep(10)
            await counter.items()

        virtual.run(again())
        assert len(source.asked) == 2

    def test_are_not_kept_when_they_did_not_come(self, virtual: Any) -> None:
        source = FakeItems()
        counter = Counter(virtual, source)

        async def refuses(*_: object) -> None:
            raise AttemptFailed("http.401", again=False)

        async def again() -> tuple[Any, Any]:
            source.behave = refuses
            first = await counter.items()
            source.behave = None
            return first, await counter.items()

        first, second = virtual.run(again())
        assert (first.rows, first.why) == (None, "http.401")
        assert second.rows is not None

    def test_cost_no_more_than_five_seconds_and_keep_what_came(self, virtual: Any) -> None:
        source = FakeItems(count=300)

        async def cuts_pages(_: str, __: int, size: int) -> None:
            if size > 50:
                raise AttemptFailed("http.400", again=False)

        source.behave = cuts_pages
        lines = virtual.run(Counter(virtual, source).items())
        assert [item.numero for item in lines.rows] == list(range(4 * 50))
        assert (lines.why, lines.cut) == ("timeout.items", True)

    def test_are_none_when_nothing_came_in_time(self, virtual: Any) -> None:
        source = FakeItems()

        async def hangs(*_: object) -> None:
            await asyncio.sleep(100)

        source.behave = hangs
        counter = Counter(virtual, source)
        lines = virtual.run(counter.items())
        assert (lines.rows, lines.cut) == (None, False)
        assert lines.why.startswith("timeout.")

    def test_are_asked_for_in_smaller_pages_where_large_ones_are_refused(self, virtual: Any) -> None:
        source = FakeItems(count=60)

        async def bad_size(_: str, __: int, size: int) -> None:
            if size > 50:
                raise AttemptFailed("http.400", again=False)

        source.behave = bad_size
        lines = virtual.run(Counter(virtual, source).items())
        assert len(lines.rows) == 60
        assert [(page, size) for _, _, page, size in source.asked] == [(1, 500), (1, 50), (2, 50)]

    def test_are_as_many_as_one_message_holds(self, virtual: Any) -> None:
        source = FakeItems(count=400)
        source.text = "x" * 2000
        counter = Counter(virtual, source)
        [fact] = virtual.run(counter.inspected(BID))
        assert fact.cut
        assert 50 < len(fact.items) < 400
        assert len(fact.to_json()) < 200 * 1024
        assert len(source.asked) == 1

    def test_leave_nothing_under_way_for_nobody(self, virtual: Any) -> None:
        source = FakeItems(count=5000)
        source.text = "x"
        counter = Counter(virtual, source)

        async def impatient() -> Any:
            lines = await counter.items(seconds=1.5)
            await asyncio.sleep(10)
            return lines

        assert virtual.run(impatient()).why == "timeout.claim"
        assert len(source.asked) == 2

    def test_are_asked_for_again_by_who_comes_after_one_who_left(self, virtual: Any) -> None:
        source = FakeItems()
        counter = Counter(virtual, source)

        async def one_after_the_other() -> Any:
            await counter.items(seconds=0.5)
            return await counter.items()

        assert virtual.run(one_after_the_other()).rows is not None

    def test_have_a_circuit_of_their_own(self, virtual: Any) -> None:
        source = FakeItems()

        async def broken(*_: object) -> None:
            raise AttemptFailed("http.500", again=False)

        source.behave = broken
        counter = Counter(virtual, source)

        async def many() -> None:
            for bid_id in bids(30):
                await counter.items(bid_id)

        virtual.run(many())
        assert [(change.circuit, change.after) for change in counter.changes] == [("pncp.itens", State.OPEN)]
        assert len(source.asked) == 10


class TestInspect:
    def test_answers_each_bid_with_one_fact(self, virtual: Any) -> None:
        source = FakeItems()

        async def some_fail(bid_id: str, *_: object) -> None:
            if bid_id == bids(3)[1]:
                raise AttemptFailed("http.400.x", again=False)

        source.behave = some_fail
        facts = virtual.run(Counter(virtual, source).inspected(*bids(3), bids(3)[0]))
        assert {fact.bid_id: fact.items is None for fact in facts} == dict(
            zip(bids(3), (False, True, False), strict=True)
        )
        assert {fact.search_id for fact in facts} == {SEARCH}

    def test_names_each_fact_by_its_bid(self, virtual: Any) -> None:
        counter = Counter(virtual, FakeItems())

        async def subjects() -> list[str]:
            command = FetchItems(
                search_id=SEARCH,
                source=Source.PNCP,
                bid_ids=bids(2),
                deadline=virtual.now() + timedelta(seconds=60),
            )
            return [out.subject async for out in inspect(command, DELIVERY, details=counter.details)]

        assert sorted(virtual.run(subjects())) == [f"search.v1.{SEARCH}.items_fetched.{bid_id}" for bid_id in bids(2)]

    def test_asks_for_all_at_once_within_the_rate(self, virtual: Any) -> None:
        source = FakeItems()
        facts = virtual.run(Counter(virtual, source, rate=10).inspected(*bids(20)))
        assert all(fact.items for fact in facts)
        moments = [at for at, *_ in source.asked]
        assert 1.8 < moments[-1] - moments[0] < 2.2

    def test_makes_no_request_after_the_deadline(self, virtual: Any) -> None:
        source = FakeItems()
        facts = virtual.run(Counter(virtual, source).inspected(*bids(3), seconds=-1))
        assert [fact.why for fact in facts] == ["timeout.claim"] * 3
        assert source.asked == []


class TestDescribe:
    @pytest.mark.parametrize(("public", "why"), [(True, None), (False, NOT_PUBLIC)])
    def test_brings_items_and_documents_side_by_side(self, virtual: Any, public: bool, why: str | None) -> None:
        counter = Counter(virtual, FakeItems(), documents=public)

        async def ask() -> Any:
            return await describe(DetailsQuery(bid_id=BID), sources={Source.PNCP: counter.details}, now=virtual.now)

        reply = virtual.run(ask())
        assert [item.numero for item in reply.items] == [0, 1, 2]
        assert (reply.documents, reply.documents_why) == (() if public else None, why)

    def test_asks_the_source_that_the_id_belongs_to(self, virtual: Any) -> None:
        mine, other = FakeItems(), FakeItems()
        sources = {
            Source.PCP: Counter(virtual, mine).details,
            Source.PNCP: Counter(virtual, other).details,
        }

        async def ask() -> Any:
            return await describe(DetailsQuery(bid_id="PCP-448"), sources=sources, now=virtual.now)

        assert virtual.run(ask()).items is not None
        assert (len(mine.asked), len(other.asked)) == (1, 0)

    def test_answers_in_time_what_it_has(self, virtual: Any) -> None:
        source = FakeItems()

        async def hangs(*_: object) -> None:
            await asyncio.sleep(100)

        source.behave = hangs
        counter = Counter(virtual, source)

        async def ask() -> tuple[Any, float]:
            reply = await describe(DetailsQuery(bid_id=BID), sources={Source.PNCP: counter.details}, now=virtual.now)
            return reply, asyncio.get_running_loop().time()

        reply, took = virtual.run(ask())
        assert took <= 5.0
        assert (reply.items, reply.documents) == (None, ())
