"""What an `Idempotency-Key` promises: one effect, and the same bytes to whoever asks again."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

_KEY: Final = re.compile(r'^"?([\x21\x23-\x7e]{1,255})"?$')
_UNDONE: Final = frozenset({401, 403, 404, 408, 409, 413, 415, 425, 429})
"""Statuses of a request that did nothing and may be answered otherwise next time."""


@dataclass(frozen=True, slots=True)
class Begun:
    """This request is the one that does it."""

    effect_id: str
    """The id for what it makes: who takes the promise over after a crash makes the same."""
    again: bool
    """True: another began it and died, perhaps after its effect."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """Another request is doing it now."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was given to another request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def final(self) -> bool:
        """Whether a repeat gets the same; what failed on our side, or was refused at the door, may be tried again."""
        return self.status < 500 and not self.refused  # noqa: PLR2004 - HTTP's own border

    @property
    def refused(self) -> bool:
        """Whether nothing was done."""
        return self.status in _UNDONE


def key_of(header: str) -> str | None:
    """The key in the header, quoted or bare; None for what is none."""
    match = _KEY.match(header.strip())
    return match[1] if match else None


def fingerprint_of(*, method: str, path: str, query: bytes, body: bytes) -> str:
    """What makes two requests the same."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), query, body))).hexdigest()
