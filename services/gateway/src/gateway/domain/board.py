"""How the whole system does, as its heartbeats tell: who lives, what waits, what fails, and which rules that breaks."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from contracts.ops import CircuitState, Heartbeat, QueueSeen, SourceDrifted
from contracts.state import Status
from contracts.subjects import SERVICES

SILENT_AFTER: Final = timedelta(seconds=100)
"""A beat comes every 15 s; T01.6 wants to know at 120 s, and whoever looks does so every 10 s."""
FORGOTTEN_AFTER: Final = timedelta(minutes=15)
MOST_WORKERS: Final = 500
ERRORS_WITHIN: Final = timedelta(minutes=5)
MOST_ERRORS: Final = 10
"""T03.3: more of one kind than this in that time."""
FLOODED: Final = 500
BACKED_UP: Final = 50
"""T01.5: more waiting than this, for half an hour."""
FULL: Final = 0.7
LETTERS_WITHIN: Final = timedelta(minutes=10)
SEARCHES_WITHIN: Final = timedelta(minutes=15)
LEAST_SEARCHES: Final = 3
DRIFT_WITHIN: Final = timedelta(hours=1)
"""A drift is told once, when it begins; so long it is shown."""
MOST_DRIFTS: Final = 100
MARGIN: Final = timedelta(seconds=20)
"""A job is late at twice its interval; its beat is up to 15 s old."""
REFUSING: Final = frozenset({"WORK", "PAGES", "FETCH", "SEARCH", "OBJ_ANSWERS", "OBJ_FILES"})
"""Streams that refuse when they are full, or lose what is still needed; the others let their oldest go by design."""


class Rule(StrEnum):
    """What may be wrong."""

    BUS_AWAY = "bus_away"
    WORKER_SILENT = "worker_silent"
    WORKER_UNREADY = "worker_unready"
    JOB_LATE = "job_late"
    SOURCE_OPEN = "source_open"
    SOURCE_DRIFTED = "source_drifted"
    QUEUE_MISSING = "queue_missing"
    QUEUE_FLOODED = "queue_flooded"
    QUEUE_BACKED_UP = "queue_backed_up"
    STREAM_FULL = "stream_full"
    DEAD_LETTERS = "dead_letters"
    ERRORS = "errors"
    SEARCHES_FAILING = "searches_failing"


HELD_FOR: Final[Mapping[Rule, timedelta]] = {
    Rule.BUS_AWAY: timedelta(seconds=30),
    Rule.WORKER_UNREADY: timedelta(seconds=60),
    Rule.SOURCE_OPEN: timedelta(seconds=30),
    Rule.QUEUE_FLOODED: timedelta(seconds=60),
    Rule.QUEUE_BACKED_UP: timedelta(minutes=30),
}
"""So long a rule has to be broken without a break before it is told; the others at once."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken, and what about."""

    rule: Rule
    subject: str
    text: str
    since: datetime


@dataclass(frozen=True, slots=True)
class StreamState:
    """How a stream stands."""

    messages: int
    last_sequence: int
    fill: float


@dataclass(slots=True)
class _Worker:
    beat: Heartbeat
    errors: deque[tuple[datetime, dict[str, int]]] = field(default_factory=deque)


