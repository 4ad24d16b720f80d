"""`python -m classifier.bench`: the automaton against one expression per term over the same folded text, in one run."""

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from classifier.adapters.catalogue_files import load_catalogue
from classifier.domain.engine import Automaton
from classifier.domain.relevance import Judge
from classifier.domain.text import Words, form_of, words_of
from contracts.sectors import SECTORS

T = TypeVar("T")

_SHORT_RUN = 0.5
"""Seconds; the fast side is repeated for at least so long."""

SAMPLE = (
    "Registro de preços para futura e eventual aquisição de uniformes escolares, tênis e mochilas para a rede pública",
    "Contratação de empresa especializada para pavimentação asfáltica e drenagem pluvial em diversas ruas do município",
    "[LICITANET] - Aquisição de gêneros alimentícios da agricultura familiar para a merenda escolar",
    "Prestação de serviços de limpeza, conservação e higienização predial, com fornecimento de mão de obra e materiais",
    "Locação de 2 (dois) veículos tipo van, sem motorista, para o transporte de pacientes da Secretaria de Saúde",
    "Aquisição de material médico-hospitalar: seringas, luvas de procedimento, cateteres e compressas de gaze",
)
"""Texts of the usual kind and length, for when none are given."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of this machine."""

    terms: int
    sector: str
    sector_terms: int
    one_sector_times: float
    """How many times as fast as the baseline the automaton of one sector is, that sector's terms alone."""
    all_sectors_times: float
    bids_per_second: float
    """Judged for all 30 sectors, reading included, on one core."""
    hostile_seconds_half: float
    hostile_seconds_whole: float
    """Half and all of 1 MB of one term after the other: linear time about doubles."""


def measure(texts: Sequence[str] = SAMPLE, *, sector: str = "vestuario", baseline_texts: int = 40) -> Measured:
    """Takes some seconds; the baseline runs over a few texts only, since it takes tens of milliseconds on each."""
    judge = Judge(load_catalogue())
    every = sorted({form for entry in judge.entries if (form := form_of(entry.term))})
    own = sorted({form for entry in judge.entries if entry.sector == sector and (form := form_of(entry.term))})
    read = [words_of(text) for text in texts]
    hostile = " ".join((every * (1 + 1_000_000 // sum(map(len, every))))[:])[:1_000_000]
    halves = [_seconds(lambda text=text: judge.automaton.find(words_of(text))) for text in (hostile[:500_000], hostile)]  # type: ignore[misc]  # a default binds the loop's text
    return Measured(
        terms=len(every),
        sector=sector,
        sector_terms=len(own),
        one_sector_times=_times(own, read, baseline_texts),
        all_sectors_times=_times(every, read, baseline_texts),
        bids_per_second=1 / _per_item(lambda text: _judge_all(judge, text), texts),
        hostile_seconds_half=halves[0],
        hostile_seconds_whole=halves[1],
    )


def _times(forms: Sequence[str], read: Sequence[Words], few: int) -> float:
    automaton = Automaton(forms)
    baseline = [re.compile(rf"\b{re.escape(form)}\b") for form in forms]
    lines = [words.line for words in read[:few]]
    slow = _seconds(lambda: [match.start() for line in lines for e in baseline for match in e.finditer(line)]) / len(
        lines
    )
    return slow / _per_item(automaton.find, read)


def _judge_all(judge: Judge, text: str) -> None:
    reading = judge.read(text)
    for sector in SECTORS:
        judge.finding(reading, sector)


def _per_item(work: Callable[[T], object], items: Sequence[T]) -> float:
    began, done = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < _SHORT_RUN:
        for item in items:
            work(item)
        done += len(items)
    return took / done


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measure()), indent=2) + "\n")
