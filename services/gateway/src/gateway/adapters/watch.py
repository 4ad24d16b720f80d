"""One search being followed: its live fold and its events, encoded once for everyone who listens."""

import asyncio
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from contracts.events import events_of
from contracts.fold import ABANDONED_AFTER, SearchState
from contracts.state import SearchView
from contracts.subjects import fact_topic
from gateway.domain.events import Frame, Position, frames_of
from servicekit.bus import Bus
from servicekit.envelope import Stored
from servicekit.errors import FeedOverflow, Transient
from servicekit.feed import SearchFeed
from servicekit.logs import log

FRAME_BYTES: Final = 8 * 1024 * 1024
"""Of one search; beyond it the older half of its events is let go, and who still needs them gets them from the log."""
_FACTS_AT_ONCE: Final = 20
"""Facts folded before the loop gets a turn: a log of 13 MB takes 0.26 s to decode."""
_REJOIN_AFTER: Final = timedelta(seconds=1)


class Log:
    """A search's facts folded and encoded so far, without any I/O."""

    def __init__(self, search_id: str, *, epoch: str, keep_bytes: int = FRAME_BYTES) -> None:
        self.state = SearchState(search_id)
        self._keep_bytes = keep_bytes
        self.epoch = epoch
        self.sequence = 0
        self.frames: list[Frame] = []
        self.dropped = 0
        """How many frames were let go."""
        self._bytes = 0

    def take(self, stored: Stored) -> bool:
        """Fold one fact; False when it is an old or an unknown one."""
        if stored.sequence <= self.sequence:
            return False
        self.sequence = stored.sequence
        topic = fact_topic(stored.subject)
        if topic is None:
            return False
        try:
            fact = topic.decode(stored.body)
        except ValidationError as exc:
            log.warning("fact_unreadable", subject=stored.subject, sequence=stored.sequence, errors=exc.error_count())
            return False
        frames = frames_of(events_of(self.state, stored.sequence, fact), sequence=stored.sequence, epoch=self.epoch)
        self.state.apply(stored.sequence, fact)
        self.frames.extend(frames)
        self._bytes += sum(len(frame.wire) for frame in frames)
        return True

    def spill(self) -> None:
        """Let the older half of the events go, whole facts only, once they are too many bytes."""
        if self._bytes > self._keep_bytes and len(self.frames) > 1:
            half = len(self.frames) // 2
            while half < len(self.frames) - 1 and self.frames[half].position[0] == self.frames[half - 1].position[0]:
                half += 1
            self._bytes -= sum(len(frame.wire) for frame in self.frames[:half])
            del self.frames[:half]
            self.dropped += half

    def index_after(self, position: Position) -> int:
        """How many of all frames, dropped ones included, lie at or before this position."""
        return self.dropped + bisect_right(self.frames, position, key=lambda frame: frame.position)