class Board:
    """Hears beats and streams; says what is wrong. Every moment is passed in."""

    def __init__(self, began: datetime) -> None:
        self._began = began
        self._workers: dict[str, _Worker] = {}
        self._served: dict[str, datetime] = {}
        self._streams: dict[str, StreamState] = {}
        self._letters: deque[tuple[datetime, int]] = deque()
        self._ended: deque[tuple[datetime, Status]] = deque(maxlen=10_000)
        self._since: dict[tuple[Rule, str], datetime] = {}
        self._drifts: dict[tuple[str, str], SourceDrifted] = {}
        self._bus_away = False

    @property
    def streams(self) -> Mapping[str, StreamState]:
        """Each stream as it was seen last."""
        return self._streams

    def hear(self, beat: Heartbeat) -> None:
        """One beat; an older one than is known says nothing."""
        self._served[beat.service] = max(beat.at, self._served.get(beat.service, beat.at))
        known = self._workers.get(beat.worker)
        if beat.leaving:
            self._workers.pop(beat.worker, None)
        elif known is None:
            if len(self._workers) < MOST_WORKERS:
                self._workers[beat.worker] = _Worker(beat, deque([(beat.at, beat.errors)]))
        elif beat.at > known.beat.at:
            known.beat = beat
            known.errors.append((beat.at, beat.errors))
            while len(known.errors) > 1 and known.errors[1][0] <= beat.at - ERRORS_WITHIN:
                known.errors.popleft()

    def hear_bus(self, *, connected: bool, now: datetime) -> None:
        """Whether this gateway is on the bus: off it nothing is heard, and that says nothing of who lives."""
        if connected and self._bus_away:
            self._began = now
            self._workers.clear()
        self._bus_away = not connected

    def hear_streams(self, streams: Mapping[str, StreamState], *, now: datetime) -> None:
        """How full the streams are, and how many letters are dead."""
        self._streams = dict(streams)
        if (letters := streams.get("DLQ")) is not None:
            self._letters.append((now, letters.last_sequence))
            while len(self._letters) > 1 and self._letters[1][0] <= now - LETTERS_WITHIN:
                self._letters.popleft()

    def hear_drift(self, drift: SourceDrifted) -> None:
        """A source answers otherwise than it did; of each kind the newest counts."""
        key = (drift.source, drift.kind)
        if (known := self._drifts.get(key)) is None or known.at < drift.at:
            self._drifts.pop(key, None)
            self._drifts[key] = drift
            while len(self._drifts) > MOST_DRIFTS:
                del self._drifts[next(iter(self._drifts))]

    def hear_end(self, status: Status, *, now: datetime) -> None:
        """A search has ended."""
        self._ended.append((now, status))

    def workers(self, now: datetime) -> list[tuple[Heartbeat, bool]]:
        """Every process that is not forgotten, by service, and whether it is silent."""
        self._forget(now)
        beats = sorted((each.beat for each in self._workers.values()), key=lambda beat: (beat.service, beat.worker))
        return [(beat, now - beat.at > SILENT_AFTER) for beat in beats]

    def queues(self, now: datetime) -> list[QueueSeen]:
        """Each queue by its newest beat; missing or paused where any process says so."""
        newest: dict[str, QueueSeen] = {}
        for beat in sorted(self._living(now), key=lambda beat: beat.at):
            for queue in beat.queues:
                before = newest.get(queue.consumer)
                paused = queue.paused or (before is not None and before.paused)
                newest[queue.consumer] = queue.model_copy(update={"paused": paused})
        return [newest[name] for name in sorted(newest)]

    def circuits(self, now: datetime) -> dict[str, tuple[CircuitState, bool]]:
        """Each source's circuit by the newest beat, and whether an operator has paused the source."""
        beats = sorted(self._living(now), key=lambda beat: beat.at)
        return {seen.source: (seen.state, seen.paused) for beat in beats for seen in beat.circuits}

    def ended(self, now: datetime) -> list[Status]:
        """How the searches of the last quarter of an hour ended."""
        return [status for at, status in self._ended if now - at <= SEARCHES_WITHIN]

    def errors(self, now: datetime) -> dict[str, int]:
        """Error lines of the last five minutes, by event."""
        found: dict[str, int] = {}
        for worker in self._workers.values():
            if now - worker.beat.at > ERRORS_WITHIN:
                continue
            first = worker.errors[0][1]
            for event, count in worker.beat.errors.items():
                if (new := count - first.get(event, 0)) > 0:
                    found[event] = found.get(event, 0) + new
        return found

    def look(self, now: datetime) -> list[Finding]:
        """Every rule that is broken and has been for as long as it must."""
        self._forget(now)
        broken = {(rule, subject): text for rule, subject, text in self._broken(now)}
        self._since = {key: self._since.get(key, now) for key in broken}
        return [
            Finding(rule, subject, text, self._since[rule, subject])
            for (rule, subject), text in broken.items()
            if now - self._since[rule, subject] >= HELD_FOR.get(rule, timedelta(0))
        ]

    def _living(self, now: datetime) -> list[Heartbeat]:
        return [each.beat for each in self._workers.values() if now - each.beat.at <= SILENT_AFTER]

    def _forget(self, now: datetime) -> None:
        gone = [name for name, each in self._workers.items() if now - each.beat.at > FORGOTTEN_AFTER]
        for name in gone:
            del self._workers[name]

    def _broken(self, now: datetime) -> Iterator[tuple[Rule, str, str]]:
        if self._bus_away:
            yield Rule.BUS_AWAY, "nats", "O barramento não responde."
            return
        yield from self._broken_by_workers(now)
        yield from self._broken_by_queues(now)
        yield from self._broken_by_sources(now)
        for name, stream in self._streams.items():
            if name in REFUSING and stream.fill >= FULL:
                yield Rule.STREAM_FULL, name, f"O fluxo {name} está {stream.fill:.0%} cheio."
        if self._letters and (dead := self._letters[-1][1] - self._letters[0][1]) > 0:
            yield Rule.DEAD_LETTERS, "DLQ", f"{dead} mensagens foram abandonadas nos últimos 10 min."
        for event, count in self.errors(now).items():
            if count > MOST_ERRORS:
                yield Rule.ERRORS, event, f"{count} erros do tipo {event} em 5 min."
        ended = self.ended(now)
        if len(ended) >= LEAST_SEARCHES and (bad := ended.count(Status.EMPTY_FAILURE)) * 2 > len(ended):
            yield Rule.SEARCHES_FAILING, "searches", f"{bad} de {len(ended)} buscas em 15 min ficaram sem resposta."

    def _broken_by_workers(self, now: datetime) -> Iterator[tuple[Rule, str, str]]:
        living = self._living(now)
        for service in SERVICES:
            heard = max(self._began, self._served.get(service, self._began))
            if now - heard > SILENT_AFTER:
                yield Rule.WORKER_SILENT, service, f"Nenhum processo de {service} dá sinal há {_minutes(now - heard)}."
        for worker in self._workers.values():
            beat = worker.beat
            replaced = any(each.service == beat.service and each.started_at >= beat.at for each in living)
            if now - beat.at > SILENT_AFTER and not replaced:
                yield Rule.WORKER_SILENT, beat.worker, f"{beat.worker} parou de dar sinal há {_minutes(now - beat.at)}."
        for beat in living:
            if beat.failing:
                yield Rule.WORKER_UNREADY, beat.worker, f"{beat.worker} não está pronto: {'; '.join(beat.failing)}."
            for job in beat.jobs:
                limit = timedelta(seconds=2 * job.every_s) + MARGIN
                # As of its beat: of the time since, a process that was killed meanwhile says nothing.
                if beat.at - (job.last_success or beat.started_at) > limit:
                    yield Rule.JOB_LATE, f"{beat.worker}.{job.name}", f"A tarefa {job.name} de {beat.worker} atrasou."

    def _broken_by_sources(self, now: datetime) -> Iterator[tuple[Rule, str, str]]:
        for source, (state, paused) in self.circuits(now).items():
            if state is not CircuitState.CLOSED and not paused:
                yield Rule.SOURCE_OPEN, source, f"A fonte {source} não responde: circuito {state}."
        for (source, kind), drift in self._drifts.items():
            if now - drift.at <= DRIFT_WITHIN:
                text = f"A fonte {source} mudou ({kind}): esperado {drift.expected}, veio {drift.specimen}."
                yield Rule.SOURCE_DRIFTED, f"{source}.{kind}", text

    def _broken_by_queues(self, now: datetime) -> Iterator[tuple[Rule, str, str]]:
        for queue in self.queues(now):
            name, waits = queue.consumer, f"{queue.pending} mensagens esperam por {queue.consumer}."
            if queue.missing:
                yield Rule.QUEUE_MISSING, name, f"O consumidor {name} não existe; rode o provisionamento."
            if queue.pending > FLOODED:
                yield Rule.QUEUE_FLOODED, name, waits
            if queue.pending > BACKED_UP:
                yield Rule.QUEUE_BACKED_UP, name, waits


def _minutes(time: timedelta) -> str:
    return f"{max(1, int(time.total_seconds() // 60))} min"
