"""Asks about open bids within every bound: deadline, places at once, a day's money, and a breaker of its own.

Held in this process: opinions (an LRU), money spent and breaker. Another process asks again.
"""

import asyncio
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
from classifier.domain.spending import DailyBudget, LlmBreaker, Prices
from contracts.classification import AcceptedBid, RejectedBid, UncertainBid
from contracts.fetch import Item
from contracts.verdict import Lens
from servicekit.clock import Clock
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


class Arbiter:
    """One per process."""

    def __init__(
        self, reader: Reader, *, briefs: Briefs, limits: Limits, budget: DailyBudget, prices: Prices,
        breaker: LlmBreaker, clock: Clock,
    ) -> None:  # fmt: skip
        """Nothing is asked yet."""
        self._reader, self._briefs, self._limits = reader, briefs, limits
        self._budget, self._prices, self._breaker, self._clock = budget, prices, breaker, clock
        self._cache = OpinionCache(limits.held)
        self._places = asyncio.Semaphore(limits.at_once)

    async def decide(
        self, uncertain: UncertainBid, lens: Lens, *, by: datetime, items: Sequence[Item] = ()
    ) -> AcceptedBid | RejectedBid | Why:
        """The verdict on one bid, or why there is none; never later than `by`, never an exception of the model's."""
        bid = uncertain.sighted.bid
        key = cache_key(bid, lens, model=self._reader.model, items=items)
        opinion = self._cache.get(key)
        if opinion is None:
            try:
                async with asyncio.timeout(max(0.0, (by - self._clock()).total_seconds())):
                    async with self._places:
                        messages = question(bid, lens, briefs=self._briefs, items=items)
                        asked = self._cache.get(key) or await self._ask(messages)
            except TimeoutError:
                return Why.LATE
            if isinstance(asked, Why):
                return asked
            opinion = asked
            self._cache.put(key, opinion)
        return ruled(opinion, uncertain, items=items) or Why.OPEN

    async def _ask(self, messages: list[dict[str, str]]) -> Opinion | Why:
        for _ in range(_TRIES):
            answer = await self._call(messages)
            if isinstance(answer, Why):
                return answer
            if answer.content is None:
                continue
            try:
                return parsed(answer.content)
            except ValueError:
                continue
        return Why.SHAPE

    async def _call(self, messages: list[dict[str, str]]) -> Said | Why:
        most = sum(len(message["content"]) for message in messages) // _CHARACTERS_A_TOKEN
        held = self._prices.of(asked=most, answered=MAX_TOKENS)
        if not self._budget.take(held, now=self._clock()):
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
            self._budget.settle(held, spent)
            LLM_CALLS.add(outcome=outcome)
            LLM_USD.add(float(spent))
            if outcome != "breaker":
                LLM_SECONDS.observe(perf_counter() - began, outcome=outcome)
