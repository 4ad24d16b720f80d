"""How well a catalogue does on labelled bids: precision and recall, over all decisions and per sector."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from classifier.domain.relevance import Judge


@dataclass(frozen=True, slots=True)
class Labelled:
    """A bid that a person has read."""

    id: str
    objeto: str
    sectors: frozenset[str]
    sure: bool = True


@dataclass
class Tally:
    """Decisions counted."""

    right: int = 0
    false_hits: int = 0
    misses: int = 0

    @property
    def precision(self) -> float:
        """Of what was taken in, the share that belongs; 1 where nothing was."""
        return self.right / (self.right + self.false_hits) if self.right + self.false_hits else 1.0

    @property
    def recall(self) -> float:
        """Of what belongs, the share taken in; 1 where nothing does."""
        return self.right / (self.right + self.misses) if self.right + self.misses else 1.0


@dataclass(frozen=True, slots=True)
class Mistake:
    """One decision that a reader would have made otherwise."""

    id: str
    sector: str
    objeto: str
    false_hit: bool
    finds: tuple[str, ...]


@dataclass
class Score:
    """What a catalogue scores."""

    micro: Tally = field(default_factory=Tally)
    by_sector: dict[str, Tally] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    bids: int = 0
    uncertain_bids: int = 0
    """Bids that the rules leave open for at least one sector that they were found to name, or as generic."""

    uncertain_decisions: int = 0

    @property
    def asked_share(self) -> float:
        """Of the bids that a search for one sector judges, how many would go to an arbiter, over all sectors alike."""
        decisions = self.bids * len(self.by_sector)
        return self.uncertain_decisions / decisions if decisions else 0.0

    @property
    def uncertain_share(self) -> float:
        """Of all bids, how many are open."""
        return self.uncertain_bids / self.bids if self.bids else 0.0


def score(judge: Judge, labelled: Iterable[Labelled], *, sectors: Iterable[str]) -> Score:
    """Scores the `sure` records; uncertain decisions count as the rules settle them without an arbiter."""
    result = Score(by_sector={sector: Tally() for sector in sectors})
    for bid in labelled:
        if not bid.sure:
            continue
        reading = judge.read(bid.objeto)
        findings = {sector: judge.finding(reading, sector) for sector in result.by_sector}
        said = {sector for sector, finding in findings.items() if finding.settled}
        result.bids += 1
        open_for = sum(finding.zone is not None for finding in findings.values())
        result.uncertain_bids += open_for > 0
        result.uncertain_decisions += open_for
        _count(result, bid, said, {sector: tuple(f.term for f in findings[sector].finds) for sector in findings})
    return result


def _count(result: Score, bid: Labelled, said: set[str], finds: Mapping[str, tuple[str, ...]]) -> None:
    for sector, tally in result.by_sector.items():
        belongs = sector in bid.sectors
        if sector in said and belongs:
            tally.right += 1
            result.micro.right += 1
        elif sector in said:
            tally.false_hits += 1
            result.micro.false_hits += 1
        elif belongs:
            tally.misses += 1
            result.micro.misses += 1
        if (sector in said) != belongs:
            result.mistakes.append(Mistake(bid.id, sector, bid.objeto, sector in said, finds[sector]))
