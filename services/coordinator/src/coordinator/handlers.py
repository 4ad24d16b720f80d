"""The life of a search (DESIGN section 4): plan, gather, settle, close, report; resumed at any point from its log."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from contracts.answer import Answer, Result
from contracts.answer_codec import encode_answer
from contracts.classification import ArbitrateBids
from contracts.fold import SearchState
from contracts.memory import Archive
from contracts.report import ObjectRef
from contracts.search import Closed, Planned, ProgressState, Requested
from contracts.state import Status
from contracts.stored import StoredAnswer
from contracts.subjects import (
    ARBITRATE,
    ARCHIVE,
    CLOSED,
    COMPLETED,
    FETCH_ITEMS,
    GATHER,
    PLANNED,
    PROGRESS_STATE,
    Outgoing,
)
from coordinator.domain.arbitrations import arbitrations
from coordinator.domain.close import answer_of
from coordinator.domain.inspections import inspections, item_orders
from coordinator.domain.plan import Budgets, gathers, plan
from coordinator.domain.stored import Held, served, settled
from coordinator.domain.telling import completed_of, jobs, nobody_waits, to_the_memory
from coordinator.domain.watch import UfWatch
from servicekit.bus import Delivery
from servicekit.clock import Clock
from servicekit.errors import Unavailable
from servicekit.logs import log
from servicekit.telemetry.measures import ACTIVE_SEARCHES, COVERAGE_PCT, SEARCH_SECONDS, SEARCHES
from servicekit.telemetry.tracing import about, of_search, span

PUT_AGAIN = 1.0
"""Seconds between two tries to keep an answer."""
CLOSE_RESERVE = timedelta(seconds=5)
"""Kept from the search's deadline for merging, ranking and writing the answer."""
SETTLING_WAIT = timedelta(seconds=10)
"""DESIGN 4.7: so long after the last batch is judged, and no longer."""
ITEMS_RESERVE = timedelta(seconds=4)
"""Kept of that for judging what the items say, and for the model."""
REPORT_WITHIN = timedelta(seconds=240)
"""DESIGN 4.9: `closed` at the latest so long after `completed` ..."""
CLOSED_WITHIN = timedelta(seconds=480)
"""... and so long after `requested`."""


class Followed(Protocol):
    """One search's log, followed and written under a lease; raises Abandoned once another holds it."""

    state: SearchState

    @property
    def read_to(self) -> int:
        """Up to which sequence every fact is folded."""

    async def publish(self, outgoing: Outgoing) -> None:
        """Append a fact and fold it."""

    async def command(self, outgoing: Outgoing) -> None:
        """Send a command."""

    async def put_answer(self, name: str, content: bytes) -> ObjectRef:
        """Keep an answer in the Object Store."""

    async def held(self, requested: Requested, *, by: datetime) -> Held | None:
        """The stored answer that the search was answered with, or that the memory has for it now."""

    async def first_rows_of(self, ref: ObjectRef) -> tuple[Result, ...]:
        """The first rows of a stored answer; none when they cannot be read."""

    async def until(self, done: Callable[[SearchState], bool], *, by: datetime) -> bool:
        """Wait until the fold satisfies `done` (True) or the moment has come (False)."""


Hold = Callable[[str], AbstractAsyncContextManager[Followed]]


async def run_search(
    requested: Requested, _: Delivery, *, hold: Hold, budgets: Budgets, clock: Clock
) -> AsyncIterator[Outgoing]:
    """Hold one search from request to `closed`. It yields nothing: its facts go out under its lease."""
    async with hold(requested.search_id) as search:
        if search.state.closed is None:
            with _counted_as_active():
                await _to_its_end(search, requested, budgets=budgets, clock=clock)
            await _report(search, requested, clock=clock)
        await _archive(search)
    return
    yield  # the bus takes a generator


