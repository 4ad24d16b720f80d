"""Today's code on yesterday's facts: coordinator and judge as they are now, on a bus of their own.

A recording stands in the place of memory, sources and language model.
"""

import functools
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self
from uuid import uuid4

from classifier.adapters.catalogue_files import load_catalogue
from classifier.arbiter import Bill, Why
from classifier.domain.lens import OwnTermsCache
from classifier.domain.relevance import Judge
from classifier.handlers import Bench, arbitrate, judge
from classifier.settings import ClassifierSettings
from contracts.answer import Answer
from contracts.answer_codec import decode_answer
from contracts.classification import (
    AcceptedBid,
    ArbitrateBids,
    Arbitrated,
    JudgeBids,
    Judged,
    RejectedBid,
    RejectReason,
    SightedBid,
    UncertainBid,
)
from contracts.fetch import FetchItems, Item, ItemsFetched
from contracts.fold import SearchState
from contracts.memory import Gather
from contracts.search import Completed, Requested
from contracts.subjects import (
    CACHE_GATHER,
    CANCELLED,
    CLASSIFIER_ARBITRATE,
    CLASSIFIER_JUDGE,
    COORDINATOR_REQUESTED,
    FETCHER_ITEMS,
    GATHERED,
    ITEMS_FETCHED,
    JUDGE,
    JUDGED,
    REQUESTED,
    Outgoing,
    fact_topic,
)
from contracts.values import BidId
from contracts.verdict import Lens, RelevanceSource
from coordinator.adapters.log import FollowedSearch, hold
from coordinator.domain.plan import Budgets
from coordinator.handlers import run_search
from farol.recording import Recording, RecordingUnreadable
from servicekit.bus import Bus, Delivery
from servicekit.chain import TimeoutChain
from servicekit.clock import utc_now
from servicekit.embedded_nats import NatsServer
from servicekit.feed import SearchFeed
from servicekit.provision import provision
from servicekit.service import Service

WHOLE: Final = timedelta(seconds=360)
CUT: Final = timedelta(seconds=20)
"""The deadline of a search that was cut by its own: what it lacked then will not come now."""
KEPT: Final = "kept"
"""The batch of the bids whose content is not recorded: they stay rejected as they were ..."""
KEPT_A_PART: Final = 500
"""... and so many of them in one message."""


@dataclass(frozen=True)
class Outcome:
    """What became of a search in the sandbox."""

    answer: Answer | Completed
    """The terminal fact where it ended without an answer."""
    kept: int
    """Rejected bids that could not be judged again."""


@dataclass(frozen=True)
class _Replayed:
    """One recording under its new id."""

    recording: Recording
    requested: Requested
    """As it was asked."""
    state: SearchState
    """What its coordinator knew when it made the answer."""

    @functools.cached_property
    def batches(self) -> dict[str, list[Judged]]:
        """Every part of every batch that counted."""
        found: dict[str, list[Judged]] = {}
        upto = self.state.last_sequence
        for stored, fact in self.recording.decoded():
            if isinstance(fact, Judged) and stored.sequence <= upto:
                found.setdefault(fact.batch, []).append(fact)
        return found

    @functools.cached_property
    def said(self) -> dict[BidId, AcceptedBid | RejectedBid]:
        """What the model said then."""
        upto = self.state.last_sequence
        facts = [f for s, f in self.recording.decoded() if isinstance(f, Arbitrated) and s.sequence <= upto]
        accepted = {
            each.sighted.bid.id: each
            for fact in facts
            for each in fact.accepted
            if each.verdict.relevance_source is not RelevanceSource.ITEM_INSPECTION
        }
        rejected = {e.id: e for fact in facts for e in fact.rejected if e.reason is not RejectReason.ITEMS}
        return rejected | accepted

    @functools.cached_property
    def left_out(self) -> tuple[RejectedBid, ...]:
        """What was rejected and is not recorded with the content that was judged."""
        return tuple(
            each
            for parts in self.batches.values()
            for fact in parts
            for each in fact.rejected
            if self._content(each) is None
        )

    def bids(self, batch: str) -> tuple[SightedBid, ...]:
        """The bids of one batch as they were judged."""
        again: list[SightedBid] = []
        for fact in self.batches[batch]:
            again += [each.sighted for each in fact.accepted] + [each.sighted for each in fact.uncertain]
            again += [content for each in fact.rejected if (content := self._content(each)) is not None]
        return tuple(again)

    def _content(self, rejected: RejectedBid) -> SightedBid | None:
        held = self.recording.rejected.get(rejected.id)
        return held if held is not None and held.seen_at == rejected.seen_at else None


