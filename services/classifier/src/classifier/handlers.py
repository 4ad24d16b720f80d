"""Commands to the classifier: one batch of bids in, its outcomes out."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from classifier.arbiter import Bill, Decider
from classifier.domain.items import inspect, looked_at, ruled_by_items
from classifier.domain.lens import OwnTermsCache
from classifier.domain.relevance import Judge
from classifier.domain.verdicts import Outcome, judge_bid
from contracts.classification import (
    AcceptedBid,
    ArbitrateBids,
    Arbitrated,
    JudgeBids,
    Judged,
    RejectedBid,
    UncertainBid,
)
from contracts.subjects import ARBITRATED, JUDGED, Outgoing
from servicekit.bus import Delivery
from servicekit.logs import log
from servicekit.telemetry.measures import FILTER_DECISIONS
from servicekit.telemetry.tracing import about, of_search, span

T = TypeVar("T", AcceptedBid, RejectedBid, UncertainBid)

PART_BYTES = 200_000
"""A part of a judged batch stays below this, well under what the bus refuses."""
_BREATH = 10
"""Bids judged between two turns of the event loop."""


@dataclass(frozen=True)
class Bench:
    """What judging needs, built once."""

    judge: Judge
    own_terms: OwnTermsCache
    viability_enabled: bool


def _always() -> bool:
    return True


async def judge(
    command: JudgeBids, _delivery: Delivery, *, bench: Bench, viability_on: Callable[[], bool] = _always
) -> AsyncIterator[Outgoing]:
    """Judges a batch, late or not: it costs milliseconds, and an unjudged bid would be a lost one.

    Time left for a proposal is counted from the search's deadline, not from a clock, so that the same command and
    catalogue give the same bytes whenever they are judged.
    """
    with span("filter", **of_search(command.search_id, command.lens.sector, (command.uf,))) as step:
        outcomes = await _outcomes(command, bench, viability=bench.viability_enabled and viability_on())
        accepted = sum(isinstance(outcome, AcceptedBid) for outcome in outcomes)
        about(step, items_in=len(outcomes), items_out=accepted)
    for outcome in outcomes:
        _count(outcome)
    for judged in parts_of(command, outcomes, catalogue_version=bench.judge.version):
        yield JUDGED.message(judged, search_id=judged.search_id, batch=judged.batch, part=judged.part)


async def _outcomes(command: JudgeBids, bench: Bench, *, viability: bool) -> list[Outcome]:
    own = bench.own_terms.of(command.lens.terms) if command.lens.terms else None
    outcomes: list[Outcome] = []
    for number, sighted in enumerate(command.bids, start=1):
        outcomes.append(
            judge_bid(
                sighted, lens=command.lens, judge=bench.judge, own=own, now=command.deadline,
                viability_enabled=viability,
            )
        )  # fmt: skip
        if number % _BREATH == 0:
            await asyncio.sleep(0)
    return outcomes


async def arbitrate(
    command: ArbitrateBids,
    _delivery: Delivery,
    *,
    bench: Bench,
    arbiter: Decider | None,
    llm_on: Callable[[], bool] = _always,
) -> AsyncIterator[Outgoing]:
    """Items decide first; what they leave open a model is asked about, each bid on its own and all at once.

    What is not answered by the deadline stays open for the rules.
    """
    bill = Bill()
    verdicts, left = _by_items(command, bench=bench)
    if arbiter is not None and command.ask_model and left and llm_on():
        items = dict(command.items)
        decided = await asyncio.gather(
            *(
                arbiter.decide(
                    bid, command.lens, items=items.get(bid.sighted.bid.id, ()), by=command.deadline, bill=bill
                )
                for bid in left
            )
        )
        verdicts += [each for each in decided if isinstance(each, AcceptedBid | RejectedBid)]
        why = Counter(str(each) for each in decided if not isinstance(each, AcceptedBid | RejectedBid))
        log.info("arbitrated", bids=len(decided), accepted=sum(isinstance(v, AcceptedBid) for v in decided), left=why)
    named = {bid_id for bid_id, items in command.items if items}
    named -= {each.id if isinstance(each, RejectedBid) else each.sighted.bid.id for each in verdicts}
    fact = Arbitrated(
        search_id=command.search_id, batch=command.batch,
        accepted=tuple(_only(AcceptedBid, verdicts)), rejected=tuple(_only(RejectedBid, verdicts)),
        left_open=tuple(bid for bid in left if bid.sighted.bid.id in named),
        llm_tokens=bill.tokens, llm_usd=bill.usd,
    )  # fmt: skip
    yield ARBITRATED.message(fact, search_id=fact.search_id, batch=fact.batch)


def _by_items(command: ArbitrateBids, *, bench: Bench) -> tuple[list[AcceptedBid | RejectedBid], list[UncertainBid]]:
    """The verdicts that items give, and the bids that they leave open."""
    own = bench.own_terms.of(command.lens.terms) if command.lens.terms else None
    items = dict(command.items)
    verdicts: list[AcceptedBid | RejectedBid] = []
    left: list[UncertainBid] = []
    for bid in command.bids:
        inspection = inspect(items.get(bid.sighted.bid.id, ()), command.lens, judge=bench.judge, own=own)
        verdict = ruled_by_items(inspection, bid)
        if verdict is None:
            left.append(looked_at(inspection, bid))
        else:
            verdicts.append(verdict)
    return verdicts, left


def _count(outcome: Outcome) -> None:
    match outcome:
        case RejectedBid():
            FILTER_DECISIONS.add(decision="rejected", reason=outcome.reason)
        case AcceptedBid():
            FILTER_DECISIONS.add(decision="accepted", reason=outcome.verdict.relevance_source)
        case UncertainBid():
            FILTER_DECISIONS.add(decision="uncertain", reason=outcome.verdict.relevance_source)


def parts_of(command: JudgeBids, outcomes: Sequence[Outcome], *, catalogue_version: str) -> Iterator[Judged]:
    """The outcomes in their order, in as few messages as the bound allows."""
    groups: list[list[Outcome]] = [[]]
    size = 0
    for outcome in outcomes:
        weight = len(outcome.to_json()) + 1
        if groups[-1] and size + weight > PART_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(outcome)
        size += weight
    for part, group in enumerate(groups, start=1):
        yield Judged(
            search_id=command.search_id, batch=command.batch, part=part, parts=len(groups),
            source=command.source, uf=command.uf, catalogue_version=catalogue_version,
            accepted=tuple(_only(AcceptedBid, group)), rejected=tuple(_only(RejectedBid, group)),
            uncertain=tuple(_only(UncertainBid, group)),
        )  # fmt: skip


def _only(kind: type[T], outcomes: Iterable[Outcome]) -> Iterator[T]:
    return (outcome for outcome in outcomes if isinstance(outcome, kind))