async def _to_its_end(search: Followed, requested: Requested, *, budgets: Budgets, clock: Clock) -> None:
    """The stages up to the terminal fact, each a span of the search's trace."""
    state = search.state
    told = of_search(requested.search_id, requested.query.sector, requested.query.ufs)
    if requested.stored is not None and not requested.refresh:
        with span("persist", **told, items_out=requested.stored.total):
            await _serve(search, requested, requested.stored, clock=clock)
        return
    with span("prepare", **told) as step:
        await _plan(search, requested, budgets=budgets)
        about(step, items_in=len(requested.query.sources), items_out=len(state.asked_places))
    with span("fetch", **told, items_in=len(state.asked_places)) as step:
        await _gather(search, requested, clock=clock)
        about(step, items_out=sum(fact.records for fact in state.gathered.values()))
    with span("enrich", **told, items_in=state.counts().uncertain) as step:
        await _settle(search, requested, clock=clock)
        about(step, items_out=state.counts().uncertain)
    with span("persist", **told, items_in=state.counts().accepted) as step:
        await _complete(search, requested, clock=clock)
        about(step, items_out=state.completed.total if state.completed else 0)


@contextmanager
def _counted_as_active() -> Iterator[None]:
    ACTIVE_SEARCHES.add(1)
    try:
        yield
    finally:
        ACTIVE_SEARCHES.add(-1)


async def _serve(search: Followed, requested: Requested, stored: StoredAnswer, *, clock: Clock) -> None:
    """A stored answer of which nothing is due is the answer: there is nothing to look at."""
    if search.state.completed is None:
        rows = await search.first_rows_of(stored.ref)
        completed = served(requested, stored, rows, now=clock())
        await search.publish(COMPLETED.message(completed, search_id=requested.search_id))
        await _tell_progress(search, clock=clock)


async def _plan(search: Followed, requested: Requested, *, budgets: Budgets) -> None:
    planned = search.state.planned or plan(requested, budgets=budgets)
    if search.state.planned is None:
        await search.publish(PLANNED.message(planned, search_id=requested.search_id))
    if search.state.completed is None:
        for command in gathers(requested, planned):
            await search.command(GATHER.message(command, dedup=f"{requested.search_id}:{command.source}:1"))


async def _gather(search: Followed, requested: Requested, *, clock: Clock) -> None:
    """Wait until every place has reported and is judged, or until it is time to close with what is there."""
    state = search.state
    if state.completed is not None:
        return
    planned: Planned = state.planned  # type: ignore[assignment]  # _plan has written it
    watch = UfWatch.after(state)
    over = requested.deadline - CLOSE_RESERVE
    while not state.everything_judged and state.cancelled is None:
        await _tell_progress(search, clock=clock)
        gathered = state.everything_gathered
        by = over if gathered else min(planned.consolidation_deadline, over)
        moved = await search.until(partial(_moved, watch=watch, gathered=gathered), by=by)
        for finished in watch.finished(state):
            log.info("uf_complete", **finished)
        if not moved:
            return


def _moved(state: SearchState, *, watch: UfWatch, gathered: bool) -> bool:
    """Whether there is something to tell, or another deadline: what is gathered may be judged until the very end."""
    return (
        state.everything_judged
        or state.cancelled is not None
        or state.everything_gathered is not gathered
        or watch.has_news(state)
    )


async def _settle(search: Followed, requested: Requested, *, clock: Clock) -> None:
    """Spend the budgets on the open bids, items first, and wait for what comes of it, but not long (DESIGN 4.7)."""
    state = search.state
    if state.completed is not None or state.cancelled is not None or state.planned is None or not state.uncertain():
        return
    by = min(clock() + SETTLING_WAIT, requested.deadline - CLOSE_RESERVE)
    lens, planned = requested.query.lens, state.planned
    fetched_by = by - ITEMS_RESERVE
    inspecting = inspections(state, budget=planned.items_budget, tenant=requested.tenant, by=fetched_by)
    if fetched_by > clock() and inspecting:
        for each in inspecting:
            await search.command(
                FETCH_ITEMS.message(each, dedup=f"{each.search_id}:{each.source}:1", source=each.source)
            )
        wanted = {bid_id for each in inspecting for bid_id in each.bid_ids}
        await search.until(lambda s: wanted <= s.items.keys() or s.cancelled is not None, by=fetched_by)
    await _order(search, item_orders(state, lens, by=by), by=by, clock=clock)
    await _order(
        search, arbitrations(state, lens, budget=planned.arbitrations_budget, by=by), by=by, clock=clock
    )  # fmt: skip


async def _order(search: Followed, orders: Sequence[ArbitrateBids], *, by: datetime, clock: Clock) -> None:
    """Have the judge look again, and wait for its answers."""
    if not orders or by <= clock() or search.state.cancelled is not None:
        return
    for order in orders:
        await search.command(ARBITRATE.message(order, dedup=f"{order.search_id}:{order.batch}:1"))
    wanted = {order.batch for order in orders}
    await search.until(lambda s: wanted <= s.arbitrated_batches or s.cancelled is not None, by=by)


