"""A claim from its taking to its acknowledgement, the bells that reach it meanwhile, and details of single bids."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from datetime import timedelta
from typing import Final, Protocol

from opentelemetry import trace

from contracts.fetch import (
    DETAILS_WITHIN,
    Bell,
    BellKind,
    DetailsQuery,
    DetailsReply,
    FetchClaim,
    FetchItems,
    FetchRange,
    ItemsFetched,
    PageFetched,
)
from contracts.places import NATIONAL, UF
from contracts.subjects import CACHE_PAGES, FETCHED, ITEMS_FETCHED, Outgoing
from contracts.values import BidId, Source
from fetcher.details import Details
from fetcher.domain.parts import fingerprint
from fetcher.engine import Engine, Fact, Run
from servicekit.bus import Delivery
from servicekit.clock import Clock
from servicekit.telemetry.tracing import link

SETTLE: Final = 2 * CACHE_PAGES[Source.PNCP].ack_wait + timedelta(seconds=2)
"""How long the acknowledgement waits for the memory to store the last end. A page that a killed cache held comes back
after the consumer's `ack_wait`: a claim given free before that would have it fetched a second time."""


class Memory(Protocol):
    """The ledger's keeper."""

    async def needed(self, claim: FetchClaim) -> tuple[FetchRange, ...] | None:
        """What is still to be fetched of a claim; None when the memory does not say."""
        ...

    async def ring(self, bell: Bell) -> None:
        """Tell whoever listens; nothing depends on its being heard."""
        ...


class OpenClaims:
    """The claims that this process is fetching, so that bells find them."""

    def __init__(self) -> None:
        self._runs: dict[tuple[Source, UF | None], dict[Run, asyncio.Event]] = {}

    @contextmanager
    def opened(self, run: Run) -> Iterator[asyncio.Event]:
        """Let bells reach a run; the event is set once the memory has all of its ends."""
        place = (run.claim.source, run.claim.uf)
        stored = self._runs.setdefault(place, {})[run] = asyncio.Event()
        try:
            yield stored
        finally:
            del self._runs[place][run]
            if not self._runs[place]:
                del self._runs[place]

    async def hear(self, bell: Bell) -> None:
        """`wanted` raises and lengthens what runs for the place; `ended` releases the claim that it names."""
        for run, stored in self._runs.get((bell.source, bell.uf), {}).items():
            if bell.kind is BellKind.WANTED:
                if bell.priority is not None:
                    run.raise_to(bell.priority)
                if bell.not_after is not None:
                    run.clock.lengthen(bell.not_after)
                link(run.span)
            elif bell.kind is BellKind.ENDED and bell.claim_done and bell.fetch_id == run.fetch_id:
                stored.set()


async def fetch(
    claim: FetchClaim,
    delivery: Delivery,
    *,
    engine: Engine,
    memory: Memory,
    open_claims: OpenClaims,
    settle: timedelta = SETTLE,
) -> AsyncIterator[Outgoing]:
    """Pages as they come, then one end per range; exhausted (acknowledged) once the memory has stored the ends."""
    needed = await memory.needed(claim)
    if needed == ():
        await memory.ring(_bell(claim, delivery, BellKind.ENDED))
        return
    ranges = claim.ranges if needed is None else needed
    # A delivery before this one may have ended some of the ranges under the same fetch id: then all of them count.
    claim_ranges = len(claim.ranges) if delivery.redelivered else len(ranges)
    run = engine.begin(claim, fetch_id=delivery.sequence, ranges=ranges, claim_ranges=claim_ranges)
    run.span = trace.get_current_span()
    with open_claims.opened(run) as stored:
        await memory.ring(_bell(claim, delivery, BellKind.STARTED))
        async with aclosing(engine.fetch(run)) as facts:
            async for fact in facts:
                yield FETCHED.message(fact, dedup=_natural_key(fact, delivery), source=claim.source)
        try:
            async with asyncio.timeout(settle.total_seconds()):
                await stored.wait()
        except TimeoutError:
            return


def _bell(claim: FetchClaim, delivery: Delivery, kind: BellKind) -> Bell:
    return Bell(
        kind=kind,
        source=claim.source,
        uf=claim.uf,
        fetch_id=delivery.sequence,
        claim_done=kind is BellKind.ENDED,
    )


def _natural_key(fact: Fact, delivery: Delivery) -> str:
    """What a repeat shares with the first: a page its content, an end its range and, fetched anew, its beginning."""
    modalidade = NATIONAL if fact.range.modalidade is None else int(fact.range.modalidade)
    place_in_claim = f"{modalidade}:{fact.range.day_from}"
    if isinstance(fact, PageFetched):
        return f"{fact.fetch_id}:{place_in_claim}:{fact.key}:{fingerprint(fact.bids)}"
    again = f":{fact.started_at.timestamp():.3f}" if delivery.redelivered else ""
    return f"{fact.fetch_id}:end:{place_in_claim}{again}"


async def inspect(command: FetchItems, _: Delivery, *, details: Details) -> AsyncIterator[Outgoing]:
    """The items of every bid at once, each in the source's turn; one fact a bid, also for one that failed."""
    reading = [asyncio.create_task(_inspected(command, bid_id, details)) for bid_id in dict.fromkeys(command.bid_ids)]
    try:
        for came in asyncio.as_completed(reading):
            fact = await came
            yield ITEMS_FETCHED.message(fact, search_id=fact.search_id, bid_id=fact.bid_id)
    finally:
        for each in reading:
            each.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def _inspected(command: FetchItems, bid_id: BidId, details: Details) -> ItemsFetched:
    lines = await details.items(bid_id, tenant=command.tenant, search=command.search_id, until=command.deadline)
    return ItemsFetched(search_id=command.search_id, bid_id=bid_id, items=lines.rows, why=lines.why, cut=lines.cut)


async def describe(query: DetailsQuery, *, sources: Mapping[Source, Details], now: Clock) -> DetailsReply:
    """Items and documents of one bid, side by side; each is there as far as it came in time."""
    details = sources[Source.PCP if query.bid_id.startswith("PCP-") else Source.PNCP]
    until = now() + DETAILS_WITHIN
    items, documents = await asyncio.gather(
        details.items(query.bid_id, tenant=query.tenant, search=query.bid_id, until=until),
        details.documents(query.bid_id, tenant=query.tenant, until=until),
    )
    return DetailsReply(
        bid_id=query.bid_id,
        items=items.rows,
        items_why=items.why,
        items_cut=items.cut,
        documents=documents.rows,
        documents_why=documents.why,
        documents_cut=documents.cut,
        fetched_at=min(items.read_at, documents.read_at),
    )
