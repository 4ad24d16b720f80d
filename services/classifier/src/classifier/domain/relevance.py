"""Which sectors a bid belongs to, read once for all of them: what is bought counts, not who buys it or what for.

The reading, in order: every hit of the automaton; hits that a longer term of another sector or an exclusion covers are
hidden; the first clause with a hit left names what is bought; there the first find leads, and a find of another sector
counts beside it only as a further thing bought, not as its complement; co-occurrence rules; density.

Density = telling words under the finds that count / telling words from the start of the objeto to the end of that
clause. Telling words leave out function words, numbers and procurement's own words.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from classifier.domain.catalogue import Catalogue, expand
from classifier.domain.clause import Clause, Grammarian
from classifier.domain.engine import Automaton, Cover, Hit, outermost
from classifier.domain.text import Words, form_of, words_of
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
_TERMS = (Kind.STRONG, Kind.WEAK, Kind.VAGUE)
_COVERING = (*_TERMS, Kind.EXCLUSION)
_VAGUE_REACH = 2
"""Clauses after a vague term in which a plain one still says what is bought."""


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
    head: int | None = None
    """The segment that names what is bought."""

    def until_head(self, hit: Hit) -> bool:
        """Whether a hit stands in the clause that names what is bought, or before it."""
        return self.head is not None and self.clause.segment[hit.first] <= self.head


class Judge:
    """The compiled catalogue: built once, then read-only."""

    def __init__(self, catalogue: Catalogue) -> None:
        """One automaton over the terms of all sectors."""
        self.catalogue = catalogue
        self.version = catalogue.version
        self.grammarian = Grammarian(catalogue.grammar)
        self.entries = tuple(_entries(catalogue))
        self.automaton = Automaton([form_of(entry.term) for entry in self.entries])

    def read(self, objeto: str) -> Reading:
        """Everything that does not depend on the sector asked for."""
        words = words_of(objeto)
        clause = self.grammarian.cut(words)
        hits = self.automaton.find(words)
        head, shown = self._head(words, clause, self._unhidden(words, hits))
        counted = self._counted(words, clause, shown, head) if head is not None else {}
        return Reading(words=words, clause=clause, hits=tuple(hits), shown=tuple(shown), counted=counted, head=head)

    def finding(self, reading: Reading, sector: str) -> Finding:
        """The rules of one sector on a reading."""
        counted = reading.counted.get(sector, ())
        if not counted:
            return self._without_finds(reading, sector)
        finds = tuple(Find(self.entries[h.pattern].term, h.first, h.last) for h in outermost(counted, reading.words))
        trace = [f"term:{find.term}" for find in finds]
        for hit in reading.hits:
            entry = self.entries[hit.pattern]
            if entry.sector == sector and entry.kind is Kind.REJECTION and reading.until_head(hit):
                return Finding(
                    finds=finds, reject=RejectReason.EXCLUSION, detail=entry.term,
                    trace=(*trace, f"rejection:{entry.term}"),
                )  # fmt: skip
        finds, voided = self._co_occurrence(reading, sector, finds)
        if voided:
            trace.append(voided)
            if not finds:
                return Finding(reject=RejectReason.CO_OCCURRENCE, detail=voided, trace=tuple(trace))
        return zoned(reading, finds, trace=trace)

    def sectors(self, reading: Reading) -> list[str]:
        """The sectors that the rules alone, settled without an arbiter, take a bid into."""
        return [sector for sector in reading.counted if sector != ELSEWHERE and self.finding(reading, sector).settled]

    def _head(self, words: Words, clause: Clause, shown: Sequence[Hit]) -> tuple[int | None, list[Hit]]:
        """The segment that names what is bought, and the hits left: vague ones only where they are all there is."""
        vague = [hit for hit in shown if self.entries[hit.pattern].kind is Kind.VAGUE]
        cover = Cover(vague, words)
        plain = [
            hit
            for hit in shown
            if self.entries[hit.pattern].kind is not Kind.VAGUE and not any(hit.within(v) for v in cover.over(hit))
        ]
        head = min((clause.segment[hit.first] for hit in plain), default=None)
        if not vague:
            return head, plain
        first = min(clause.segment[hit.first] for hit in vague)
        if head is not None and head <= first + _VAGUE_REACH:
            return head, plain
        return first, vague

    def _without_finds(self, reading: Reading, sector: str) -> Finding:
        aside = [h for h in reading.shown if self.entries[h.pattern].sector == sector]
        if aside:
            term = self.entries[aside[0].pattern].term
            return Finding(
                reject=RejectReason.LOW_DENSITY,
                detail=f"“{term}” aparece, mas não é o que se compra",
                trace=(f"aside:{term}",),
            )
        hidden = [h for h in reading.hits if (e := self.entries[h.pattern]).sector == sector and e.kind in _TERMS]
        if hidden:
            term = self.entries[hidden[0].pattern].term
            return Finding(reject=RejectReason.EXCLUSION, detail=term, trace=(f"hidden:{term}",))
        if is_generic(reading):
            return Finding(zone=Zone.ZERO_MATCH, trace=("generic",))
        return Finding(reject=RejectReason.NO_MATCH, trace=("no_match",))

    def _unhidden(self, words: Words, hits: Sequence[Hit]) -> list[Hit]:
        """A longer term of another sector, or an exclusion of the same, hides what it covers."""
        cover = Cover((h for h in hits if self.entries[h.pattern].kind in _COVERING), words)
        return [h for h in hits if self.entries[h.pattern].kind in _TERMS and not self._hidden(h, cover)]

    def _hidden(self, hit: Hit, cover: Cover) -> bool:
        sector = self.entries[hit.pattern].sector
        elsewhere = own = False
        for other in cover.over(hit):
            entry = self.entries[other.pattern]
            if entry.kind is Kind.EXCLUSION:
                if entry.sector == sector:
                    return True
            elif hit.within(other):
                own = own or entry.sector == sector
                elsewhere = elsewhere or entry.sector != sector
        return elsewhere and not own

    def _counted(self, words: Words, clause: Clause, shown: Sequence[Hit], head: int) -> dict[str, tuple[Hit, ...]]:
        """In the clause that names what is bought, the finds that are bought."""
        here = [hit for hit in shown if clause.segment[hit.first] == head]
        strong = [hit for hit in here if self.entries[hit.pattern].kind is Kind.STRONG]
        leading: list[Hit] = []
        sectors: set[str] = set()
        attachments = self._attachments_before(words)
        reach = -1
        for hit in strong:
            sector = self.entries[hit.pattern].sector
            if not leading or sector in sectors or attachments[hit.first] == attachments[reach + 1]:
                leading.append(hit)
                sectors.add(sector)
                reach = max(reach, hit.last)
        if leading and self.entries[leading[0].pattern].sector == ELSEWHERE:
            return {}
        counted: dict[str, list[Hit]] = {}
        for hit in leading:
            counted.setdefault(self.entries[hit.pattern].sector, []).append(hit)
        for hit in here:
            entry = self.entries[hit.pattern]
            if entry.kind in {Kind.WEAK, Kind.VAGUE} and (not sectors or entry.sector in sectors):
                counted.setdefault(entry.sector, []).append(hit)
        return {sector: tuple(sorted(hits)) for sector, hits in counted.items()}

    def _attachments_before(self, words: Words) -> list[int]:
        """Per word, how many attachments stand before it."""
        counts = (form in self.grammarian.attachments for form in words.forms)
        return list(itertools.accumulate(counts, initial=0))

    def _co_occurrence(self, reading: Reading, sector: str, finds: tuple[Find, ...]) -> tuple[tuple[Find, ...], str]:
        """The finds that no rule voids, and the first rule that voided some; a trigger counts where a find stands."""
        by_rule: dict[int, dict[Kind, list[Hit]]] = {}
        for hit in reading.hits:
            entry = self.entries[hit.pattern]
            if entry.sector == sector and entry.rule >= 0:
                by_rule.setdefault(entry.rule, {}).setdefault(entry.kind, []).append(hit)
        voided = ""
        for rule in sorted(by_rule):
            kinds = by_rule[rule]
            if Kind.TRIGGER not in kinds or Kind.NEGATIVE not in kinds or Kind.POSITIVE in kinds:
                continue
            under = {index for trigger in kinds[Kind.TRIGGER] for index in range(trigger.first, trigger.last + 1)}
            kept = tuple(f for f in finds if under.isdisjoint(range(f.first, f.last + 1)))
            if len(kept) < len(finds):
                trigger, negative = kinds[Kind.TRIGGER][0], kinds[Kind.NEGATIVE][0]
                voided = voided or (
                    f"co-occurrence: {self.entries[trigger.pattern].term} + {self.entries[negative.pattern].term}"
                )
                finds = kept
        return finds, voided


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


def _entries(catalogue: Catalogue) -> list[Entry]:
    elsewhere = (term for pattern in catalogue.grammar.elsewhere for term in expand(pattern))
    entries = [Entry(ELSEWHERE, Kind.STRONG, term) for term in elsewhere]
    for sector, rules in sorted(catalogue.sectors.items()):
        for kind, patterns in (
            (Kind.STRONG, rules.strong), (Kind.WEAK, rules.weak), (Kind.VAGUE, rules.vague),
            (Kind.EXCLUSION, rules.exclusions), (Kind.REJECTION, rules.rejections),
        ):  # fmt: skip
            entries.extend(Entry(sector, kind, term) for pattern in patterns for term in expand(pattern))
        for number, rule in enumerate(rules.co_occurrence):
            for kind, patterns in (
                (Kind.TRIGGER, rule.trigger), (Kind.NEGATIVE, rule.negative), (Kind.POSITIVE, rule.positive)
            ):  # fmt: skip
                entries.extend(Entry(sector, kind, term, number) for pattern in patterns for term in expand(pattern))
    return entries
