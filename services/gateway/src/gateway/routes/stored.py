"""The memory of answers for operators: its health, its figures, its entries, and letting some of them go (B03-B05)."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel

from contracts.answers import (
    CacheQuery,
    CacheReply,
    EntryQuery,
    EntryReply,
    EntryState,
    Forget,
    ForgetReply,
    LevelState,
)
from contracts.subjects import CACHE_ENTRIES, CACHE_STATE, FORGET, Topic
from contracts.values import Source
from contracts.when import UtcDatetime
from gateway.domain.problem import Problem
from gateway.routes.circuits import Current, current_of
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Desk
from servicekit.errors import Unavailable

health = APIRouter(prefix="/v1/health", tags=["saúde"])
router = APIRouter(
    prefix="/v1/admin/cache",
    tags=["administração"],
    responses=problems("key.missing", "key.wrong", "scope.missing", "bus.unavailable"),
)

ANSWERS_WITHIN: Final = timedelta(seconds=3)
_KEY: Final = re.compile(r"v[0-9]+-[0-9a-f]{32}")

Key = Annotated[str, Path(description="A chave de uma resposta guardada.", examples=["v2-" + "0" * 32])]


class CacheHealth(BaseModel):
    """How the memory of answers does."""

    status: Literal["healthy", "degraded", "unavailable"]
    redis: Literal["connected", "unavailable", "off"] | None = None
    redis_connected: bool = False
    redis_latency_ms: float | None = None
    redis_memory_used_mb: float | None = None
    levels: tuple[LevelState, ...] = ()
    degraded_keys_count: int = 0
    avg_fail_streak: float = 0.0
    refreshing: int = 0
    """Answers that are made anew now."""
    sources: tuple[Current, ...] = ()
    """Breaker and limiter of each source, and whether all processes share them (B06)."""


class CacheMetrics(BaseModel):
    """Figures of the memory of answers; rates are of all requests of the last 24 h, from 0 to 1."""

    hit_rate_24h: float
    miss_rate_24h: float
    stale_served_24h: int
    requests_24h: int
    total_entries: int
    priority_distribution: dict[str, int]
    age_distribution: dict[str, int]
    degraded_keys: tuple[str, ...]
    at: UtcDatetime


class Entries(BaseModel):
    """Entries, those asked for most first."""

    entries: tuple[EntryState, ...]


class Dropped(BaseModel):
    """What was let go."""

    dropped: int


@health.get("/cache", summary="Saúde da memória de respostas")
async def cache_health(desk: AtDesk) -> CacheHealth:
    """Always 200: it says what is wrong in its body."""
    sources = tuple(current_of(source, desk.seen, desk.clock()) for source in Source)
    try:
        state: CacheReply = await _ask(desk, CACHE_STATE, CacheQuery())
    except Unavailable:
        return CacheHealth(status="unavailable", sources=sources)
    whole = all(each.available and not each.behind for each in state.levels) and state.redis != "unavailable"
    return CacheHealth(
        status="healthy" if whole else "degraded",
        redis=state.redis,
        redis_connected=state.redis == "connected",
        redis_latency_ms=state.redis_latency_ms,
        redis_memory_used_mb=state.redis_memory_used_mb,
        levels=state.levels,
        degraded_keys_count=state.degraded_keys_count,
        avg_fail_streak=state.avg_fail_streak,
        refreshing=state.refreshing,
        sources=sources,
    )


@router.get("/metrics", summary="Números da memória de respostas")
async def metrics(desk: AtDesk) -> CacheMetrics:
    """Hits, misses and what is kept."""
    state: CacheReply = await _ask(desk, CACHE_STATE, CacheQuery())
    asked = state.hits_24h + state.stale_24h + state.misses_24h
    return CacheMetrics(
        hit_rate_24h=_rate(state.hits_24h + state.stale_24h, asked),
        miss_rate_24h=_rate(state.misses_24h, asked),
        stale_served_24h=state.stale_24h,
        requests_24h=asked,
        total_entries=state.total_entries,
        priority_distribution=state.priority_distribution,
        age_distribution=state.age_distribution,
        degraded_keys=state.degraded_keys,
        at=state.at,
    )


@router.get("", summary="As respostas guardadas mais pedidas")
async def entries(desk: AtDesk, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Entries:
    """Those asked for most first."""
    reply: EntryReply = await _ask(desk, CACHE_ENTRIES, EntryQuery(limit=limit))
    return Entries(entries=reply.entries)


@router.delete("", summary="Esquecer todas as respostas guardadas", responses=problems("confirmation.missing"))
async def forget_all(
    desk: AtDesk, x_confirm: Annotated[str | None, Header(description="`delete-all`, ou nada é apagado.")] = None
) -> Dropped:
    """Drop every entry of every level; the bids and the ledger stay."""
    if x_confirm != "delete-all":
        raise Problem("confirmation.missing")
    reply: ForgetReply = await _ask(desk, FORGET, Forget())
    return Dropped(dropped=reply.dropped)


@router.get("/{key}", summary="Uma resposta guardada", responses=problems("entry.not_found"))
async def entry(key: Key, desk: AtDesk) -> EntryState:
    """What is known of one key."""
    if not _KEY.fullmatch(key):
        raise Problem("entry.not_found")
    reply: EntryReply = await _ask(desk, CACHE_ENTRIES, EntryQuery(key=key))
    if not reply.entries:
        raise Problem("entry.not_found")
    return reply.entries[0]


@router.delete("/{key}", summary="Esquecer uma resposta guardada", responses=problems("entry.not_found"))
async def forget(key: Key, desk: AtDesk) -> Dropped:
    """Drop one entry of every level."""
    if not _KEY.fullmatch(key):
        raise Problem("entry.not_found")
    reply: ForgetReply = await _ask(desk, FORGET, Forget(key=key))
    if not reply.dropped:
        raise Problem("entry.not_found")
    return Dropped(dropped=reply.dropped)


async def _ask(desk: Desk, topic: Topic[Any], query: BaseModel) -> Any:
    if desk.asker is None:
        raise Unavailable("rpc.no_answer")
    return await desk.asker.request(topic, query, timeout=ANSWERS_WITHIN)


def _rate(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
