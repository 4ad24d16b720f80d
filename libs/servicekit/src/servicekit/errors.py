"""What a handler may raise, and what the bus makes of it.

Transient            a delayed nak with jitter, one try spent; a dead letter on the last try
├── DependencyAway   pauses only this subscription until a retry works; spends no try
└── Unavailable      the bus or a responder did not answer in time
Rejected             permanent: a dead letter at once (as is pydantic.ValidationError)
Abandoned            neither ack, nak nor beat
└── Fenced           a newer owner holds the lease
AlreadyInFlight      the claim was refused because another one is running
FeedOverflow         a joined feed fell behind and was closed
"""

from datetime import timedelta


class Transient(Exception):
    """Trying again later may help."""

    def __init__(self, code: str, message: str = "", *, delay: timedelta | None = None) -> None:
        super().__init__(message or code)
        self.code = code
        """Stable and dotted: `pncp.rate_limited`."""
        self.delay = delay
        """How long to wait before the next try; None: exponential."""


class DependencyAway(Transient):
    """What the handler needs is away: its subscription pauses until a retry works, and no try is spent."""

    def __init__(self, dependency: str, message: str = "", *, delay: timedelta | None = None) -> None:
        super().__init__(f"{dependency}.away", message or f"{dependency} is away", delay=delay)
        self.dependency = dependency


class Unavailable(Transient):
    """Nobody answered in time. With a code `bus.*` it is the bus itself, and no try is spent."""

    @property
    def bus_itself(self) -> bool:
        """True when no server or stream took what was sent: waiting is all that helps."""
        return self.code.startswith("bus.")


class Rejected(Exception):
    """No retry will help: the message becomes a dead letter."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


class Abandoned(Exception):
    """Another process owns this work now: a late ack, nak or beat of ours would hurt its delivery."""


class Fenced(Abandoned):
    """A fenced publish met a newer lease, and the last message is not ours."""


class AlreadyInFlight(Exception):
    """The subject already holds a claim that is not yet acknowledged."""


class FeedOverflow(Exception):
    """The reader of a joined feed fell behind its bounded queue, or the stream began anew: join again."""
