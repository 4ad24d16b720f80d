"""How a source is doing, as each process that asks it tells: what was learned of it, what it was seen to do wrong."""

from pydantic import Field

from contracts.base import Message
from contracts.ops import CircuitState
from contracts.values import Source
from contracts.when import UtcDatetime


class SourceSeen(Message):
    """Bell: one fetcher process tells how a source is doing, every few seconds; lossy, the newest of each counts."""

    source: Source
    worker: str
    """A name of this process that no other has."""
    at: UtcDatetime
    rate_configured: float
    """Requests a second, of all processes."""
    rate: float
    """What is asked at present, as learned from the source's refusals."""
    silent_s: float = 0.0
    """The source has asked to be left alone for so long from now on."""
    shared: bool = True
    """False: rate and circuits are this process's own, while Redis is away or not used."""
    state: CircuitState
    parts: dict[str, CircuitState] = Field(default_factory=dict)
    """Its circuits beside the source's own that are not closed: by UF, and `itens`."""
    waiting: int = 0
    """Requests that wait for their turn."""
    retries_left: float = 0.0
    probes: int = 0
    """Requests that only learned how the source was, since the process began."""
    counted: dict[str, int] = Field(default_factory=dict)
    """How often each rule for a source's misbehaviour had something to do, since the process began."""
