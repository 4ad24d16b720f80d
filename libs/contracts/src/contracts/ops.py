"""What operators are told on OPS: the way, not the store."""

from enum import StrEnum

from pydantic import Field

from contracts.base import Message, Value
from contracts.places import UF
from contracts.values import Source
from contracts.when import UtcDatetime


class CircuitState(StrEnum):
    """Of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class RetryLetter(Message):
    """Request: give a dead letter to its consumer once more. Whoever serves that consumer answers, nobody else does."""

    sequence: int = Field(ge=1)
    """Its place in DLQ."""
    consumer: str
    """The durable that gave it up."""


class RetryOutcome(StrEnum):
    """What became of a dead letter that was to be tried again."""

    SENT = "sent"
    IN_FLIGHT = "in_flight"
    """Another claim of the same place is running: try later."""
    GONE = "gone"


class Retried(Message):
    """Reply: what became of it."""

    outcome: RetryOutcome


class BreakerChanged(Message):
    """Fact on OPS: a circuit went from one state to another. Told once, by the process that brought it about."""

    source: Source
    uf: UF | None = None
    """None: the circuit of the whole source, or of another part of it."""
    part: str | None = None
    """`itens`: what is asked of single bids; None for a UF's circuit and the whole source's."""
    before: CircuitState
    after: CircuitState
    reason: str
    """A stable code: `error_rate`, `slow_call_rate`, `probe_failed`, `pause_over`, `probes_passed`."""
    consecutive_failures: int = Field(default=0, ge=0)
    """Openings in a row, with no success between them."""
    at: UtcDatetime
    retry_at: UtcDatetime | None = None
    """When probes may be made; None unless it opened."""
    shared: bool = True
    """False: the circuit of one process alone, while Redis is away or not used."""


class SourceDrifted(Message):
    """Fact on OPS: a source answers otherwise than was known of it. One alarm, until it is over; nothing stops."""

    source: Source
    kind: str
    """`shape` (records cannot be read), `page_size`, `volume`, `category` (a word that no table has),
    `canary` (a known question was not answered as it should be)."""
    expected: str
    specimen: str
    """What was seen, without the record's text."""
    at: UtcDatetime


class QueueSeen(Value):
    """One durable consumer as its service sees it."""

    consumer: str
    pending: int = 0
    """Messages that wait."""
    in_work: int = 0
    """Delivered and not yet acknowledged, over all processes."""
    redelivered: int = 0
    missing: bool = False
    """It should be there and is not: nothing of it is served until it is provisioned again."""
    paused: bool = False
    """In this process: a dependency is away, or it is drained."""


class JobSeen(Value):
    """One periodic job of a process."""

    name: str
    every_s: float
    last_success: UtcDatetime | None = None
    """None: not yet."""


class CircuitSeen(Value):
    """A source's circuit as a process last saw it."""

    source: Source
    state: CircuitState
    paused: bool = False
    """By an operator."""
    canary: str | None = None
    """What its last known question brought: `ok` or a stable code; None: none was asked."""


class Heartbeat(Message):
    """Fact on OPS: a process lives, and how it does. Every 15 s; one that is older than 120 s speaks for nobody."""

    service: str
    worker: str
    """Of this process, new at each start; it names no machine."""
    started_at: UtcDatetime
    at: UtcDatetime
    leaving: bool = False
    """The last of a process that stops as it should: nobody misses it."""
    failing: tuple[str, ...] = ()
    """Its needed checks that fail now, as `disk: OSError`; with any it is not ready."""
    degraded: tuple[str, ...] = ()
    """Its other checks that fail now."""
    queues: tuple[QueueSeen, ...] = ()
    jobs: tuple[JobSeen, ...] = ()
    circuits: tuple[CircuitSeen, ...] = ()
    errors: dict[str, int] = Field(default_factory=dict)
    """Error lines since its start, by event."""
    loop_lag_s: float = 0.0
    """The longest that its event loop was late since the last beat."""
    drained: bool = False
    """An operator has told it to take no more work."""


class Alert(Message):
    """Fact on OPS: a rule of the watcher fires, or does no longer. Told once for all gateways."""

    rule: str
    subject: str
    """What it is about: a worker, a queue, a source."""
    firing: bool
    text: str
    """As people are told."""
    at: UtcDatetime