class Sandbox:
    """Runs recordings; nothing of it is left behind and nothing outside is touched."""

    def __init__(self, *, catalogue: Path | None = None) -> None:
        judged_by = Judge(load_catalogue(catalogue))
        settings = ClassifierSettings()
        own_terms = OwnTermsCache(judged_by.grammarian, size=settings.own_terms_held)
        self._bench = Bench(judge=judged_by, own_terms=own_terms, viability_enabled=settings.viability_enabled)
        self._replayed: dict[str, _Replayed] = {}
        self._stack = AsyncExitStack()
        self._bus: Bus
        self._feed: SearchFeed

    async def __aenter__(self) -> Self:
        """An empty bus in a directory of its own, with the coordinator and the judge on it."""
        async with AsyncExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="farol-sandbox-"))
            server = await stack.enter_async_context(NatsServer(Path(directory)))
            await provision(server.url)
            self._bus = Bus(url=server.url, service="sandbox")
            self._feed = SearchFeed(self._bus)
            self._bus.handle(COORDINATOR_REQUESTED, self._coordinate)
            self._bus.handle(CACHE_GATHER, self._gather)
            self._bus.handle(CLASSIFIER_JUDGE, functools.partial(judge, bench=self._bench))
            self._bus.handle(CLASSIFIER_ARBITRATE, self._arbitrate)
            for consumer in FETCHER_ITEMS.values():
                self._bus.handle(consumer, self._items)
            service = Service(name="sandbox", bus=self._bus, parts=(self._feed,))
            stack.push_async_callback(service.stop)
            await service.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    async def run(self, recording: Recording) -> Outcome:
        """One search again, under a new id; raises RecordingUnreadable for one that cannot be repeated."""
        if recording.completed is None:
            raise RecordingUnreadable("a busca ainda não terminou")
        replayed = _Replayed(recording, recording.requested, recording.before_completed())
        if replayed.state.cancelled is not None and replayed.state.everything_judged:
            raise RecordingUnreadable("a busca foi cancelada quando já estava completa: o cancelamento não se repete")
        search_id = uuid4().hex
        self._replayed[search_id] = replayed
        try:
            completed = await self._follow(search_id, replayed)
        finally:
            del self._replayed[search_id]
        answer: Answer | Completed = completed
        if completed.answer_ref is not None:
            answer = decode_answer(await self._bus.get_object(completed.answer_ref))
        return Outcome(answer, kept=len(replayed.left_out))

    async def _follow(self, search_id: str, replayed: _Replayed) -> Completed:
        now, then = utc_now(), replayed.state
        within = WHOLE if then.everything_judged or then.cancelled else CUT
        asked = {"search_id": search_id, "created_at": now, "deadline": now + within, "stored_ref": None}
        again = replayed.requested.model_copy(update=asked)
        await self._bus.publish(REQUESTED.message(again, search_id=search_id))
        state = SearchState(search_id)
        told = then.cancelled is None
        async with self._feed.join(search_id) as facts:
            async for stored in facts:
                topic = fact_topic(stored.subject)
                if topic is None:
                    continue
                state.apply(stored.sequence, topic.decode(stored.body))
                if not told and _as_far(state, then):
                    told = True
                    wish = then.cancelled.model_copy(update={"search_id": search_id})  # type: ignore[union-attr]  # `told`
                    await self._bus.publish(CANCELLED.message(wish, search_id=search_id))
                if state.completed is not None:
                    return state.completed
        raise RecordingUnreadable("a busca não terminou de novo")

    async def _coordinate(self, requested: Requested, delivery: Delivery) -> AsyncIterator[Outgoing]:
        planned = self._replayed[requested.search_id].state.planned
        chain = TimeoutChain.load()
        budgets = Budgets(per_source=chain.per_source, consolidation=chain.consolidation)
        if planned is not None:
            budgets = replace(budgets, items=planned.items_budget, arbitrations=planned.arbitrations_budget)
        async for outgoing in run_search(
            requested, delivery, hold=self._hold, budgets=budgets, clock=utc_now
        ):  # fmt: skip
            yield outgoing

    def _hold(self, search_id: str) -> AbstractAsyncContextManager[FollowedSearch]:
        return hold(self._bus, self._feed, search_id, owner="sandbox", clock=utc_now)

    async def _gather(self, command: Gather, _delivery: Delivery) -> AsyncIterator[Outgoing]:
        """As the memory does: the bids to the judge, then per place what was looked at; both as recorded."""
        replayed, search_id = self._replayed[command.search_id], command.search_id
        lens = command.lens
        if lens.open_at is not None:
            lens = lens.model_copy(update={"open_at": replayed.requested.created_at})
        emitted: set[str] = set()
        for batch, parts in replayed.batches.items():
            if parts[0].source is command.source and (bids := replayed.bids(batch)):
                emitted.add(batch)
                order = JudgeBids(
                    search_id=search_id, batch=batch, source=command.source, uf=parts[0].uf, bids=bids, lens=lens,
                    deadline=replayed.requested.deadline,
                )  # fmt: skip
                yield JUDGE.message(order, dedup=f"{search_id}:{batch}:1")
        for kept in _kept(replayed, command):
            yield JUDGED.message(kept, search_id=search_id, batch=kept.batch, part=kept.part)
        for (source, uf), fact in replayed.state.gathered.items():
            if source is command.source:
                # A batch of which nothing is left to judge is judged: all of it stays rejected.
                batches = tuple(b for b in fact.batches if b in emitted or b not in replayed.batches)
                again = fact.model_copy(update={"search_id": search_id, "batches": batches})
                yield GATHERED.message(again, search_id=search_id, source=source, uf=uf)

    async def _arbitrate(self, command: ArbitrateBids, delivery: Delivery) -> AsyncIterator[Outgoing]:
        """Items are looked at anew; of the model only what it said then is known."""
        then = _SaidThen(self._replayed[command.search_id].said)
        async for outgoing in arbitrate(command, delivery, bench=self._bench, arbiter=then):
            yield outgoing

    async def _items(self, command: FetchItems, _delivery: Delivery) -> AsyncIterator[Outgoing]:
        """The lists that came then; whatever was not asked then does not come now."""
        fetched = self._replayed[command.search_id].state.items
        for bid_id in command.bid_ids:
            then = fetched.get(bid_id) or ItemsFetched(
                search_id=command.search_id, bid_id=bid_id, items=None, why="not_recorded"
            )
            fact = then.model_copy(update={"search_id": command.search_id})
            yield ITEMS_FETCHED.message(fact, search_id=fact.search_id, bid_id=bid_id)