async def _complete(search: Followed, requested: Requested, *, clock: Clock) -> None:
    state = search.state
    if state.completed is not None:
        return
    folded_to, usage = search.read_to, state.usage()
    # Off the loop: ranking and packing thousands of bids takes long enough for other searches' beats to be missed.
    live = await asyncio.to_thread(answer_of, state.copy(), now=clock())
    held = None
    if requested.stored is not None or live.status in {Status.EMPTY_FAILURE, Status.DEGRADED}:
        held = await search.held(requested, by=requested.deadline)
    end = settled(live, held, rejections=state.rejected(), now=clock())
    answer, ref = end.answer, end.ref
    if ref is None and answer.status is not Status.EMPTY_FAILURE:
        packed = await asyncio.to_thread(encode_answer, answer)
        ref = await _put(search, answer, packed, by=requested.deadline, clock=clock)
    breakdown = {str(reason): count for reason, count in sorted(state.rejections().items())}
    completed = completed_of(end, ref, folded_to=folded_to, usage=usage)
    await search.publish(COMPLETED.message(completed, search_id=answer.search_id))
    seconds = (answer.finished_at - answer.created_at).total_seconds()
    SEARCHES.add(status=answer.status)
    SEARCH_SECONDS.observe(seconds, status=answer.status)
    COVERAGE_PCT.observe(answer.coverage.coverage_pct)
    log.info("filter_complete", rejected_by=breakdown, **answer.counts.model_dump())
    log.info(
        "search_complete",
        status=str(answer.status),
        coverage_pct=answer.coverage.coverage_pct,
        results=len(answer.results),
        duration_ms=int(seconds * 1000),
    )
    await _tell_progress(search, clock=clock)


async def _put(search: Followed, answer: Answer, packed: bytes, *, by: datetime, clock: Clock) -> ObjectRef | None:
    """Under a name of its own bytes: one who lost the lease may still write, but never over the answer that counts.

    A store that takes nothing is tried until the search's deadline; then the search still ends, with its first rows.
    """
    digest = hashlib.sha256(packed).hexdigest()[:16]
    while True:
        try:
            return await search.put_answer(f"answers/{answer.search_id}/{answer.revision}/{digest}", packed)
        except Unavailable as exc:
            if clock() >= by:
                log.error("answer_not_kept", search_id=answer.search_id, reason=exc.code, size=len(packed))
                return None
            await asyncio.sleep(PUT_AGAIN)


async def _report(search: Followed, requested: Requested, *, clock: Clock) -> None:
    """The jobs work on the answer's revision; nobody waits for them beyond the chain."""
    completed = search.state.completed
    assert completed is not None  # noqa: S101 - _complete has written it
    by = min(completed.at + REPORT_WITHIN, requested.created_at + CLOSED_WITHIN)
    await search.command(to_the_memory(completed, requested))
    if completed.answer_ref is not None and not nobody_waits(requested):
        for command in jobs(completed, completed.answer_ref, by=by):
            await search.command(command)
        await search.until(_reported, by=by)
    search_id = requested.search_id
    closed = Closed(search_id=search_id, at=clock())
    await _tell_progress(search, clock=clock, state=search.state.after(search.state.last_sequence, closed))
    await search.publish(CLOSED.message(closed, search_id=search_id))


async def _archive(search: Followed) -> None:
    """After `closed`, and again by whoever finds the search closed: the one before may have died in between."""
    closed = search.state.closed
    assert closed is not None  # noqa: S101 - _report has written it
    command = Archive(search_id=closed.search_id, closed_at=closed.at)
    await search.command(ARCHIVE.message(command, dedup=f"{closed.search_id}:1"))


def _reported(state: SearchState) -> bool:
    return state.summary is not None and (state.spreadsheet is not None or state.spreadsheet_failed is not None)


async def _tell_progress(search: Followed, *, clock: Clock, state: SearchState | None = None) -> None:
    """The derived HTTP state, for whoever reads a search that it does not follow."""
    state = state or search.state
    told = ProgressState(search_id=state.search_id, view=state.view(clock()), folded_to=state.last_sequence)
    await search.publish(PROGRESS_STATE.message(told, dedup=f"{state.last_sequence}", search_id=state.search_id))
