"""Which sectors a bid belongs to, read once for all of them: what is bought counts, not who buys it or what for.

The reading, in order: every hit of the automaton; hits that a longer term of another sector or an exclusion covers are
hidden; co-occurrence rules void what means something else there; the first clause with a hit left names what is bought;
there the first find leads, and a find of another sector counts beside it only as a further thing bought, not as its
complement; density.
"""

from collections.abc import Sequence

from classifier.domain.catalogue import Catalogue, expand
from classifier.domain.clause import Clause, Grammarian
from classifier.domain.engine import Automaton, Cover, Hit, outermost
from classifier.domain.reading import ELSEWHERE, Entry, Find, Finding, Kind, Reading, is_generic, zoned
from classifier.domain.text import Words, form_of, words_of
from contracts.classification import RejectReason, Zone

_TERMS = (Kind.STRONG, Kind.WEAK, Kind.VAGUE)
_COVERING = (*_TERMS, Kind.EXCLUSION)
_VAGUE_REACH = 2
"""Clauses after a vague term in which a plain one still says what is bought."""


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
        bought = [hit for hit in self._unhidden(words, hits) if not clause.agency[hit.first]]
        meant, voided = self._co_occurrence(words, hits, bought)
        head, shown = self._head(words, clause, meant)
        counted = self._counted(words, clause, shown, head) if head is not None else {}
        return Reading(
            words=words, clause=clause, hits=tuple(hits), shown=tuple(shown), counted=counted, voided=voided, head=head
        )

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
        if sector in reading.voided:
            trace.append(reading.voided[sector])
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
        if (voided := reading.voided.get(sector)) is not None:
            return Finding(reject=RejectReason.CO_OCCURRENCE, detail=voided, trace=(voided,))
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
        attachments = self._attachments_before(words)
        leading = self._leading(strong or here, attachments)
        sectors = {self.entries[hit.pattern].sector for hit in leading}
        if leading and self.entries[leading[0].pattern].sector == ELSEWHERE:
            return {}
        counted: dict[str, list[Hit]] = {}
        for hit in leading:
            counted.setdefault(self.entries[hit.pattern].sector, []).append(hit)
        for hit in here if strong else ():
            entry = self.entries[hit.pattern]
            if entry.kind is not Kind.STRONG and entry.sector in sectors:
                counted[entry.sector].append(hit)
        return {sector: tuple(sorted(hits)) for sector, hits in counted.items()}

    def _leading(self, hits: Sequence[Hit], attachments: Sequence[int]) -> list[Hit]:
        """The first hit and those that no attachment parts from what was named before; others of its sectors too."""
        leading: list[Hit] = []
        sectors: set[str] = set()
        reach = -1
        for hit in hits:
            sector = self.entries[hit.pattern].sector
            if not leading or sector in sectors or attachments[hit.first] == attachments[reach + 1]:
                leading.append(hit)
                sectors.add(sector)
                reach = max(reach, hit.last)
        return leading

    def _attachments_before(self, words: Words) -> list[int]:
        """Per word, and after the last, how many attachments stand before it; what brackets hold is over with them."""
        counts, count, around = [0], 0, 0
        for index, form in enumerate(words.forms):
            gap = words.breaks_before(index)
            if "(" in gap:
                around = count
            elif ")" in gap:
                count = counts[-1] = around
            count += form in self.grammarian.attachments
            counts.append(count)
        return counts

    def _co_occurrence(
        self, words: Words, hits: Sequence[Hit], shown: Sequence[Hit]
    ) -> tuple[list[Hit], dict[str, str]]:
        """The finds that no rule voids, and per sector the first rule that voided some.

        A find on whose words a trigger stands is void, and with it every find inside it.
        """
        kinds: dict[tuple[str, int], dict[Kind, list[Hit]]] = {}
        for hit in hits:
            entry = self.entries[hit.pattern]
            if entry.rule >= 0:
                kinds.setdefault((entry.sector, entry.rule), {}).setdefault(entry.kind, []).append(hit)
        triggered: dict[str, set[int]] = {}
        reasons: dict[str, list[tuple[set[int], str]]] = {}
        for (sector, _), found in sorted(kinds.items()):
            if Kind.TRIGGER not in found or Kind.NEGATIVE not in found or Kind.POSITIVE in found:
                continue
            under = {index for hit in found[Kind.TRIGGER] for index in range(hit.first, hit.last + 1)}
            trigger, negative = (self.entries[found[kind][0].pattern].term for kind in (Kind.TRIGGER, Kind.NEGATIVE))
            triggered.setdefault(sector, set()).update(under)
            reasons.setdefault(sector, []).append((under, f"co-occurrence: {trigger} + {negative}"))
        void: set[tuple[str, int]] = set()
        voided: dict[str, str] = {}
        for sector, under in triggered.items():
            own = [hit for hit in shown if self.entries[hit.pattern].sector == sector]
            for find in outermost(own, words):
                span = range(find.first, find.last + 1)
                if under.isdisjoint(span):
                    continue
                void.update((sector, index) for index in span)
                voided.setdefault(sector, next(why for on, why in reasons[sector] if not on.isdisjoint(span)))
        kept = [
            hit for hit in shown if not {(self.entries[hit.pattern].sector, i) for i in (hit.first, hit.last)} <= void
        ]
        return kept, voided


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
