"""Searches as a running system keeps them: read whole, followed live, and put into a system that has nothing yet."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import orjson

from contracts.classification import RejectedBid, SightedBid
from contracts.memory import BidQuery
from contracts.report import ObjectRef, SpreadsheetReady
from contracts.search import Closed, Completed, ProgressState
from contracts.subjects import (
    ANSWERS_BUCKET,
    COORDINATOR_REQUESTED,
    REQUESTED,
    SEARCH,
    STORED_BID,
    Outgoing,
    fact_topic,
)
from contracts.values import BidId
from farol.client import FarolError
from farol.recording import Recording, facts_of_archive
from servicekit.bus import Bus, Stored
from servicekit.clock import utc_now
from servicekit.correlation import correlated, new_correlation_id
from servicekit.errors import Rejected, Unavailable
from servicekit.feed import SearchFeed

CONNECT_WITHIN: Final = 5.0
ASK_WITHIN: Final = timedelta(seconds=5)
ASKED_AT_ONCE: Final = 32
LOAD_WITHIN: Final = timedelta(seconds=60)
"""So long the coordinators leave new searches alone while one is loaded."""


class LogbookError(FarolError):
    """What went wrong, in words for people."""


class Logbook:
    """Reads and writes searches on one bus, as whoever its URL names: an operator."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def recording(self, search_id: str, *, whole: bool) -> Recording:
        """A search from its log, or from the archive once the stream has let it go.

        `whole`: with the bids that were left out, as far as the memory still holds what was judged.
        Raises LogbookError for a search that nobody asked.
        """
        facts = tuple(await self._bus.history(search_id)) or await self._archived(search_id)
        if not facts:
            raise LogbookError(f"Não há busca {search_id}, nem no registro nem no arquivo.")
        bare = Recording(search_id, facts)
        objects = {ref.name: (ref, content) async for ref, content in self._objects(bare)}
        rejected = await self._rejected(bare) if whole else {}
        return Recording(search_id, facts, objects, rejected)

    async def searches(self) -> list[str]:
        """The ids of the searches that the stream still holds, in their order as words."""
        every = REQUESTED.pattern.format(search_id="*")
        seen = await self._bus.connection.js.stream_info(SEARCH.name, subjects_filter=every)
        place = REQUESTED.pattern.split(".").index("{search_id}")
        return sorted(subject.split(".")[place] for subject in seen.state.subjects or {})

    async def follow(self, search_id: str) -> AsyncIterator[Stored]:
        """Every fact so far and then each that comes, until `closed`."""
        async with SearchFeed(self._bus) as feed, feed.join(search_id) as facts:
            async for stored in facts:
                yield stored
                topic = fact_topic(stored.subject)
                if topic is not None and topic.model is Closed:
                    return

    async def load(self, recording: Recording) -> int:
        """Put a finished search where it never was; how many facts. Raises LogbookError when it is there already.

        The coordinators' consumer rests meanwhile, so that none takes up the request before the rest is there.
        """
        if recording.state().closed is None:
            raise LogbookError("Só uma busca encerrada pode ser carregada.")
        if await self._bus.history(recording.search_id):
            raise LogbookError(f"A busca {recording.search_id} já está neste sistema.")
        await self._rest(LOAD_WITHIN)
        try:
            for ref, content in recording.objects.values():
                await self._bus.put_object(ref.bucket, ref.name, content)
            sequences: dict[int, int] = {}
            for stored, fact in recording.decoded():
                with correlated(stored.correlation_id or new_correlation_id()):
                    ack = await self._bus.publish(_again(stored, _moved(fact, sequences)))
                sequences[stored.sequence] = ack.sequence
        finally:
            await self._rest(timedelta(0))
        return len(sequences)

    async def _archived(self, search_id: str) -> tuple[Stored, ...]:
        ref = await self._bus.find_object(ANSWERS_BUCKET, f"archives/{search_id}")
        return facts_of_archive(await self._bus.get_object(ref)) if ref else ()

    async def _objects(self, recording: Recording) -> AsyncIterator[tuple[ObjectRef, bytes]]:
        refs: list[ObjectRef | None] = [recording.completed.answer_ref if recording.completed else None]
        refs += [fact.file for _, fact in recording.decoded() if isinstance(fact, SpreadsheetReady)]
        for ref in refs:
            try:
                if ref is not None:
                    yield ref, await self._bus.get_object(ref)
            except Rejected:
                continue  # let go by its age: whoever needs it is told so

    async def _rejected(self, recording: Recording) -> dict[BidId, SightedBid]:
        """The bids left out whose content in the memory is the one that was judged: seen first at the same moment."""
        left_out = [s for s in recording.before_completed().standings().values() if isinstance(s, RejectedBid)]
        gate = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask(rejected: RejectedBid) -> SightedBid | None:
            async with gate:
                try:
                    reply = await self._bus.request(STORED_BID, BidQuery(id=rejected.id), timeout=ASK_WITHIN)
                except Unavailable:
                    return None
            if reply.bid is None or reply.seen_at != rejected.seen_at:
                return None
            return SightedBid(bid=reply.bid, seen_at=reply.seen_at, live=False)

        found = await asyncio.gather(*(ask(each) for each in left_out))
        return {sighted.bid.id: sighted for sighted in found if sighted is not None}

    async def _rest(self, time: timedelta) -> None:
        consumer = COORDINATOR_REQUESTED
        until = {"pause_until": (utc_now() + time).isoformat()} if time else {}
        reply = await self._bus.connection.client.request(
            f"$JS.API.CONSUMER.PAUSE.{consumer.stream.name}.{consumer.durable}", orjson.dumps(until), timeout=5
        )
        if error := orjson.loads(reply.data).get("error"):
            raise LogbookError(f"O servidor não deixou as buscas em espera: {error['description']}")


@asynccontextmanager
async def logbook(url: str) -> AsyncIterator[Logbook]:
    """The searches of the system at this URL; raises LogbookError when nothing answers there."""
    bus = Bus(url=url, service="replay")
    try:
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                await bus.connect()
        except (TimeoutError, OSError, Unavailable) as exc:
            raise LogbookError("O barramento (NATS) não respondeu; informe --nats ou NATS_URL.") from exc
        yield Logbook(bus)
    except Unavailable as exc:
        raise LogbookError(str(exc)) from exc
    finally:
        await bus.stop()


def _again(stored: Stored, fact: Any) -> Outgoing:
    topic = fact_topic(stored.subject)
    assert topic is not None  # noqa: S101 - `decoded` leaves out what has none
    body = fact.model_dump_json().encode()
    return Outgoing(topic=topic, subject=stored.subject, body=body, msg_id=stored.event_id, value=fact)


def _moved(fact: Any, sequences: dict[int, int]) -> Any:
    """The fact with the places of the log that it names as they are here."""
    if not isinstance(fact, ProgressState | Completed):
        return fact
    before: Collection[int] = [here for there, here in sequences.items() if there <= fact.folded_to]
    return fact.model_copy(update={"folded_to": max(before, default=0)})