@dataclass(frozen=True)
class _SaidThen:
    """The model of a replay: its verdicts of then."""

    verdicts: Mapping[BidId, AcceptedBid | RejectedBid]

    async def decide(
        self,
        uncertain: UncertainBid,
        _lens: Lens,
        *,
        by: datetime,  # noqa: ARG002 - the deadline of then has passed
        items: Sequence[Item] = (),  # noqa: ARG002 - they were before the model then
        bill: Bill | None = None,  # noqa: ARG002 - paid then
    ) -> AcceptedBid | RejectedBid | Why:
        return self.verdicts.get(uncertain.sighted.bid.id, Why.OPEN)


def _kept(replayed: _Replayed, command: Gather) -> list[Judged]:
    """What stays rejected because its content is not recorded, as verdicts of their own."""
    ids = {each.id for each in replayed.left_out}
    facts = [fact for parts in replayed.batches.values() for fact in parts if fact.source is command.source]
    rejected = [each for fact in facts for each in fact.rejected if each.id in ids]
    groups = [tuple(rejected[at : at + KEPT_A_PART]) for at in range(0, len(rejected), KEPT_A_PART)]
    return [
        Judged(
            search_id=command.search_id, batch=f"{command.source}-{KEPT}", part=part, parts=len(groups),
            source=command.source, uf=facts[0].uf, rejected=group, catalogue_version=facts[0].catalogue_version,
        )
        for part, group in enumerate(groups, start=1)
    ]  # fmt: skip


def _as_far(state: SearchState, then: SearchState) -> bool:
    """Whether everything is in that was in when the search was cancelled."""
    return state.gathered.keys() >= then.gathered.keys() and len(state.standings()) >= len(then.standings())
