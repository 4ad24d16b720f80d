"""What is known of searches: live folds of those that are watched, direct reads of the log for the others."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self, TypeVar

from pydantic import ValidationError

from contracts.answer import Answer
from contracts.answer_codec import decode_answer
from contracts.answers import ArchiveQuery, ArchiveReply
from contracts.fold import SearchState
from contracts.ranking import ranked
from contracts.report import ObjectRef, SpreadsheetReady, SummaryReady
from contracts.search import Completed, Requested
from contracts.state import JobStatus, SearchView
from contracts.stored import StoredAnswer
from contracts.subjects import (
    ARCHIVED,
    COMPLETED,
    PROGRESS_STATE,
    REQUESTED,
    SPREADSHEET_READY,
    SUMMARY_READY,
    Topic,
    fact_topic,
    search_id_of,
)
from contracts.values import SearchId
from gateway.adapters.archive import facts_in
from gateway.adapters.memory import StoredAnswers
from gateway.adapters.stream import StreamRules, stream
from gateway.adapters.watch import FRAME_BYTES, Watch
from gateway.domain.events import Frame, own_frame, position_of
from gateway.domain.results import Rows
from gateway.domain.standing import BidStanding, standing_in_answer, standing_in_search
from servicekit.bus import Bus
from servicekit.envelope import Stored
from servicekit.errors import Rejected, Transient, Unavailable
from servicekit.feed import SearchFeed
from servicekit.logs import log

ARCHIVE_WITHIN: Final = timedelta(seconds=1)
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
        memory: StoredAnswers | None = None,
    ) -> None:
        self._bus = bus
        self._feed = feed
        self._clock = clock
        self._capacity = capacity
        self._rules = rules
        self._frame_bytes = frame_bytes
        self._watches: OrderedDict[SearchId, Watch] = OrderedDict()
        self._answers: OrderedDict[str, tuple[int, Answer]] = OrderedDict()
        self._memory = memory
        self._keys: OrderedDict[SearchId, str] = OrderedDict()
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

    def heard(self, subject: str, body: bytes) -> None:
        """A fact of any search has passed: whoever listens to a search of the same key is told of a newer answer."""
        topic = fact_topic(subject)
        if topic is REQUESTED:
            self._heard_requested(body)
        elif topic is COMPLETED and (key := self._keys.pop(search_id_of(subject), None)):
            self._revalidate(search_id_of(subject), key, body)

    def _heard_requested(self, body: bytes) -> None:
        with suppress(ValidationError):
            requested = REQUESTED.decode(body)
            if requested.stored is None or requested.refresh:
                self._keys[requested.search_id] = requested.query.key
                while len(self._keys) > ASKED_HERE:
                    self._keys.popitem(last=False)

    def _revalidate(self, search_id: SearchId, key: str, body: bytes) -> None:
        others = [
            watch
            for sid, watch in self._watches.items()
            if sid != search_id
            and watch.listeners
            and watch.state.requested is not None
            and watch.state.requested.query.key == key
        ]
        if not others:
            return
        with suppress(ValidationError):
            completed = COMPLETED.decode(body)
            if completed.answer_ref is None or completed.answered_from is not None:
                return
            frame = own_frame(
                "revalidated",
                {
                    "message": "Dados atualizados disponíveis", "search_id": search_id, "total": completed.total,
                    "coverage_pct": completed.coverage.coverage_pct,
                    "links": {"search": f"/v1/searches/{search_id}", "results": f"/v1/searches/{search_id}/results"},
                },
            )  # fmt: skip
            for watch in others:
                watch.notify(frame)

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
        tenant = requested.tenant if requested else (await self._archived(search_id)).tenant
        if tenant is not None:
            self.own(search_id, tenant)
        return tenant

    async def view(self, search_id: SearchId) -> SearchView | None:
        """The HTTP state; None when nobody asked for such a search."""
        if (local := self._local(search_id)) is not None:
            return local.view(self._clock())
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
        local = self._local(search_id)
        if local is not None and local.requested is not None:
            return await self._stored_rows(local.requested, local.view(self._clock()))
        answer, completed = await self._finished(search_id)
        if answer is not None and completed is not None:
            return Rows(
                results=answer.results, revision=completed.revision, status=completed.status, final=True,
                sort=answer.query.sort,
            )  # fmt: skip
        watch = await self._watch(search_id)
        if watch is None or watch.state.requested is None:
            return None
        if watch.state.requested.stored is not None and completed is None:
            return await self._stored_rows(watch.state.requested, watch.view(), newer=watch.state)
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
        ready = await self._last(SUMMARY_READY, search_id=search_id, revision=revision)
        return ready or (watch.state.summary if (watch := self._watches.get(search_id)) else None)

    async def spreadsheet(self, search_id: SearchId, revision: int) -> SpreadsheetReady | None:
        """Where the spreadsheet of one revision lies, if it is ready."""
        ready = await self._last(SPREADSHEET_READY, search_id=search_id, revision=revision)
        return ready or (watch.state.spreadsheet if (watch := self._watches.get(search_id)) else None)

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
            archived = None
            if search_id not in self._asked and await self._last(REQUESTED, search_id=search_id) is None:
                archived = await self._archive(search_id)
                if archived is None:
                    return None
            watch = self._open(search_id, archived)
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

    async def _archived(self, search_id: SearchId) -> ArchiveReply:
        """What the memory says of a search whose log is gone; nothing when nobody can say."""
        try:
            reply: ArchiveReply = await self._bus.request(
                ARCHIVED, ArchiveQuery(search_id=search_id), timeout=ARCHIVE_WITHIN
            )
        except Unavailable as exc:
            log.debug("archive_not_asked", search_id=search_id, why=exc.code)
            return ArchiveReply()
        return reply

    async def _archive(self, search_id: SearchId) -> list[Stored] | None:
        """The archived log; None when there never was one, Rejected when its time is over."""
        reply = await self._archived(search_id)
        if reply.closed_at is None:
            return None
        if reply.archive is None:
            raise Rejected("object.expired", search_id)
        async with asyncio.timeout(READ_WITHIN.total_seconds()):
            packed = await self._bus.get_object(reply.archive)
        return await asyncio.to_thread(facts_in, packed)

    def _open(self, search_id: SearchId, archived: list[Stored] | None = None) -> Watch:
        current = self._watches.get(search_id)
        if current is not None and not current.gone:
            return current
        watch = Watch(
            search_id, bus=self._bus, feed=self._feed, clock=self._clock, frame_bytes=self._frame_bytes,
            archived=archived,
        )  # fmt: skip
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
        local = self._local(search_id)
        if local is not None and local.requested is not None and local.requested.stored is not None:
            return await self._answer(local.requested.stored.ref, key=local.requested.query.key)
        return (await self._finished(search_id))[0]

    async def _finished(self, search_id: SearchId) -> tuple[Answer | None, Completed | None]:
        watch = self._watches.get(search_id)
        completed = watch.state.completed if watch else None
        completed = completed or await self._completed(search_id)
        if completed is None and watch is None and await self._last(REQUESTED, search_id=search_id) is None:
            watch = await self._watch(search_id)
            completed = watch.state.completed if watch else None
        if completed is None or completed.answer_ref is None:
            return None, completed
        asked = watch.state.requested if watch else None
        return await self._answer(completed.answer_ref, key=asked.query.key if asked else None), completed

    async def _stored_rows(self, requested: Requested, view: SearchView, newer: SearchState | None = None) -> Rows:
        """The stored rows, with what its refresh has accepted so far before them: nothing that was shown vanishes."""
        assert requested.stored is not None  # noqa: S101 - whoever calls has seen it
        answer = await self._answer(requested.stored.ref, key=requested.query.key)
        live = {row.id: row for row in newer.results()} if newer else {}
        known = {row.id for row in answer.results} | {each for row in answer.results for each in row.also_in}
        rows = [live.get(row.id, row) for row in answer.results]
        rows += [row for row in live.values() if row.id not in known]
        sort = requested.query.sort
        return Rows(
            results=ranked(rows, sort), revision=view.revision, status=view.status, final=view.status.terminal,
            sort=sort,
        )  # fmt: skip

    def _local(self, search_id: SearchId) -> SearchState | None:
        """What is known here of a search that the log does not have, or cannot be asked for."""
        return self._memory.known(search_id) if self._memory else None

    async def _completed(self, search_id: SearchId) -> Completed | None:
        return await self._last(COMPLETED, search_id=search_id)

    async def _answer(self, ref: ObjectRef, *, key: str | None = None) -> Answer:
        kept = self._answers.get(ref.name)
        if kept is not None:
            self._answers.move_to_end(ref.name)
            return kept[1]
        try:
            if not self._bus.connected:
                raise Unavailable("bus.away")
            async with asyncio.timeout(READ_WITHIN.total_seconds()):
                packed = await self._bus.get_object(ref)
        except (Transient, Rejected, TimeoutError):
            answer = await self._memory.answer(key, ref) if self._memory and key else None
            if answer is None:
                raise
        else:
            answer = (
                decode_answer(packed)
                if len(packed) <= _INLINE_BYTES
                else await asyncio.to_thread(decode_answer, packed)
            )
            if self._memory is not None:
                self._memory.serve(_head(answer, ref), packed)
        self._answers[ref.name] = (ref.size, answer)
        while len(self._answers) > MAX_ANSWERS or sum(size for size, _ in self._answers.values()) > MAX_ANSWER_BYTES:
            self._answers.popitem(last=False)
        return answer

    async def _last(self, topic: Topic[T], **tokens: object) -> T | None:
        async with asyncio.timeout(READ_WITHIN.total_seconds()):
            stored = await self._bus.last(topic.subject(**tokens))
        return None if stored is None else topic.decode(stored.body)


def _head(answer: Answer, ref: ObjectRef) -> StoredAnswer:
    return StoredAnswer.of(answer, key=answer.query.key, ref=ref, due_at=answer.finished_at)


def _is_requested(state: SearchState) -> bool:
    return state.requested is not None
