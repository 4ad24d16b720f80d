"""Settings to adapters to handlers: the fetcher put together."""

import dataclasses
import functools
import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from contracts.control import Control
from contracts.fetch import Document, Item
from contracts.ops import CircuitSeen, CircuitState
from contracts.subjects import BELL, DETAILS, FETCHER_CLAIMS, FETCHER_ITEMS
from contracts.values import Source
from fetcher.adapters.http import SourceHttp
from fetcher.adapters.memory import BusMemory
from fetcher.adapters.pcp import PcpReader
from fetcher.adapters.pcp_details import PcpDetails
from fetcher.adapters.pncp import PncpReader
from fetcher.adapters.pncp_details import PncpDetails
from fetcher.adapters.transitions import Transitions
from fetcher.asking import Asker
from fetcher.canary import EVERY as CANARY_EVERY
from fetcher.canary import Canary, sing
from fetcher.clocks import Limits
from fetcher.details import Details, ReadLeaf
from fetcher.engine import Engine, PageReader
from fetcher.guard import SLOW, Guard
from fetcher.handlers import OpenClaims, describe, fetch, inspect
from fetcher.lane import Lane
from fetcher.settings import FetcherSettings
from fetcher.telling import EVERY, Telling, name_of_process, tell
from servicekit.bus import Bus
from servicekit.chain import TimeoutChain
from servicekit.clock import utc_now
from servicekit.every import Every
from servicekit.levers import Levers
from servicekit.service import Service
from servicekit.shared.breaker import Breaker
from servicekit.shared.circuit import Policy, State
from servicekit.shared.link import RedisLink
from servicekit.shared.rate import SourceRate
from servicekit.telemetry.measures import BREAKER_DEGRADED, CIRCUITS_OPEN, SOURCE_PAUSED, SOURCE_RATE, SOURCE_WAITING

UF_LEAST_CALLS = 10
"""Half of what the whole source's circuit needs: a sick UF is closed off before it closes the source."""
PROBE_GRACE = 5.0
"""Seconds beyond a request's own deadline after which a probe's place is free again."""


def build(settings: FetcherSettings | None = None, *, chain: TimeoutChain | None = None) -> Service:
    """The fetcher of both sources, ready to start."""
    settings = settings or FetcherSettings()
    chain = chain or TimeoutChain.load()
    bus = Bus(url=settings.nats_url, service="fetcher")
    lists, items, pcp = (
        SourceHttp(base) for base in (settings.pncp_consulta_url, settings.pncp_api_url, settings.pcp_api_url)
    )
    memory, open_claims, transitions = BusMemory(bus), OpenClaims(), Transitions(bus, utc_now)
    link = RedisLink(settings.redis_url) if settings.redis_url else None
    pncp_details, pcp_details = PncpDetails(items), PcpDetails(pcp)
    alarms = {source: functools.partial(transitions.drifted, source) for source in Source}
    pncp_lists, pcp_lists = (PncpReader(lists, alarm=alarms[Source.PNCP]), PcpReader(pcp, alarm=alarms[Source.PCP]))
    sources: tuple[tuple[PageReader, float, ReadLeaf[Item], ReadLeaf[Document] | None], ...] = (
        (pncp_lists, settings.pncp_rate_per_second, pncp_details.items, pncp_details.documents),
        (pcp_lists, settings.pcp_rate_per_second, pcp_details.items, None),
    )
    levers = Levers(bus)
    details: dict[Source, Details] = {}
    breakers: list[Breaker] = []
    canaries: dict[Source, Canary] = {}
    tellings: list[Telling] = []
    for reader, rate, read_items, read_documents in sources:
        source = reader.source
        rate_limit = SourceRate(source, rate, link=link, processes=settings.fetcher_max_processes)
        breaker = _breaker(source, settings, chain, link=link, transitions=transitions)
        breakers.append(breaker)
        asker = Asker(
            lane=Lane(rate_limit),
            guard=Guard(breaker),
            chance=random.SystemRandom().random,
        )
        tellings.append(Telling(source, rate=rate_limit, breaker=breaker, asker=asker, now=utc_now))
        levers.listen(functools.partial(_set, asker, source))
        _measured(rate_limit, asker.lane, breaker, source)
        limits, alarm = limits_of(source, chain), alarms[source]
        engine = Engine(reader=reader, asker=asker, limits=limits, now=utc_now, alarm=alarm)
        canaries[source] = Canary(reader=reader, asker=asker, limits=limits, now=utc_now, alarm=alarm)
        details[source] = Details(
            items=read_items,
            documents=read_documents,
            asker=asker,
            within=timedelta(seconds=settings.fetcher_items_timeout),
            now=utc_now,
        )
        transitions.opened[source] = engine.circuit_opened
        bus.handle(
            FETCHER_CLAIMS[source],
            functools.partial(fetch, engine=engine, memory=memory, open_claims=open_claims),
        )
        bus.handle(FETCHER_ITEMS[source], functools.partial(inspect, details=details[source]))
    bus.answer(DETAILS, functools.partial(describe, sources=details, now=utc_now))
    bus.listen(BELL, open_claims.hear)
    telling = Every(EVERY, functools.partial(tell, bus, tellings, worker=name_of_process()), name="telling")
    parts: list[AbstractAsyncContextManager[Any]] = [lists, items, pcp, transitions, telling]
    if (settings.canary or settings.ingest) == "on":
        parts.append(Every(CANARY_EVERY, functools.partial(sing, tuple(canaries.values())), name="canary"))
    parts = parts if link is None else [link, *parts]
    return Service(
        name="fetcher",
        bus=bus,
        parts=parts,
        circuits=functools.partial(_seen, breakers, canaries, levers),
        levers=levers,
    )


