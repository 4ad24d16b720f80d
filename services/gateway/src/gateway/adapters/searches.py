"""What is known of searches: live folds of those that are watched, direct reads of the log for the others."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self, TypeVar

from contracts.answer import Answer
from contracts.answer_codec import decode_answer
from contracts.fold import SearchState
from contracts.ranking import ranked
from contracts.report import ObjectRef, SpreadsheetReady, SummaryReady
from contracts.search import Completed
from contracts.state import JobStatus, SearchView
from contracts.subjects import COMPLETED, PROGRESS_STATE, REQUESTED, SPREADSHEET_READY, SUMMARY_READY, Topic
from contracts.values import SearchId
from gateway.adapters.stream import StreamRules, stream
from gateway.adapters.watch import FRAME_BYTES, Watch
from gateway.domain.events import Frame, position_of
from gateway.domain.results import Rows
from gateway.domain.standing import BidStanding, standing_in_answer, standing_in_search
from servicekit.bus import Bus
from servicekit.errors import Unavailable
from servicekit.feed import SearchFeed

READ_WITHIN: Final = timedelta(seconds=5)
"""No read of the log or the Object Store is waited for longer."""
MAX_ANSWERS: Final = 16
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Of all unpacked answers kept, by their packed size."""
ASKED_HERE: Final = 10_000
"""Ids remembered as asked through this process: a lagging replica must not answer 404 to whoever has just got a 202."""
UNUSED_FOR: Final = timedelta(seconds=5)
"""A watch that was asked for less long ago may have a stream that is about to begin."""
_TOO_MANY: Final = 4
_INLINE_BYTES: Final = 64 * 1024

T = TypeVar("T")


