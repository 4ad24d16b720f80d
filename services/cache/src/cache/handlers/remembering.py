"""Finished answers: keeping them at every level, finding them, and having them made anew."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import uuid4

from cache.domain.ledger import EVERY_MODALIDADE, SliceRecord
from cache.domain.priority import YOUNG_DAYS, due_at
from contracts.answer import Answer
from contracts.answer_codec import AnswerUnreadable, decode_answer
from contracts.answers import AnswerQuery, AnswerReply, Attempted, KeepAtLevel
from contracts.memory import Remember
from contracts.ops import BreakerChanged
from contracts.places import UF
from contracts.query import Scope, SearchQuery
from contracts.report import ObjectRef
from contracts.search import Requested
from contracts.state import Status
from contracts.stored import Age, Level, StoredAnswer
from contracts.subjects import KEEP_AT_LEVEL, REQUESTED, Outgoing
from contracts.values import Modalidade, Priority, Source
from servicekit.bus import Delivery
from servicekit.cascade import Cascade, Entry, Found
from servicekit.clock import Clock
from servicekit.correlation import new_correlation_id
from servicekit.errors import DependencyAway, Rejected
from servicekit.logs import log
from servicekit.shared.answers import Verdict

SYSTEM_TENANT: Final = "farol"
"""Whose searches are that nobody asked for."""


class Answers(Protocol):
    """What decides of stored answers; each raises DependencyAway."""

    async def succeeded(self, key: str, query: SearchQuery, *, at: datetime, took: timedelta) -> None:
        """An answer of this key was made."""

    async def failed(self, key: str, *, at: datetime) -> datetime | None:
        """It could not be made; until when nobody tries again."""

    async def rests(self, key: str, *, now: datetime) -> bool:
        """Whether nobody is to try now."""

    async def spoiled(self, change: BreakerChanged) -> list[str]:
        """Make due what lacked a source that is back."""

    async def wanting(self, *, now: datetime, most: int) -> list[tuple[str, SearchQuery]]:
        """Hot answers that are to be made anew."""


class Budget(Protocol):
    """B01's budget, over all processes."""

    async def begin(self, key: str) -> Verdict:
        """The right to make an answer anew."""

    async def end(self, key: str) -> None:
        """It is made, or could not be."""

    async def mark(self, key: str, *, due_at: datetime | None = None, rests_until: datetime | None = None) -> None:
        """Tell L2 when an entry is due, or until when it rests."""


class Ledger(Protocol):
    """What was looked at."""

    async def ledger(
        self,
        source: Source,
        *,
        ufs: Collection[UF],
        modalidades: Collection[Modalidade],
        first: date,
        last: date,
    ) -> list[SliceRecord]:
        """What the ledger holds of these slices; raises DependencyAway."""


class Objects(Protocol):
    """The Object Store, and the streams."""

    async def get_object(self, ref: ObjectRef) -> bytes:
        """The content of a reference; Rejected when it is gone."""

    async def publish(self, outgoing: Outgoing) -> Any:
        """Store a message."""


class Circuits(Protocol):
    """Which sources are away."""

    def heard(self, change: BreakerChanged) -> bool:
        """Note a change; True when a source is back."""

    def any_open(self, now: datetime) -> bool:
        """Whether one is away."""


