"""Asks about open bids within every bound: deadline, places at once, a day's money, and a breaker of its own.

Equal questions are asked once, however many wait. A question that was begun is finished even when nobody waits any
more: its opinion goes to the cache only. Opinions and the day's money are shared by all processes; the breaker is each
process's own. While what is shared is away, what this process holds serves.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from time import perf_counter
from typing import Protocol

from classifier.domain.arbitration import (
    MAX_TOKENS,
    Briefs,
    LlmAway,
    Opinion,
    Said,
    cache_key,
    parsed,
    question,
    ruled,
)
from classifier.domain.spending import LlmBreaker, Prices
from classifier.patience import Patience
from classifier.purse import Purse
from contracts.classification import AcceptedBid, RejectedBid, UncertainBid
from contracts.fetch import Item
from contracts.verdict import Lens
from servicekit.clock import Clock
from servicekit.errors import DependencyAway
from servicekit.logs import log
from servicekit.telemetry.measures import LLM_CALLS, LLM_SECONDS, LLM_TOKENS, LLM_USD

_TRIES = 2
"""An answer of another shape is asked for once more."""
_CHARACTERS_A_TOKEN = 2
"""A low guess, so that what is held back covers what a call costs."""


class Reader(Protocol):
    """A language model."""

    model: str

    async def ask(self, messages: Sequence[Mapping[str, str]]) -> Said:
        """One answer; raises LlmAway."""


class Why(StrEnum):
    """Why a bid was left to the rules."""

    LATE = "late"
    BUDGET = "budget"
    BREAKER = "breaker"
    AWAY = "away"
    SHAPE = "shape"
    OPEN = "open"
    """The model itself wants more data, or quotes nothing that is there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may do."""

    at_once: int
    call: timedelta
    held: int


@dataclass(slots=True)
class Bill:
    """What the answers of one order came to; a call that brought none is not put on it."""

    tokens: int = 0
    usd: Decimal = Decimal(0)

    def add(self, said: Said, cost: Decimal) -> None:
        """One answer."""
        self.tokens += said.asked_tokens + said.answered_tokens
        self.usd += cost


class OpinionCache:
    """The opinions given last; the least recently used goes first."""

    def __init__(self, size: int) -> None:
        """Holds up to so many."""
        self._size = size
        self._held: OrderedDict[str, Opinion] = OrderedDict()

    def get(self, key: str) -> Opinion | None:
        """What was said, if it is still held."""
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def put(self, key: str, opinion: Opinion) -> None:
        """Remember it."""
        self._held[key] = opinion
        self._held.move_to_end(key)
        if len(self._held) > self._size:
            self._held.popitem(last=False)


class KeptOpinions(Protocol):
    """Opinions over all processes; raises DependencyAway."""

    async def get(self, key: str) -> Opinion | None:
        """What was said of this question."""

    async def put(self, key: str, opinion: Opinion, *, now: datetime) -> None:
        """Remember it."""


@dataclass
class _Question:
    """One question on its way, for all who wait for it."""

    task: asyncio.Task[Opinion | Why]
    waiting: int = 0
    begun: bool = False


class Decider(Protocol):
    """What open bids are taken to: the arbiter, or in a replay what it said then."""

    async def decide(
        self, uncertain: UncertainBid, lens: Lens, *, by: datetime, items: Sequence[Item] = (), bill: Bill | None = None
    ) -> AcceptedBid | RejectedBid | Why:
        """The verdict on one bid, or why there is none."""
        ...


class Arbiter:
    """One per process."""

    def __init__(
        self, reader: Reader, *, briefs: Briefs, limits: Limits, purse: Purse, prices: Prices,
        breaker: LlmBreaker, clock: Clock, kept: KeptOpinions | None = None,
    ) -> None:  # fmt: skip
        """Nothing is asked yet. Without `kept` opinions live as long as this process."""
        self._reader, self._briefs, self._limits = reader, briefs, limits
        self._purse, self._prices, self._breaker, self._clock = purse, prices, breaker, clock
        self._cache = OpinionCache(limits.held)
        self._kept, self._patience = kept, Patience(clock)
        self._asking: dict[str, _Question] = {}
        self._places = asyncio.Semaphore(limits.at_once)

    async def decide(
        self,
        uncertain: UncertainBid,
        lens: Lens,
        *,
        by: datetime,
        items: Sequence[Item] = (),
        bill: Bill | None = None,
    ) -> AcceptedBid | RejectedBid | Why:
        """The verdict on one bid, or why there is none; never later than `by`, never an exception of the model's."""
        bid = uncertain.sighted.bid
        key = cache_key(bid, lens, model=self._reader.model, items=items)
        opinion: Opinion | Why | None = self._cache.get(key)
        if opinion is None:
            question_of = self._question(key, question(bid, lens, briefs=self._briefs, items=items), bill)
            question_of.waiting += 1
            try:
                async with asyncio.timeout(max(0.0, (by - self._clock()).total_seconds())):
                    opinion = await asyncio.shield(question_of.task)
            except TimeoutError:
                return Why.LATE
            finally:
                question_of.waiting -= 1
                if not question_of.waiting and not question_of.begun:
                    question_of.task.cancel()
        return opinion if isinstance(opinion, Why) else ruled(opinion, uncertain, items=items) or Why.OPEN

    async def close(self) -> None:
        """Let the questions under way go."""
        tasks = [each.task for each in self._asking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _question(self, key: str, messages: list[dict[str, str]], bill: Bill | None) -> _Question:
        under_way = self._asking.get(key)
        if under_way is None or under_way.task.cancelling():
            under_way = _Question(asyncio.create_task(self._answer(key, messages, bill)))
            self._asking[key] = under_way
            under_way.task.add_done_callback(lambda _: self._done(key, under_way))
        return under_way

    def _done(self, key: str, question_of: _Question) -> None:
        if self._asking.get(key) is question_of:
            del self._asking[key]

    async def _answer(self, key: str, messages: list[dict[str, str]], bill: Bill | None) -> Opinion | Why:
        """From memory, from what all processes keep, or from the model; bounded by the calls it may take."""
        async with self._places:
            if (known := await self._known(key)) is not None:
                return known
            self._asking[key].begun = True
            opinion = await self._ask(messages, bill)
            if isinstance(opinion, Opinion):
                self._cache.put(key, opinion)
                await self._keep(key, opinion)
            return opinion

    async def _known(self, key: str) -> Opinion | None:
        opinion = None
        if (kept := self._kept) is not None:
            with contextlib.suppress(DependencyAway):  # told by the database itself
                opinion = await self._patience.ask(lambda: kept.get(key))
        if opinion is not None:
            self._cache.put(key, opinion)
        return opinion

    async def _keep(self, key: str, opinion: Opinion) -> None:
        if (kept := self._kept) is not None:
            with contextlib.suppress(DependencyAway):
                await self._patience.ask(lambda: kept.put(key, opinion, now=self._clock()))

    async def _ask(self, messages: list[dict[str, str]], bill: Bill | None) -> Opinion | Why:
        for _ in range(_TRIES):
            answer = await self._call(messages, bill)
            if isinstance(answer, Why):
                return answer
            if answer.content is None:
                continue
            try:
                return parsed(answer.content)
            except ValueError:
                continue
        return Why.SHAPE

    async def _call(self, messages: list[dict[str, str]], bill: Bill | None) -> Said | Why:
        most = sum(len(message["content"]) for message in messages) // _CHARACTERS_A_TOKEN
        held = self._prices.of(asked=most, answered=MAX_TOKENS)
        if not await self._purse.take(held):
            LLM_CALLS.add(outcome="budget")
            return Why.BUDGET
        spent, outcome, began = held, "cut", perf_counter()
        try:
            if not self._breaker.lets(self._clock()):
                spent, outcome = Decimal(0), "breaker"
                return Why.BREAKER
            async with asyncio.timeout(self._limits.call.total_seconds()):
                said = await self._reader.ask(messages)
            self._breaker.succeeded()
            spent, outcome = self._prices.of(asked=said.asked_tokens, answered=said.answered_tokens), "ok"
            if bill is not None:
                bill.add(said, spent)
            LLM_TOKENS.add(said.asked_tokens, kind="asked")
            LLM_TOKENS.add(said.answered_tokens, kind="answered")
        except (LlmAway, TimeoutError) as exc:
            code = exc.code if isinstance(exc, LlmAway) else "llm.timeout"
            outcome = {"llm.timeout": "timeout", "llm.rate_limited": "rate_limited"}.get(code, "away")
            after = exc.retry_after if isinstance(exc, LlmAway) else None
            if self._breaker.failed(self._clock(), retry_after=after):
                log.warning("llm_breaker_open", reason=code)
            return Why.AWAY
        except asyncio.CancelledError:
            self._breaker.gave_up()
            raise
        else:
            return said
        finally:
            await self._purse.settle(held, spent)
            LLM_CALLS.add(outcome=outcome)
            LLM_USD.add(float(spent))
            if outcome != "breaker":
                LLM_SECONDS.observe(perf_counter() - began, outcome=outcome)
