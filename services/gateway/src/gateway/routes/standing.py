"""How the system does, in parts: for operators, and for whoever decides where requests go."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from contracts.ops import JobSeen, QueueSeen
from contracts.when import UtcDatetime
from gateway.domain.board import Board
from gateway.domain.problem import Problem
from gateway.domain.score import Score, Word, score_of
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Desk
from servicekit.health import CheckResult

router = APIRouter(prefix="/v1/health", tags=["saúde"])
kept = APIRouter(prefix="/v1/metrics", tags=["administração"])


class Worker(BaseModel):
    """One process."""

    worker: str
    service: str
    status: Literal["alive", "not_ready", "drained", "silent"]
    started_at: UtcDatetime
    last_beat: UtcDatetime
    age_s: float
    failing: tuple[str, ...]
    degraded: tuple[str, ...]
    loop_lag_s: float
    jobs: tuple[JobSeen, ...]


class Workers(BaseModel):
    """Every process that was heard of in the last quarter of an hour."""

    status: Word
    workers: tuple[Worker, ...]


class Queues(BaseModel):
    """What waits, and where."""

    queue: Literal["healthy", "degraded", "unavailable"]
    """`unavailable` without the bus, or while a consumer is missing."""
    pending: int
    in_work: int
    redelivered: int
    dead_letters: int
    queues: tuple[QueueSeen, ...]
    streams: dict[str, dict[str, float]]


class Broken(BaseModel):
    """A rule of the watcher that is broken now."""

    rule: str
    subject: str
    text: str
    since: UtcDatetime


class Deep(BaseModel):
    """Everything at once."""

    status: Word
    score: Score
    checks: dict[str, CheckResult]
    """Of this gateway."""
    workers: Workers
    queue: Queues
    alerts: tuple[Broken, ...]


class Moment(BaseModel):
    """How the system did."""

    at: UtcDatetime
    content: dict[str, Any]


class History(BaseModel):
    """One moment every five minutes, the oldest first."""

    snapshots: tuple[Moment, ...]


@router.get("/score", summary="Uma nota para o sistema inteiro")
async def score(desk: AtDesk) -> Score:
    """0 to 100 per component; 80 is healthy, 50 degraded."""
    return score_of(_board(desk), desk.clock(), connected=desk.publisher.connected)


@router.get("/workers", summary="Quem está trabalhando")
async def workers(desk: AtDesk) -> Workers:
    """Each process as its last heartbeat told."""
    return _workers(_board(desk), desk)


@router.get("/queue", summary="O que espera nas filas")
async def queue(desk: AtDesk) -> Queues:
    """Each consumer, each stream, and how many letters are dead."""
    return _queues(_board(desk), desk)


@router.get("/deep", summary="Tudo de uma vez")
async def deep(desk: AtDesk) -> Deep:
    """The checks of this gateway, the board and what is wrong."""
    board, now = _board(desk), desk.clock()
    found = score_of(board, now, connected=desk.publisher.connected)
    checked = await desk.health() if desk.health is not None else None
    return Deep(
        status=found.status,
        score=found,
        checks=checked.checks if checked is not None else {},
        workers=_workers(board, desk),
        queue=_queues(board, desk),
        alerts=tuple(
            Broken(rule=each.rule, subject=each.subject, text=each.text, since=each.since) for each in board.look(now)
        ),
    )


@kept.get(
    "/history",
    summary="Como o sistema esteve",
    responses=problems("key.missing", "key.wrong", "scope.missing", "storage.away"),
)
async def history(
    desk: AtDesk, hours: Annotated[int, Query(ge=1, le=168, description="Até sete dias para trás.")] = 24
) -> History:
    """Snapshots of the last hours; needs a key with `metrics` or `admin`."""
    if desk.history is None:
        raise Problem("storage.away", headers={"Retry-After": "2"})
    found = await desk.history.since(desk.clock() - timedelta(hours=hours))
    return History(snapshots=tuple(Moment(at=at, content=content) for at, content in found))


def _board(desk: Desk) -> Board:
    return desk.board


def _workers(board: Board, desk: Desk) -> Workers:
    now = desk.clock()
    shown = tuple(
        Worker(
            worker=beat.worker,
            service=beat.service,
            status="silent" if silent else "not_ready" if beat.failing else "drained" if beat.drained else "alive",
            started_at=beat.started_at,
            last_beat=beat.at,
            age_s=_age(now, beat.at),
            failing=beat.failing,
            degraded=beat.degraded,
            loop_lag_s=beat.loop_lag_s,
            jobs=beat.jobs,
        )
        for beat, silent in board.workers(now)
    )
    score = score_of(board, now, connected=desk.publisher.connected)
    worst = min(score.components["workers"], score.components["jobs"])
    return Workers(status="healthy" if worst == 100 else "degraded" if worst else "unhealthy", workers=shown)  # noqa: PLR2004 - per cent


def _queues(board: Board, desk: Desk) -> Queues:
    seen = board.queues(desk.clock())
    missing = any(queue.missing for queue in seen)
    letters = board.streams.get("DLQ")
    return Queues(
        queue="unavailable"
        if missing or not desk.publisher.connected
        else "degraded"
        if any(queue.paused for queue in seen)
        else "healthy",
        pending=sum(queue.pending for queue in seen),
        in_work=sum(queue.in_work for queue in seen),
        redelivered=sum(queue.redelivered for queue in seen),
        dead_letters=letters.messages if letters else 0,
        queues=tuple(seen),
        streams={
            name: {"messages": each.messages, "fill": round(each.fill, 4)} for name, each in board.streams.items()
        },
    )


def _age(now: datetime, at: datetime) -> float:
    return round((now - at).total_seconds(), 1)