class Searches:
    """Reads of searches; it owns the watches and the answers it keeps."""

    def __init__(
        self,
        *,
        bus: Bus,
        feed: SearchFeed,
        clock: Callable[[], datetime],
        capacity: int,
        rules: StreamRules,
        frame_bytes: int = FRAME_BYTES,
    ) -> None:
        self._bus = bus
        self._feed = feed
        self._clock = clock
        self._capacity = capacity
        self._rules = rules
        self._frame_bytes = frame_bytes
        self._watches: OrderedDict[SearchId, Watch] = OrderedDict()
        self._answers: OrderedDict[str, tuple[int, Answer]] = OrderedDict()
        self._asked: OrderedDict[SearchId, None] = OrderedDict()
        self._owners: OrderedDict[SearchId, str] = OrderedDict()
        self._stopping = False
        self.streams = 0
        """Event streams open now."""

    async def __aenter__(self) -> Self:
        """Nothing to open: watches begin when someone asks."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Follow nothing any longer."""
        self.end_streams()
        await asyncio.gather(*(watch.stop() for watch in self._watches.values()))
        self._watches.clear()

    def end_streams(self) -> None:
        """Ask every open stream to say `reconnect` and end; none begins any more."""
        self._stopping = True
        for watch in self._watches.values():
            watch.ring()

    def asked(self, search_id: SearchId) -> None:
        """Remember that this process has seen the PubAck of its request."""
        self._asked[search_id] = None
        while len(self._asked) > ASKED_HERE:
            self._asked.popitem(last=False)

    def own(self, search_id: SearchId, tenant: str) -> None:
        """Remember whose a search is."""
        self._owners[search_id] = tenant
        while len(self._owners) > ASKED_HERE:
            self._owners.popitem(last=False)

    async def owner(self, search_id: SearchId) -> str | None:
        """The tenant who asked for a search; None when nobody did."""
        if search_id in self._owners:
            self._owners.move_to_end(search_id)
            return self._owners[search_id]
        requested = await self._last(REQUESTED, search_id=search_id)
        if requested is None:
            return None
        self.own(search_id, requested.tenant)
        return requested.tenant

    async def view(self, search_id: SearchId) -> SearchView | None:
        """The HTTP state; None when nobody asked for such a search."""
        if search_id not in self._watches and (cold := await self._cold_view(search_id)) is not None:
            return cold
        watch = await self._watch(search_id)
        return watch.view() if watch else None

    async def wait_until_over(self, search_id: SearchId, *, within: timedelta) -> SearchView | None:
        """The state once the search is over, or as it stands when the time is up."""
        watch = await self._watch(search_id)
        if watch is None:
            return None
        await watch.until(lambda state: state.completed is not None, within=within)
        return watch.view()

    async def rows(self, search_id: SearchId) -> Rows | None:
        """Every row: from the answer once there is one, from the live fold before; None for an unknown search."""
        answer = await self.answer(search_id)
        if answer is not None:
            return Rows(
                results=answer.results, revision=answer.revision, status=answer.status, final=True,
                sort=answer.query.sort,
            )  # fmt: skip
        watch = await self._watch(search_id)
        if watch is None or watch.state.requested is None:
            return None
        sort, view = watch.state.requested.query.sort, watch.view()
        over = view.status.terminal
        results = () if watch.state.completed else ranked(watch.state.results(), sort)
        return Rows(results=results, revision=view.revision, status=view.status, final=over, sort=sort)

    async def standing(self, search_id: SearchId, bid_id: str) -> BidStanding | None:
        """How one bid stands in one search, and why; None when it was not judged in it."""
        answer = await self.answer(search_id)
        found = standing_in_answer(answer, bid_id) if answer else None
        if found is not None:
            return found
        watch = await self._watch(search_id)
        if watch is None:
            return None
        return standing_in_search(watch.state.standings(), bid_id, final=watch.state.completed is not None)

    async def summary(self, search_id: SearchId, revision: int) -> SummaryReady | None:
        """The summary of one revision, if it is ready."""
        return await self._last(SUMMARY_READY, search_id=search_id, revision=revision)

    async def spreadsheet(self, search_id: SearchId, revision: int) -> SpreadsheetReady | None:
        """Where the spreadsheet of one revision lies, if it is ready."""
        return await self._last(SPREADSHEET_READY, search_id=search_id, revision=revision)

    async def file(self, ref: ObjectRef) -> bytes:
        """The bytes of a file."""
        async with asyncio.timeout(READ_WITHIN.total_seconds() * 4):
            return await self._bus.get_object(ref)

    async def failure(self, search_id: SearchId) -> str | None:
        """What people are told of a spreadsheet that could not be made."""
        watch = await self._watch(search_id)
        failed = watch.state.spreadsheet_failed if watch else None
        return failed.message if failed else None

    async def query_words(self, search_id: SearchId) -> tuple[str, ...] | None:
        """Sector or terms and UFs of a search, for the name of a file."""
        requested = await self._last(REQUESTED, search_id=search_id)
        return None if requested is None else (requested.query.sector or "termos", *requested.query.ufs)

    async def follow(self, search_id: SearchId, last_event_id: str | None) -> AsyncIterator[bytes] | None:
        """The event stream after an id; None for an unknown search. Nothing is left of it: an empty iterator."""
        watch = await self._watch(search_id)
        if watch is None:
            return None
        after = position_of(last_event_id, epoch=self._feed.epoch)
        return stream(watch, after=after, rules=self._rules, stopping=lambda: self._stopping)

    async def nothing_left(self, search_id: SearchId, last_event_id: str | None) -> bool:
        """Whether a listener that comes back with this id has already seen the end."""
        if last_event_id is None:
            return False
        watch = await self._watch(search_id)
        if watch is None or not watch.over:
            return False
        after = position_of(last_event_id, epoch=self._feed.epoch)
        return watch.folded.index_after(after) == watch.folded.dropped + len(watch.folded.frames)

    async def frames(self, search_id: SearchId, last_event_id: str | None) -> tuple[list[Frame], bool] | None:
        """Every event so far after an id, and whether that was the last; None for an unknown search."""
        watch = await self._watch(search_id)
        if watch is None:
            return None
        kept = watch.folded.frames
        old = await watch.replay(before=kept[0].position[0]) if watch.folded.dropped else []
        after = position_of(last_event_id, epoch=self._feed.epoch)
        return [frame for frame in (*old, *kept) if frame.position > after], watch.over

    async def _watch(self, search_id: SearchId) -> Watch | None:
        """The watch of a search, its log folded; None when nobody asked for such a search."""
        watch = self._watches.get(search_id)
        if watch is None or watch.gone:
            if search_id not in self._asked and await self._last(REQUESTED, search_id=search_id) is None:
                return None
            watch = self._open(search_id)
        self._watches.move_to_end(search_id)
        watch.touch()
        try:
            async with asyncio.timeout(READ_WITHIN.total_seconds()):
                await asyncio.shield(watch.loaded)
        except asyncio.CancelledError:
            if watch.gone:
                raise Unavailable("gateway.stopping") from None
            raise
        known = await watch.until(_is_requested, within=READ_WITHIN)
        return watch if known else None

    def _open(self, search_id: SearchId) -> Watch:
        current = self._watches.get(search_id)
        if current is not None and not current.gone:
            return current
        watch = Watch(search_id, bus=self._bus, feed=self._feed, clock=self._clock, frame_bytes=self._frame_bytes)
        self._watches[search_id] = watch
        self._let_go_of_some(but=search_id)
        return watch

    def _let_go_of_some(self, *, but: SearchId) -> None:
        """Those unused for longest, down to the capacity; what was just asked for stays unless it is too much."""
        excess = len(self._watches) - self._capacity
        if excess <= 0:
            return
        grace = timedelta(0) if len(self._watches) > _TOO_MANY * self._capacity else UNUSED_FOR
        idle = [sid for sid, each in self._watches.items() if sid != but and each.idle(grace=grace)]
        for sid in idle[:excess]:
            self._watches.pop(sid).let_go()

    async def _cold_view(self, search_id: SearchId) -> SearchView | None:
        """The last stored state, if it is the last word on this search."""
        progress = await self._last(PROGRESS_STATE, search_id=search_id)
        if progress is None:
            return None
        view = progress.view
        over = view.status.terminal and JobStatus.PROCESSING not in {view.llm_status, view.excel_status}
        return view if over else None

    async def answer(self, search_id: SearchId) -> Answer | None:
        """The finished answer of a search, if it has one."""
        watch = self._watches.get(search_id)
        completed = watch.state.completed if watch else None
        completed = completed or await self._completed(search_id)
        if completed is None or completed.answer_ref is None:
            return None
        return await self._answer(completed.answer_ref)

    async def _completed(self, search_id: SearchId) -> Completed | None:
        return await self._last(COMPLETED, search_id=search_id)

    async def _answer(self, ref: ObjectRef) -> Answer:
        kept = self._answers.get(ref.name)
        if kept is not None:
            self._answers.move_to_end(ref.name)
            return kept[1]
        async with asyncio.timeout(READ_WITHIN.total_seconds()):
            packed = await self._bus.get_object(ref)
        answer = (
            decode_answer(packed) if len(packed) <= _INLINE_BYTES else await asyncio.to_thread(decode_answer, packed)
        )
        self._answers[ref.name] = (len(packed), answer)
        while len(self._answers) > MAX_ANSWERS or sum(size for size, _ in self._answers.values()) > MAX_ANSWER_BYTES:
            self._answers.popitem(last=False)
        return answer

    async def _last(self, topic: Topic[T], **tokens: object) -> T | None:
        async with asyncio.timeout(READ_WITHIN.total_seconds()):
            stored = await self._bus.last(topic.subject(**tokens))
        return None if stored is None else topic.decode(stored.body)


def _is_requested(state: SearchState) -> bool:
    return state.requested is not None
