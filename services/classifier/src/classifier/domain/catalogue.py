"""The catalogue: what each sector takes in and leaves out, as data; and what makes a catalogue sound."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from classifier.domain.text import form_of
from contracts.sectors import SECTORS, SectorId

_GROUP = re.compile(r"\(([^()]*)\)")
MAX_EXPANSION = 400
"""Terms that one pattern may stand for."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _pattern(text: str) -> str:
    if not 1 <= sum(1 for _ in itertools.islice(expand(text), MAX_EXPANSION + 1)) <= MAX_EXPANSION:
        raise ValueError(f"{text!r} stands for more than {MAX_EXPANSION} terms")
    if any(not form_of(term) for term in expand(text)):
        raise ValueError(f"{text!r} has an alternative without a telling word")
    return text


def expand(pattern: str) -> Iterator[str]:
    """The terms that a pattern stands for: `(aluguel|locação) de van` is two. Groups do not nest."""
    pieces = _GROUP.split(pattern)
    choices = [piece.split("|") if n % 2 else [piece] for n, piece in enumerate(pieces)]
    for combination in itertools.product(*choices):
        yield " ".join("".join(combination).split())


Pattern = Annotated[str, Field(min_length=2, max_length=600), AfterValidator(_pattern)]
Patterns = tuple[Pattern, ...]


class ValueRange(_Data):
    """What a usual contract of the sector is worth, in reais (D04)."""

    min: Decimal = Field(gt=0)
    max: Decimal = Field(gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> "ValueRange":
        if self.min >= self.max:
            raise ValueError("min must be below max")
        return self


class CoOccurrence(_Data):
    """D03: a trigger beside a negative context means something else, unless a positive signal rescues it."""

    trigger: Patterns = Field(min_length=1)
    negative: Patterns = Field(min_length=1)
    positive: Patterns = ()


class SectorRules(_Data):
    """One sector's file. Accents, case, plural and the words `de`, `e`, `o` do not count in its patterns."""

    sector: SectorId
    strong: Patterns = Field(min_length=1)
    """Each names what a supplier of the sector sells, though a longer term of another sector may hide it."""
    weak: Patterns = ()
    """Names the sector only where no strong term of another sector stands beside it (`reforma`, `móveis`)."""
    vague: Patterns = ()
    """Names the sector only where no other term does, there or in the two clauses after it (`obra`, `evento`)."""
    exclusions: Patterns = ()
    """Phrases that hide the terms that they cover: they look like the sector and are not (`mesa de som`)."""
    rejections: Patterns = ()
    """With one of these in the objeto the bid is not of the sector, whatever else it says."""
    co_occurrence: tuple[CoOccurrence, ...] = ()
    ncm: tuple[Annotated[str, Field(pattern=r"^[0-9]{2,8}$")], ...] = ()
    """NCM prefixes of its goods, for the inspection of items."""
    units: Patterns = ()
    sizes: Patterns = ()
    value_range: ValueRange


class Grammar(_Data):
    """The words of procurement itself, which say nothing of what is bought."""

    kind: Literal["grammar"] = "grammar"
    boilerplate: tuple[str, ...]
    """Words around what is bought: they are skipped before it and never counted."""
    generic: tuple[str, ...]
    """Words that leave open what is bought: an objeto of nothing else is generic."""
    breaks: tuple[str, ...]
    """Words that end the clause that names what is bought: after them come purpose, place, manner."""
    elsewhere: Patterns = ()
    """What is bought, but by no supplier of any sector (meal vouchers, funerals): where it leads, no sector counts."""
    attachments: tuple[str, ...]
    """After these and a first find, finds of other sectors are complements and do not count."""


@dataclass(frozen=True)
class Catalogue:
    """All sectors' rules and the grammar, under one content hash."""

    sectors: Mapping[str, SectorRules]
    grammar: Grammar

    @property
    def version(self) -> str:
        """12 hexadecimal digits over the content: equal rules, equal version."""
        digest = hashlib.sha256(self.grammar.model_dump_json().encode())
        for sector in sorted(self.sectors):
            digest.update(self.sectors[sector].model_dump_json().encode())
        return digest.hexdigest()[:12]


def problems(catalogue: Catalogue) -> list[str]:
    """What is wrong with a catalogue, one sentence each; empty when it is sound."""
    found = [f"{sector}: no file" for sector in SECTORS if sector not in catalogue.sectors]
    for sector, rules in catalogue.sectors.items():
        if rules.sector != sector:
            found.append(f"{sector}: the file says {rules.sector}")
        owners: dict[str, str] = {}
        for kind in ("strong", "weak", "vague", "exclusions", "rejections"):
            for pattern in getattr(rules, kind):
                for term in expand(pattern):
                    form = form_of(term)
                    if form != form_of(term, numbers=True):
                        found.append(f"{sector}: {term!r} ({kind}) has a figure or number word, which is never seen")
                    if (other := owners.get(form)) is not None:
                        found.append(f"{sector}: {term!r} ({kind}) repeats a term of {other}")
                    owners[form] = f"{kind}"
        found.extend(_unreachable(sector, rules))
    return found


def _unreachable(sector: str, rules: SectorRules) -> Iterator[str]:
    """A rule fires only where a trigger stands on a term of its sector."""
    patterns = (*rules.strong, *rules.weak, *rules.vague)
    terms = {form_of(term) for pattern in patterns for term in expand(pattern)}
    for number, rule in enumerate(rules.co_occurrence, start=1):
        triggers = [form_of(term) for pattern in rule.trigger for term in expand(pattern)]
        if not any(_overlap(trigger, term) for trigger in triggers for term in terms):
            yield f"{sector}: co-occurrence rule {number} can never fire: no trigger stands on a term"


def _overlap(one: str, other: str) -> bool:
    return f" {one} " in f" {other} " or f" {other} " in f" {one} "
