"""How well the system does, in one number and in parts (T03.4)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from contracts.base import Value
from contracts.ops import CircuitState
from contracts.state import Status
from contracts.subjects import SERVICES
from gateway.domain.board import FLOODED, FULL, REFUSING, Board, Rule

HEALTHY: Final = 80
DEGRADED: Final = 50
_OF_CIRCUIT: Final = {CircuitState.CLOSED: 100, CircuitState.HALF_OPEN: 50, CircuitState.OPEN: 0}

Word = Literal["healthy", "degraded", "unhealthy"]


class Score(Value):
    """0 to 100 each; the whole is as much its weakest part as its average."""

    overall_score: int
    status: Word
    components: dict[str, int]


def score_of(board: Board, now: datetime, *, connected: bool) -> Score:
    """The score of the system as this board knows it."""
    parts = _parts(board, now, connected=connected)
    overall = round((sum(parts.values()) / len(parts) + min(parts.values())) / 2)
    return Score(overall_score=overall, status=word_of(overall), components=dict(parts))


def word_of(score: int) -> Word:
    """The word for a score."""
    return "healthy" if score >= HEALTHY else "degraded" if score >= DEGRADED else "unhealthy"


def _parts(board: Board, now: datetime, *, connected: bool) -> Mapping[str, int]:
    workers, queues = board.workers(now), board.queues(now)
    ready = {beat.service for beat, silent in workers if not silent and not beat.failing}
    circuits = [0 if paused else _OF_CIRCUIT[state] for state, paused in board.circuits(now).values()]
    jobs = sum(len(beat.jobs) for beat, silent in workers if not silent)
    late = sum(finding.rule is Rule.JOB_LATE for finding in board.look(now))
    fill = max((each.fill for name, each in board.streams.items() if name in REFUSING), default=0.0)
    most = max((queue.pending for queue in queues), default=0)
    ended = board.ended(now)
    return {
        "bus": 100 if connected else 0,
        "workers": 100 * len(ready) // len(SERVICES),
        "queues": 0 if any(queue.missing for queue in queues) else max(0, 100 - 50 * most // FLOODED),
        "sources": sum(circuits) // len(circuits) if circuits else 100,
        "storage": 100 if fill < FULL else max(0, round(100 * (1 - fill) / (1 - FULL))),
        "jobs": 100 * (jobs - late) // jobs if jobs else 100,
        "errors": max(0, 100 - 5 * sum(board.errors(now).values())),
        "searches": 100 - 100 * ended.count(Status.EMPTY_FAILURE) // len(ended) if ended else 100,
    }
