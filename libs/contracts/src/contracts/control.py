"""What operators have set at run time: flags and levers, all in one value, so that every service sees one truth."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydantic import Field

from contracts.base import Message, Value
from contracts.values import Source
from contracts.when import UtcDatetime


class Flag(StrEnum):
    """What may be switched at run time."""

    LLM_ARBITRATION = "llm_arbitration"
    VIABILITY = "viability"
    INGEST = "ingest"
    NEW_SEARCHES = "new_searches"


FLAGS: Final[Mapping[Flag, str]] = {
    Flag.LLM_ARBITRATION: "Bids that rules leave open are given to the language model.",
    Flag.VIABILITY: "Accepted bids are judged for viability, where the setting allows it.",
    Flag.INGEST: "The scheduled ingest goes on, where the setting allows it.",
    Flag.NEW_SEARCHES: "New searches are taken; off, they get 503 while what runs goes on.",
}
"""What each says when it is on, as all are unless somebody has switched them."""


class Forced(StrEnum):
    """What an operator has a source's circuit do."""

    OPEN = "open"
    CLOSED = "closed"


class SourceLevers(Value):
    """What an operator has set for one source."""

    paused: bool = False
    """No request is made; what is stored is served."""
    rate: float | None = Field(default=None, gt=0, le=1000)
    """Requests a second of all processes together; None: as configured."""
    breaker: Forced | None = None
    """None: the circuit decides by itself."""


class Control(Message):
    """Fact in the bucket CONTROL: everything that is set, whole each time; the last one counts."""

    flags: dict[Flag, bool] = Field(default_factory=dict)
    sources: dict[Source, SourceLevers] = Field(default_factory=dict)
    drained: tuple[str, ...] = Field(default=(), max_length=200)
    """Workers, or whole services, that take no new work."""
    at: UtcDatetime
    by: str
    """Of the key that set it last."""

    def on(self, flag: Flag) -> bool:
        """Whether a flag is on."""
        return self.flags.get(flag, True)

    def of(self, source: Source) -> SourceLevers:
        """What is set for a source."""
        return self.sources.get(source, SourceLevers())
