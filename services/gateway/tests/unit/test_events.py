"""Ids name the exact boundary, and each event is encoded once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Event, EventName
from contracts.subjects import Outgoing
from gateway.adapters.watch import Log, Watch
from gateway.domain.events import START, WHOLE, frames_of, own_frame, position_of
from servicekit.envelope import Stored
from servicekit.errors import FeedOverflow, Unavailable

EPOCH = "18f0c2d9a1b3"


def _events(count: int) -> list[Event]:
    return [Event(EventName.PROGRESS, {"n": n, "words": "linha\nquebrada é"}) for n in range(count)]


class TestFrames:
    @given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    def test_are_in_order_and_each_id_leads_back_to_its_place(self, sizes: list[int]) -> None:
        frames = [
            frame
            for sequence, size in enumerate(sizes, 1)
            for frame in frames_of(_events(size), sequence=sequence * 3, epoch=EPOCH)
        ]
        positions = [frame.position for frame in frames]
        assert positions == sorted(set(positions))
        assert [position_of(frame.id, epoch=EPOCH) for frame in frames] == positions

    def test_of_one_fact_are_numbered_until_the_last_which_stands_for_the_whole(self) -> None:
        assert [frame.id for frame in frames_of(_events(3), sequence=7, epoch=EPOCH)] == [
            f"{EPOCH}-7.1",
            f"{EPOCH}-7.2",
            f"{EPOCH}-7",
        ]

    def test_hold_their_data_on_one_line(self) -> None:
        (frame,) = frames_of(_events(1), sequence=7, epoch=EPOCH)
        lines = frame.wire.decode().split("\n")
        assert lines[:2] == [f"id: {EPOCH}-7", "event: progress"]
        assert orjson.loads(lines[2].removeprefix("data: ")) == {"n": 0, "words": "linha\nquebrada é"}
        assert lines[3:] == ["", ""]

    def test_of_the_gateway_itself_carry_no_id(self) -> None:
        assert own_frame("gap", {"a": 1}) == b'event: gap\ndata: {"a":1}\n\n'


class TestPosition:
    @given(st.text(max_size=60))
    def test_of_anything_else_is_the_start(self, text: str) -> None:
        if not text.startswith(f"{EPOCH}-"):
            assert position_of(text, epoch=EPOCH) == START

    def test_of_a_whole_fact_lies_after_each_of_its_events(self) -> None:
        assert position_of(f"{EPOCH}-7", epoch=EPOCH) == (7, WHOLE)
        assert position_of(f"{EPOCH}-7.12", epoch=EPOCH) < position_of(f"{EPOCH}-7", epoch=EPOCH)


def _stored(facts: tuple[Outgoing, ...]) -> list[Stored]:
    noon = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
    return [Stored(sequence=n * 5, subject=fact.subject, body=fact.body, time=noon) for n, fact in enumerate(facts, 1)]


class TestLog:
    def test_takes_a_fact_once(self, told: Any) -> None:
        log = Log(told.search_id, epoch=EPOCH)
        rows = _stored((*told.found(), told.completed(None), told.closed()))
        assert all(log.take(row) for row in rows)
        wires = [frame.wire for frame in log.frames]
        assert not any(log.take(row) for row in rows)
        assert [frame.wire for frame in log.frames] == wires

    def test_passes_over_what_it_does_not_know_or_cannot_read(self, told: Any) -> None:
        log = Log(told.search_id, epoch=EPOCH)
        requested, *_ = _stored(told.found())
        unknown = Stored(1, f"search.v1.{told.search_id}.foreseen", b"{}", requested.time)
        broken = Stored(2, f"search.v1.{told.search_id}.planned", b"{", requested.time)
        assert [log.take(unknown), log.take(broken), log.take(requested)] == [False, False, True]

    def test_lets_whole_facts_go_and_still_counts_them(self, told: Any) -> None:
        log, full = Log(told.search_id, epoch=EPOCH, keep_bytes=1_500), Log(told.search_id, epoch=EPOCH)
        for row in _stored((*told.found(), told.completed(None), told.closed())):
            full.take(row)
            log.take(row)
            log.spill()
        assert log.frames == full.frames[log.dropped :]
        assert log.dropped > 0
        assert log.frames[0].position[0] != full.frames[log.dropped - 1].position[0]
        for n, frame in enumerate(full.frames[log.dropped :], log.dropped + 1):
            assert log.index_after(frame.position) == full.index_after(frame.position) == n


class Feed:
    """A feed whose joins end as they are told to."""

    epoch = EPOCH

    def __init__(self, *joins: list[Stored] | Exception) -> None:
        self.joins = list(joins)
        self.afters: list[int] = []

    @asynccontextmanager
    async def join(self, search_id: str, *, after: int = 0) -> AsyncIterator[AsyncIterator[Stored]]:
        self.afters.append(after)
        yield self._rows(self.joins.pop(0))

    async def _rows(self, rows: list[Stored] | Exception) -> AsyncIterator[Stored]:
        if isinstance(rows, Exception):
            raise rows
        for row in rows:
            yield row


class History:
    """A bus that holds a log, or fails to read it."""

    def __init__(self, rows: list[Stored] | Exception) -> None:
        self.rows = rows

    async def history(self, search_id: str, *, after: int = 0) -> list[Stored]:
        if isinstance(self.rows, Exception):
            raise self.rows
        return self.rows


class TestWatch:
    async def test_joins_again_where_it_stands_when_the_feed_overflows(self, told: Any) -> None:
        rows = _stored((*told.found(), told.completed(None), told.closed()))
        feed = Feed(FeedOverflow("fell behind"), rows[2:])
        watch = Watch(
            told.search_id,
            bus=History(rows[:2]),  # type: ignore[arg-type]  # all that a watch asks of a bus
            feed=feed,  # type: ignore[arg-type]  # all that a watch asks of a feed
            clock=lambda: told.asked_at,
        )
        async with asyncio.timeout(5):
            await watch.loaded
            while not watch.over:
                await watch.bell().wait()
        assert feed.afters == [10, 10]
        assert [frame.name for frame in watch.folded.frames][-2:] == ["completed", "closed"]
        await watch.stop()

    async def test_is_gone_with_its_reason_when_the_log_cannot_be_read(self, told: Any) -> None:
        watch = Watch(
            told.search_id,
            bus=History(Unavailable("bus.away")),  # type: ignore[arg-type]  # as above
            feed=Feed(),  # type: ignore[arg-type]  # as above
            clock=lambda: told.asked_at,
        )
        with pytest.raises(Unavailable):
            await watch.loaded
        assert watch.gone

    async def test_is_gone_when_the_stream_was_made_anew(self, told: Any) -> None:
        feed = Feed(FeedOverflow("began anew"))
        watch = Watch(
            told.search_id,
            bus=History(_stored(told.found())),  # type: ignore[arg-type]  # as above
            feed=feed,  # type: ignore[arg-type]  # as above
            clock=lambda: told.asked_at,
        )
        feed.epoch = "another"
        async with asyncio.timeout(5):
            await watch.loaded
            while not watch.gone:
                await watch.bell().wait()
        assert feed.joins