def _set(asker: Asker, source: Source, control: Control) -> None:
    told = control.of(source)
    asker.set(told)
    SOURCE_PAUSED.set(told.paused, source=source)


def _seen(breakers: Sequence[Breaker], canaries: Mapping[Source, Canary], levers: Levers) -> list[CircuitSeen]:
    seen = []
    for each in breakers:
        source = Source(each.source)
        told = levers.control.of(source)
        state = CircuitState(told.breaker or each.state)
        seen.append(CircuitSeen(source=source, state=state, paused=told.paused, canary=canaries[source].outcome))
    return seen


def _measured(bucket: SourceRate, lane: Lane, breaker: Breaker, source: Source) -> None:
    SOURCE_RATE.follow(lambda: bucket.rate, source=source)
    SOURCE_WAITING.follow(lambda: lane.waiting, source=source)
    BREAKER_DEGRADED.follow(lambda: breaker.state is not State.CLOSED, source=source)
    CIRCUITS_OPEN.follow(lambda: len(breaker.parts_not_closed), source=source)


def _breaker(
    source: Source, settings: FetcherSettings, chain: TimeoutChain, *, link: RedisLink | None, transitions: Transitions
) -> Breaker:
    policy = Policy(
        slow_after=SLOW.total_seconds(),
        probes=settings.breaker_probes,
        probe_time=chain.http.total_seconds() + PROBE_GRACE,
        first_pause=settings.breaker_first_pause,
        longest_pause=max(settings.breaker_first_pause, settings.breaker_longest_pause),
        slow_call_rule=settings.breaker_slow_call_rule,
        count_4xx=settings.breaker_count_4xx,
    )
    return Breaker(
        source,
        policy=policy,
        part_policy=dataclasses.replace(policy, least_calls=UF_LEAST_CALLS),
        tell=transitions.tell,
        link=link,
    )


def limits_of(source: Source, chain: TimeoutChain) -> Limits:
    """The chain for one source. A national listing is neither a UF nor a modalidade: it has the source's time."""
    if source.national:
        return Limits(
            claim=chain.per_source, claim_code="timeout.source", modalidade=chain.per_source, attempt=chain.http
        )
    return Limits(
        claim=chain.per_uf,
        claim_code="timeout.uf",
        modalidade=chain.per_modality,
        attempt=chain.http,
        claim_degraded=chain.per_uf_degraded,
    )