class Watch:
    """Follows one search from its first fact until `closed`, over every restart of the bus."""

    def __init__(
        self,
        search_id: str,
        *,
        bus: Bus,
        feed: SearchFeed,
        clock: Callable[[], datetime],
        frame_bytes: int = FRAME_BYTES,
        archived: Sequence[Stored] | None = None,
    ) -> None:
        self.search_id = search_id
        self.listeners = 0
        self.gone = False
        """Let go by its owner: listeners come back and find a new watch."""
        self._archived = archived
        """The whole log of a search that the stream has let go; None: it is in the stream."""
        self._notices: list[bytes] = []
        self._bus = bus
        self._feed = feed
        self._clock = clock
        self._folded = Log(search_id, epoch=feed.epoch, keep_bytes=frame_bytes)
        self._bell = asyncio.Event()
        self._touched = asyncio.get_running_loop().time()
        self._view: tuple[int, SearchView] | None = None
        self._task = asyncio.create_task(self._run(), name=f"watch-{search_id}")
        self.loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the log as it lay there is folded; carries the error if it could not be read."""

    @property
    def state(self) -> SearchState:
        """The live fold."""
        return self._folded.state

    @property
    def folded(self) -> Log:
        """The fold with its frames."""
        return self._folded

    @property
    def over(self) -> bool:
        """Whether nothing more will be said."""
        return self.state.closed is not None

    @property
    def abandoned(self) -> bool:
        """Whether nobody closed the search in its time."""
        requested = self.state.requested
        return requested is not None and not self.over and self._clock() - requested.created_at >= ABANDONED_AFTER

    def view(self) -> SearchView:
        """The HTTP state; folded anew only when a fact came in or the search was abandoned."""
        if self.abandoned or self._view is None or self._view[0] != self._folded.sequence:
            self._view = (self._folded.sequence, self.state.view(self._clock()))
        return self._view[1]

    def bell(self) -> asyncio.Event:
        """Set at the next change; take it before looking, then wait."""
        return self._bell

    def ring(self) -> None:
        """Wake everyone who listens."""
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def until(self, met: Callable[[SearchState], bool], *, within: timedelta) -> bool:
        """Wait for a state; False when it did not come in time."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                while not self.gone:
                    bell = self.bell()
                    if met(self.state):
                        return True
                    await bell.wait()
        except TimeoutError:
            pass
        return met(self.state)

    @property
    def notices(self) -> Sequence[bytes]:
        """Events of the gateway itself, for whoever listens now."""
        return self._notices

    def notify(self, frame: bytes) -> None:
        """Tell everyone who listens now something that is no fact of this search."""
        self._notices.append(frame)
        self.ring()

    def touch(self) -> None:
        """Someone has just asked for it: a stream or an answer may be about to begin."""
        self._touched = asyncio.get_running_loop().time()

    def idle(self, *, grace: timedelta) -> bool:
        """Whether nobody would miss it: nobody listens, and nobody has asked for it lately."""
        if self.listeners or not self.loaded.done():
            return False
        return asyncio.get_running_loop().time() - self._touched >= grace.total_seconds()

    def let_go(self) -> None:
        """Follow it no longer; whoever still waits for it is told to come back."""
        self.gone = True
        self._task.cancel()
        if not self.loaded.done():
            self.loaded.cancel()
        self.ring()

    async def stop(self) -> None:
        """Let go, and see it end."""
        self.let_go()
        await asyncio.gather(self._task, return_exceptions=True)

    async def replay(self, *, before: int) -> list[Frame]:
        """The frames of the facts below a sequence, made anew from the log."""
        log_again = Log(self.search_id, epoch=self._folded.epoch)
        for n, stored in enumerate(await self._history(), 1):
            if stored.sequence >= before:
                break
            log_again.take(stored)
            if n % _FACTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return log_again.frames

    async def _run(self) -> None:
        try:
            await self._load()
        except Exception as exc:  # noqa: BLE001 - whoever asked for this search is told, whatever it was
            self.gone = True
            self.loaded.set_exception(exc)
            self.loaded.exception()  # seen: nobody may be waiting any more
            return
        self.loaded.set_result(None)
        self.ring()
        try:
            while not self.over and self._feed.epoch == self._folded.epoch:
                await self._follow()
        except Exception:  # noqa: BLE001 - told once, and its listeners come back
            log.exception("watch_failed", search_id=self.search_id)
        finally:
            self.gone = not self.over
            self.ring()

    async def _history(self) -> Sequence[Stored]:
        return await self._bus.history(self.search_id) if self._archived is None else self._archived

    async def _load(self) -> None:
        for n, stored in enumerate(await self._history(), 1):
            self._folded.take(stored)
            if n % _FACTS_AT_ONCE == 0:
                self._folded.spill()
                await asyncio.sleep(0)
        self._folded.spill()

    async def _follow(self) -> None:
        """Take what the feed brings until `closed`; a cut feed is joined again where this fold stands."""
        try:
            async with self._feed.join(self.search_id, after=self._folded.sequence) as live:
                async for stored in live:
                    if self._folded.take(stored):
                        self._folded.spill()
                        self.ring()
                    if self.over:
                        return
        except FeedOverflow:
            return
        except (Transient, TimeoutError) as exc:
            log.debug("watch_rejoins", search_id=self.search_id, why=type(exc).__name__)
        await asyncio.sleep(_REJOIN_AFTER.total_seconds() * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
