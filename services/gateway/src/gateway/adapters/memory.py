"""Stored answers as the gateway finds them: L2 itself, then the memory's word, then the files of what it served."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Protocol, Self

from pydantic import BaseModel

from contracts.answer import Answer
from contracts.answer_codec import AnswerUnreadable, decode_answer
from contracts.answers import AnswerQuery, AnswerTouched
from contracts.fold import SearchState
from contracts.ops import BreakerChanged, CircuitState
from contracts.report import ObjectRef
from contracts.search import Requested
from contracts.state import SearchView
from contracts.stored import Age, Level, StoredAnswer, fits
from contracts.subjects import STORED_ANSWER, TOUCHED, Outgoing, Topic
from contracts.values import SearchId, Source
from gateway.domain.hit import Hit
from servicekit.answer_files import AnswerFiles
from servicekit.clock import Clock
from servicekit.errors import DependencyAway, Unavailable
from servicekit.logs import log
from servicekit.shared.answers import Looked, SharedAnswers

LOOKS_WITHIN: Final = 0.15
"""Seconds for L2: beyond it the memory is asked, which may know better."""
ASKS_WITHIN: Final = timedelta(milliseconds=300)
"""DESIGN 4.1."""
FILE_WITHIN: Final = 0.5
MOST_HELD: Final = 10_000
"""Searches that stored answers have answered here."""
MOST_ERRANDS: Final = 1_000
"""Accesses and files that are still to be told or written; beyond it they are let go."""


class Bus(Protocol):
    """The memory's word, and bells."""

    @property
    def connected(self) -> bool:
        """Whether the bus can be reached now."""

    async def request(self, topic: Topic[Any], query: BaseModel, *, timeout: timedelta) -> Any:  # noqa: ASYNC109 - the bus's own word
        """The reply; raises Unavailable without one."""

    async def ring(self, outgoing: Outgoing) -> None:
        """Tell whoever listens."""


class StoredAnswers:
    """Finds stored answers and keeps a copy of what it has served, for when nothing else is left."""

    def __init__(self, *, shared: SharedAnswers, bus: Bus, files: AnswerFiles, clock: Clock) -> None:
        self._shared = shared
        self._bus = bus
        self._files = files
        self._clock = clock
        self._away: dict[Source, BreakerChanged] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._held: OrderedDict[SearchId, tuple[SearchState, bool]] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for errand in self._errands:
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        self._files.close()

    def heard(self, change: BreakerChanged) -> None:
        """Note which source is away: while one is, no stored answer is made anew (B01)."""
        if change.uf is None:
            if change.after is CircuitState.OPEN:
                self._away[change.source] = change
            else:
                self._away.pop(change.source, None)

    async def look(self, key: str, *, force: bool) -> Hit | None:
        """The stored answer of a key, and whether whoever asks is to make it anew; None without one."""
        hit = await self._find(key, force=force)
        if hit is None:
            self.run(self._touch(AnswerTouched(key=key, outcome="miss", at=self._clock())))
            return None
        age = hit.stored.age(self._clock())
        self.run(
            self._touch(
                AnswerTouched(key=key, outcome="hit" if age is Age.FRESH else "stale", at=self._clock()),
            )
        )
        return hit

    def hold(self, requested: Requested, *, stored: bool) -> SearchView:
        """Know a search that a stored answer has answered, before its request is in the log, and without the bus."""
        state = SearchState(requested.search_id)
        state.apply(1, requested)
        self._held[requested.search_id] = (state, stored)
        self._held.move_to_end(requested.search_id)
        while len(self._held) > MOST_HELD:
            self._held.popitem(last=False)
        return state.view(self._clock())

    def known(self, search_id: SearchId) -> SearchState | None:
        """What is known here of a search that the log does not have, or cannot be asked for."""
        held = self._held.get(search_id)
        return None if held is None or (held[1] and self._bus.connected) else held[0]

    def saved(self, key: str) -> None:
        """A saved search asks for this key: it is kept hot (B02)."""
        self.run(self._touch(AnswerTouched(key=key, outcome="miss", at=self._clock(), saved=True)))

    async def give_up(self, key: str) -> None:
        """The right to make an answer anew is not used after all."""
        await self._shared.end(key)

    async def answer(self, key: str, ref: ObjectRef) -> Answer | None:
        """The rows of a reference that the Object Store does not give: from L2, else from the files of this gateway."""
        for get in (self._shared.get, self._files.get):
            with suppress(DependencyAway, TimeoutError):
                async with asyncio.timeout(FILE_WITHIN):
                    found = await get(key)
                if found is not None and found[1] is not None and found[0].ref.sha256 == ref.sha256:
                    with suppress(AnswerUnreadable):
                        return await asyncio.to_thread(decode_answer, found[1])
        return None

    def serve(self, stored: StoredAnswer, packed: bytes) -> None:
        """Keep a copy of an answer that was served."""
        if fits(stored, packed):
            self.run(self._keep(stored, packed))

    def run(self, errand: Coroutine[Any, Any, None]) -> None:
        """Do it beside the request; one too many is let go."""
        if len(self._errands) >= MOST_ERRANDS:
            errand.close()
            return
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def prune(self) -> None:
        """Let files go that are older than a day."""
        await self._files.prune(now=self._clock())

    async def _find(self, key: str, *, force: bool) -> Hit | None:
        looked = await self._look(key, force=force)
        now = self._clock()
        if looked.stored is not None and looked.stored.age(now) is not Age.EXPIRED:
            return Hit(looked.stored, Level.MEMORY, refresh=looked.verdict == "begin")
        if self._bus.connected:
            ask = AnswerQuery(key=key, force_refresh=force, may_refresh=not self._any_away())
            with suppress(Unavailable):
                reply = await self._bus.request(STORED_ANSWER, ask, timeout=ASKS_WITHIN)
                if reply.stored is None or reply.level is None:
                    return None
                return Hit(reply.stored, reply.level, refresh=reply.refresh)
        return await self._own(key)

    async def _look(self, key: str, *, force: bool) -> Looked:
        """L2, without the right to refresh while a source or the bus is away: nobody could use it."""
        may = self._bus.connected and not self._any_away()
        try:
            async with asyncio.timeout(LOOKS_WITHIN):
                return await self._shared.look(key, force=force, may_refresh=may)
        except TimeoutError:
            return Looked()

    async def _own(self, key: str) -> Hit | None:
        try:
            async with asyncio.timeout(FILE_WITHIN):
                found = await self._files.get(key)
        except (DependencyAway, TimeoutError):
            return None
        if found is None or found[0].age(self._clock()) is Age.EXPIRED:
            return None
        return Hit(found[0], Level.LOCAL, refresh=False)

    def _any_away(self) -> bool:
        now = self._clock()
        return any((each.retry_at or each.at) > now for each in self._away.values())

    async def _touch(self, touched: AnswerTouched) -> None:
        await self._bus.ring(TOUCHED.message(touched))

    async def _keep(self, stored: StoredAnswer, packed: bytes) -> None:
        try:
            await self._files.put(stored, packed)
        except DependencyAway as exc:
            log.debug("served_answer_not_kept", why=exc.code)