class Memory:
    """The memory of answers: what the handlers of this module share."""

    def __init__(
        self,
        *,
        cascade: Cascade,
        answers: Answers,
        budget: Budget,
        ledger: Ledger,
        bus: Objects,
        circuits: Circuits,
        now: Clock,
        lasts: timedelta = timedelta(seconds=180),
    ) -> None:
        self._cascade = cascade
        self._answers = answers
        self._budget = budget
        self._ledger = ledger
        self._bus = bus
        self._circuits = circuits
        self._now = now
        self._lasts = lasts

    async def remember(self, command: Remember, _delivery: Delivery) -> AsyncIterator[Outgoing]:
        """Keep a finished answer at every level; a level that is away gets it from the bus when it is back."""
        rows = await self._bus.get_object(command.answer_ref)
        answer = await asyncio.to_thread(_decoded, rows)
        stored = StoredAnswer.of(answer, key=command.key, ref=command.answer_ref, due_at=await self._due(answer))
        missed = await self._cascade.keep(Entry(stored, rows))
        for level in missed:
            later = KeepAtLevel(level=level, stored=stored)
            yield KEEP_AT_LEVEL.message(later, dedup=f"{command.key}:{command.search_id}", level=level)
        await self._note_success(command.key, answer)
        await self._budget.end(command.key)

    async def keep_at_level(self, command: KeepAtLevel, _delivery: Delivery) -> AsyncIterator[Outgoing]:
        """Replay a write that a level has missed; while it is away this subscription alone is paused."""
        stored = command.stored
        if stored.age(self._now()) is not Age.EXPIRED:
            rows = await self._bus.get_object(stored.ref)
            await self._cascade.keep_at(command.level, Entry(stored, rows))
            if command.level is Level.DATABASE:
                await self._note_success(stored.key, await asyncio.to_thread(_decoded, rows))
        return
        yield  # an effect alone: a handler is a generator even when nothing follows

    async def attempted(self, command: Attempted, _delivery: Delivery) -> AsyncIterator[Outgoing]:
        """A search has ended without anything better to keep: its key rests, longer each time (B03)."""
        if command.status is not Status.CANCELLED:
            until = await self._answers.failed(command.key, at=command.at)
            await self._budget.mark(command.key, rests_until=until)
        await self._budget.end(command.key)
        return
        yield  # as above

    async def tell(self, query: AnswerQuery) -> AnswerReply:
        """The best stored answer of a key, and whether whoever asks is to make it anew."""
        found = await self._cascade.find(query.key)
        if found is None:
            return AnswerReply(answer_ref=None)
        verdict = await self._verdict(found, query) if query.may_refresh else "no"
        if found.level is not Level.MEMORY:
            await self._cascade.refill(found)
        stored = found.entry.stored
        return AnswerReply(
            answer_ref=stored.ref,
            created_at=stored.finished_at,
            refresh=verdict == "begin",
            joined=verdict == "joined",
            stored=stored,
            level=found.level,
        )

    async def heard(self, change: BreakerChanged) -> None:
        """A source that is back makes due what its absence has spoiled."""
        if self._circuits.heard(change):
            keys = await self._answers.spoiled(change)
            for key in keys:
                await self._budget.mark(key, due_at=change.at)
            if keys:
                log.info("answers_due", source=str(change.source), count=len(keys))

    async def refresh_hot(self) -> int:
        """Make hot answers anew before anyone has to wait for it (B02), within the budget; how many were begun."""
        now = self._now()
        if self._circuits.any_open(now):
            return 0
        begun = 0
        for key, query in await self._answers.wanting(now=now, most=20):
            if await self._budget.begin(key) == "begin":
                await self._bus.publish(self._search(query, now))
                begun += 1
        return begun

    async def _verdict(self, found: Found, query: AnswerQuery) -> Verdict:
        now, stored = self._now(), found.entry.stored
        if not (query.force_refresh or now >= stored.due_at) or self._circuits.any_open(now):
            return "no"
        try:
            if await self._answers.rests(query.key, now=now):
                return "no"
        except DependencyAway:
            pass  # without the table nobody knows better: the budget alone decides
        return await self._budget.begin(query.key)

    async def _note_success(self, key: str, answer: Answer) -> None:
        took = answer.finished_at - answer.created_at
        try:
            await self._answers.succeeded(key, answer.query, at=answer.finished_at, took=took)
        except DependencyAway as exc:
            log.debug("success_not_noted", key=key, why=exc.code)  # the replay of the write notes it

    async def _due(self, answer: Answer) -> datetime:
        return due_at(
            answer.query,
            complete=answer.coverage.coverage_pct == 100,  # noqa: PLR2004 - a percentage
            finished_at=answer.finished_at,
            oldest=answer.coverage.oldest_fetched_at,
            young=await self._young(answer.query),
        )

    async def _young(self, query: SearchQuery) -> list[SliceRecord]:
        """What the ledger says of the last days of a window; nothing while SQL is away."""
        if query.scope is Scope.OPEN:
            return []
        first = max(query.date_from, query.date_to - timedelta(days=YOUNG_DAYS - 1))
        try:
            return [
                record
                for source in query.sources
                for record in await self._ledger.ledger(
                    source,
                    ufs=(UF.XX,) if source.national else query.ufs,
                    modalidades=EVERY_MODALIDADE[:1] if source.national else query.modalidades,
                    first=first,
                    last=query.date_to,
                )
            ]
        except DependencyAway:
            return []

    def _search(self, query: SearchQuery, now: datetime) -> Outgoing:
        requested = Requested(
            search_id=uuid4().hex,
            tenant=SYSTEM_TENANT,
            query=query,
            created_at=now,
            deadline=now + self._lasts,
            priority=Priority.REFRESH,
            correlation_id=new_correlation_id(),
        )
        return REQUESTED.message(requested, search_id=requested.search_id)


def _decoded(rows: bytes) -> Answer:
    try:
        return decode_answer(rows)
    except AnswerUnreadable as exc:
        raise Rejected("answer.unreadable", str(exc)) from exc
