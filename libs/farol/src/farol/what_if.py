"""`farol catalogue what-if`: what a changed sector would have made of the bids of past searches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from classifier.domain.catalogue import Catalogue, SectorRules, problems
from classifier.domain.relevance import Judge
from contracts.classification import RejectedBid
from contracts.values import BidId, Licitacao
from farol.client import FarolError
from farol.recording import Recording


@dataclass(frozen=True, slots=True)
class Turned:
    """One bid that the changed sector judges otherwise, by rules alone."""

    id: BidId
    objeto: str
    taken_in: bool
    """True: taken in only after the change; False: only before it."""
    terms: tuple[str, ...]
    """What is found in it, by whichever of the two takes it in."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a change would do."""

    sector: str
    searches: int
    bids: int
    turned: tuple[Turned, ...]


class WhatIfError(FarolError):
    """What is wrong with the changed file, in words for people."""


def changed_by(file: Path, catalogue: Catalogue) -> tuple[str, Catalogue]:
    """The sector of a file and the catalogue with it; raises WhatIfError where it is no sound sector."""
    from classifier.adapters.catalogue_files import UnsoundCatalogue, read_sector  # noqa: PLC0415 - see farol.cli

    try:
        rules: SectorRules = read_sector(file)
    except UnsoundCatalogue as exc:
        raise WhatIfError(f"{file}: {exc}") from exc
    after = replace(catalogue, sectors={**catalogue.sectors, rules.sector: rules})
    if found := problems(after):
        raise WhatIfError(f"{file}: {'; '.join(found)}")
    return rules.sector, after


def what_if(sector: str, recordings: Iterable[Recording], *, before: Judge, after: Judge) -> WhatIf:
    """Every bid of the sector's past searches judged by both, each once; filters of a search play no part."""
    bids: dict[BidId, Licitacao] = {}
    searches = 0
    for recording in recordings:
        if recording.requested.query.lens.sector == sector:
            searches += 1
            bids.update((bid.id, bid) for bid in _bids(recording))
    turned = (_turned(bid, sector, before=before, after=after) for _, bid in sorted(bids.items()))
    return WhatIf(sector=sector, searches=searches, bids=len(bids), turned=tuple(each for each in turned if each))


def _bids(recording: Recording) -> Iterator[Licitacao]:
    for standing in recording.before_completed().standings().values():
        if not isinstance(standing, RejectedBid):
            yield standing.sighted.bid
    yield from (sighted.bid for sighted in recording.rejected.values())


def _turned(bid: Licitacao, sector: str, *, before: Judge, after: Judge) -> Turned | None:
    was, would = (judge.finding(judge.read(bid.objeto), sector) for judge in (before, after))
    if was.settled == would.settled:
        return None
    shown = would if would.settled else was
    terms = tuple(dict.fromkeys(find.term for find in shown.finds))
    return Turned(id=bid.id, objeto=bid.objeto, taken_in=would.settled, terms=terms)
