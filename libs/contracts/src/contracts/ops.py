"""What operators are told on OPS: the way, not the store."""

from enum import StrEnum

from pydantic import Field

from contracts.base import Message
from contracts.places import UF
from contracts.values import Source
from contracts.when import UtcDatetime


class CircuitState(StrEnum):
    """Of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


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
