"""What the rules read in one objeto and find in it for one sector, and how dense that is.

Density = telling words under the finds that count / telling words from the start of the objeto to the end of the clause
that names what is bought. Telling words leave out function words, numbers and procurement's own words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from classifier.domain.clause import Clause
from classifier.domain.engine import Hit
from classifier.domain.text import Words
from contracts.classification import RejectReason, Zone

HIGH_DENSITY = 0.05
STANDARD_DENSITY = 0.02
_UNNAMED_WORDS = 4
"""So many telling words before the clause of the first find that name nothing known: it may be beside the point."""


class Kind(StrEnum):
    """What a pattern does when it is found."""

    STRONG = "strong"
    WEAK = "weak"
    VAGUE = "vague"
    EXCLUSION = "exclusion"
    REJECTION = "rejection"
    TRIGGER = "trigger"
    NEGATIVE = "negative"
    POSITIVE = "positive"


ELSEWHERE = "-"
"""The sector of no sector: owns what the grammar lists as elsewhere."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One term of one sector as the automaton holds it."""

    sector: str
    kind: Kind
    term: str
    rule: int = -1
    """Which co-occurrence rule of the sector; -1 for the other kinds."""


@dataclass(frozen=True, slots=True)
class Find:
    """A term that counts, where it stands."""

    term: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rules say of one bid and one sector (or one search's own terms)."""

    finds: tuple[Find, ...] = ()
    density: float = 0.0
    zone: Zone | None = None
    """Set when the rules alone do not decide."""
    reject: RejectReason | None = None
    detail: str = ""
    trace: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the rules alone take it in."""
        return self.zone is None and self.reject is None

    @property
    def settled(self) -> bool:
        """What it comes to without an arbiter: taken in from a density of 2 % on."""
        return self.reject is None and self.density >= STANDARD_DENSITY


@dataclass(frozen=True)
class Reading:
    """An objeto read once for all sectors."""

    words: Words
    clause: Clause
    hits: tuple[Hit, ...]
    shown: tuple[Hit, ...]
    """Terms that nothing hides."""
    counted: dict[str, tuple[Hit, ...]] = field(default_factory=dict)
    """Per sector, the finds that count."""
    voided: dict[str, str] = field(default_factory=dict)
    """Per sector, the first co-occurrence rule that took finds away."""
    head: int | None = None
    """The segment that names what is bought."""

    def until_head(self, hit: Hit) -> bool:
        """Whether a hit stands in the clause that names what is bought, or before it."""
        return self.head is not None and self.clause.segment[hit.first] <= self.head


def zoned(reading: Reading, finds: tuple[Find, ...], *, trace: Sequence[str]) -> Finding:
    """The density of finds and the zone that it falls into (REQUIREMENTS 4)."""
    density = round(density_of(reading, finds), 4)
    unnamed = sum(
        1
        for telling, generic, segment in zip(
            reading.clause.telling, reading.clause.generic, reading.clause.segment, strict=True
        )
        if telling and not generic and reading.head is not None and segment < reading.head
    )
    zone: Zone | None = None
    if density < STANDARD_DENSITY:
        zone = Zone.CONSERVATIVE
    elif density <= HIGH_DENSITY or unnamed >= _UNNAMED_WORDS:
        zone = Zone.STANDARD
    steps = [*trace, f"density:{density:.4f}"]
    if unnamed >= _UNNAMED_WORDS:
        steps.append(f"unnamed_before:{unnamed}")
    steps.append(f"zone:{zone}" if zone else "zone:high")
    return Finding(finds=finds, density=density, zone=zone, trace=tuple(steps))


def density_of(reading: Reading, finds: Sequence[Find]) -> float:
    """Telling words under the finds / telling words up to the end of the clause that names what is bought."""
    covered = {i for find in finds for i in range(find.first, find.last + 1)}.intersection(reading.words.kept)
    telling, segment = reading.clause.telling, reading.clause.segment
    head = reading.head if reading.head is not None else max(segment, default=0)
    counting = [i for i, tells in enumerate(telling) if (tells and segment[i] <= head) or i in covered]
    inside = [i for i in counting if i in covered]
    return min(1.0, len(inside) / len(counting)) if counting else 0.0


def is_generic(reading: Reading) -> bool:
    """Whether the first clause leaves open what is bought: `aquisição de materiais diversos`."""
    first = [
        generic
        for telling, generic, segment in zip(
            reading.clause.telling, reading.clause.generic, reading.clause.segment, strict=True
        )
        if telling and segment == 0
    ]
    return all(first)
