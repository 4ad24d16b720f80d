"""The catalogue: what each sector takes in and leaves out, as data; and what makes a catalogue sound."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from classifier.domain.text import form_of, normal_form
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
    agencies: tuple[str, ...] = ()
    """Words that begin the name of a public body; the name goes on to the next break or punctuation."""
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
    own_words = frozenset(normal_form(word) for word in catalogue.grammar.boilerplate)
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
                    if form in own_words:
                        found.append(
                            f"{sector}: {term!r} ({kind}) is one of procurement's own words, which any bid has"
                        )
                    if (other := owners.get(form)) is not None:
                        found.append(f"{sector}: {term!r} ({kind}) repeats a term of {other}")
                    owners[form] = f"{kind}"
        found.extend(_unreachable(sector, rules))
        found.extend(_shadowed_within(sector, rules))
    found.extend(_shadowed_across(catalogue))
    return found


def _forms(patterns: Patterns) -> dict[str, str]:
    """Normal form -> the term as written."""
    return {form_of(term): term for pattern in patterns for term in expand(pattern)}


def _shadowed_within(sector: str, rules: SectorRules) -> Iterator[str]:
    """Terms that can never count, because a rule of their own sector always fires with them."""
    rejections = _forms(rules.rejections)
    ruled = [(_forms(rule.trigger), _forms(rule.negative), _forms(rule.positive)) for rule in rules.co_occurrence]
    for form, term in _forms((*rules.strong, *rules.weak, *rules.vague)).items():
        yield from (
            f"{sector}: {term!r} is shadowed by the rejection {r!r}" for f, r in rejections.items() if _in(f, form)
        )
        for number, (triggers, negatives, positives) in enumerate(ruled, start=1):
            if all(any(_in(f, form) for f in forms) for forms in (triggers, negatives)) and not any(
                _in(f, form) for f in positives
            ):
                yield f"{sector}: {term!r} is shadowed by co-occurrence rule {number}, which voids it unless rescued"


def _shadowed_across(catalogue: Catalogue) -> Iterator[str]:
    """Weak and vague terms that are another sector's strong ones: beside those they never count."""
    strong: dict[str, set[str]] = {}
    for sector, rules in (*((s, r.strong) for s, r in catalogue.sectors.items()), ("-", catalogue.grammar.elsewhere)):
        for form in _forms(rules):
            strong.setdefault(form, set()).add(sector)
    for sector, each in catalogue.sectors.items():
        for form, term in _forms((*each.weak, *each.vague)).items():
            if others := sorted(strong.get(form, set()) - {sector}):
                yield f"{sector}: {term!r} is shadowed by the same strong term of {', '.join(others)}"


def _unreachable(sector: str, rules: SectorRules) -> Iterator[str]:
    """A rule fires only where a trigger stands on a term of its sector."""
    patterns = (*rules.strong, *rules.weak, *rules.vague)
    terms = {form_of(term) for pattern in patterns for term in expand(pattern)}
    for number, rule in enumerate(rules.co_occurrence, start=1):
        triggers = [form_of(term) for pattern in rule.trigger for term in expand(pattern)]
        if not any(_overlap(trigger, term) for trigger in triggers for term in terms):
            yield f"{sector}: co-occurrence rule {number} can never fire: no trigger stands on a term"


def _overlap(one: str, other: str) -> bool:
    return _in(one, other) or _in(other, one)


def _in(part: str, whole: str) -> bool:
    return f" {part} " in f" {whole} "
