"""The sources' circuits: how they are, how their day was, and every transition of 400 days."""

from collections import Counter
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from contracts.ops import BreakerChanged, CircuitState
from contracts.values import Source
from contracts.when import UtcDatetime
from gateway.domain.circuits import A_DAY, KEPT_FOR, Seen, days, health_score
from gateway.domain.problem import Problem
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, CircuitHistory, Desk

router = APIRouter(prefix="/v1/health/circuits", tags=["saúde"], responses=problems("storage.away"))

MOST: Final = 10_000
"""Transitions of one day; a circuit has a few in an hour."""


class Current(BaseModel):
    """One source as the processes that ask it tell."""

    source: Source
    state: CircuitState | None
    """None: no process tells of it."""
    parts: dict[str, CircuitState]
    """Its other circuits that are not closed."""
    rate_configured: float | None
    rate: float | None
    """Requests a second at present, as learned from the source's refusals."""
    silent_s: float
    waiting: int
    retries_left: float
    probes: int
    processes: int
    shared: bool
    """Whether all processes share one rate and one breaker."""
    counted: dict[str, int]
    """How often each rule for the source's misbehaviour had something to do, over the living processes."""


class CircuitDay(BaseModel):
    """What a circuit did in the last 24 h."""

    circuit: str
    transitions: int
    openings: int
    not_closed_s: int


class Circuits(BaseModel):
    """The dashboard (T02.5)."""

    current: tuple[Current, ...]
    last_24h: tuple[CircuitDay, ...]
    health_score: int
    at: UtcDatetime


def _written(moment: str | datetime | None) -> str | datetime | None:
    """A moment is written out (RFC 3339): pydantic would take a bare number for seconds since 1970."""
    if isinstance(moment, str) and "T" not in moment.upper():
        raise ValueError("must be a date and time")
    return moment


class Wanted(BaseModel):
    """Which part of the history."""

    model_config = ConfigDict(extra="forbid")

    source: Source | None = None
    before: Annotated[UtcDatetime | None, BeforeValidator(_written)] = Field(
        default=None,
        description="Só as anteriores: `next_before` da página anterior.",
    )
    limit: int = Field(default=100, ge=1, le=1000)


class Transitions(BaseModel):
    """One page of the history, the newest first."""

    transitions: tuple[BreakerChanged, ...]
    next_before: UtcDatetime | None
    """Where the next page begins; None on the last."""


@router.get("", summary="Os circuitos das fontes: agora e nas últimas 24 horas")
async def circuits(desk: AtDesk) -> Circuits:
    """State, learned rate and counters of each source, and how often its circuits opened in the last day."""
    now = desk.clock()
    changes = await _history(desk).since(now - A_DAY, limit=MOST)
    lately = days(reversed(changes), now=now)
    current = tuple(current_of(source, desk.seen, now) for source in Source)
    return Circuits(
        current=current,
        last_24h=tuple(
            CircuitDay(
                circuit=day.circuit,
                transitions=day.transitions,
                openings=day.openings,
                not_closed_s=day.not_closed_s,
            )
            for day in lately
        ),
        health_score=health_score({each.source: each.state for each in current}, lately),
        at=now,
    )


@router.get("/history", summary="Todas as mudanças de circuito dos últimos 400 dias")
async def history(desk: AtDesk, wanted: Annotated[Wanted, Query()]) -> Transitions:
    """Which circuit changed, from what to what, why, after how many failures, when."""
    first = desk.clock() - KEPT_FOR
    found = await _history(desk).since(first, before=wanted.before, source=wanted.source, limit=wanted.limit)
    full = len(found) == wanted.limit
    return Transitions(transitions=tuple(found), next_before=found[-1].at if full else None)


def _history(desk: Desk) -> CircuitHistory:
    if desk.circuits is None:
        raise Problem("storage.away", headers={"Retry-After": "2"})
    return desk.circuits


def current_of(source: Source, seen: Seen, now: datetime) -> Current:
    """One source as the processes that ask it tell: breaker and limiter, the worst word of each counting."""
    told = seen.of(source, now=now)
    counted: Counter[str] = Counter()
    for each in told:
        counted.update(each.counted)
    worst = max(told, key=lambda each: _BADNESS[each.state], default=None)
    return Current(
        source=source,
        state=None if worst is None else worst.state,
        parts={name: state for each in reversed(told) for name, state in each.parts.items()},
        rate_configured=told[0].rate_configured if told else None,
        rate=min((each.rate for each in told), default=None),
        silent_s=max((each.silent_s for each in told), default=0.0),
        waiting=sum(each.waiting for each in told),
        retries_left=sum(each.retries_left for each in told),
        probes=sum(each.probes for each in told),
        processes=len(told),
        shared=all(each.shared for each in told),
        counted=dict(sorted(counted.items())),
    )


_BADNESS: Final = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}
