"""`farol replay`: what happened in a search, step by step, and whether the same would come of it today."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from contracts.fold import SearchState
from contracts.values import SearchId
from farol.logbook import LogbookError, logbook
from farol.recording import Recording, read, write
from farol.replaying import Difference, Refold, Step, answer_again, compare
from farol.searching import SEARCH_LIMIT

SAME: Final = 0
DIFFERS: Final = 4
"""The exit code when an outcome is another one than it was."""
_ID: Final = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """Which search, and how it is told."""

    what: str
    """The id of a search, or the file of a recording."""
    nats_url: str
    say: Callable[[str], None]
    as_json: bool

    @property
    def file(self) -> Path | None:
        """The recording; None when a running system is asked."""
        return _file_of(self.what)


async def steps(asked: Asked, *, follow: bool) -> int:
    """Every fact and what it led to; with `follow` on until the search is closed."""
    if follow and asked.file is None:
        async with logbook(asked.nats_url) as book, asyncio.timeout(SEARCH_LIMIT.total_seconds()):
            refold = Refold(asked.what)
            async for stored in book.follow(asked.what):
                _tell(asked, refold.take(stored))
        return SAME
    recording = await _recording(asked, whole=False)
    refold = Refold(recording.search_id)
    for stored in recording.facts:
        _tell(asked, refold.take(stored))
    return SAME


async def at(asked: Asked, sequence: int) -> int:
    """The state as it was when the log had come to a sequence."""
    recording = await _recording(asked, whole=False)
    state = recording.state(upto=sequence)
    if state.requested is None:
        raise LogbookError(f"Até {sequence} esta busca ainda não tinha sido pedida.")
    moment = max(stored.time for stored in recording.facts if stored.sequence <= sequence)
    view = state.view(moment)
    if asked.as_json:
        asked.say(orjson.dumps({"sequence": state.last_sequence, "view": view.model_dump(mode="json")}).decode())
    else:
        for line in _standing(state, view):
            asked.say(line)
    return SAME


async def diff(asked: Asked) -> int:
    """The answer made again from the log, against the one that was stored."""
    recording = await _recording(asked, whole=False)
    return _tell_differences(asked, compare(recording, answer_again(recording)))


async def sandbox(asked: Asked, *, catalogue: Path | None) -> int:
    """The search again under a new id, by today's code and catalogue, against what came of it then."""
    from farol.sandbox import Sandbox  # noqa: PLC0415 - as in cli

    recording = await _recording(asked, whole=True)
    async with Sandbox(catalogue=catalogue) as box:
        outcome = await box.run(recording)
    code = _tell_differences(asked, compare(recording, outcome.answer))
    if outcome.kept and not asked.as_json:
        asked.say(f"{outcome.kept} rejeitadas não foram julgadas de novo: o texto que se julgou não está guardado.")
    return code


async def save(asked: Asked, path: Path) -> int:
    """The search in one file."""
    recording = await _recording(asked, whole=True)
    await asyncio.to_thread(write, recording, path)
    asked.say(f"{path}: {len(recording.facts)} fatos, {len(recording.objects)} arquivos")
    return SAME


async def load(asked: Asked) -> int:
    """A file into a system that does not have the search."""
    if asked.file is None:
        raise LogbookError("--load pede o arquivo de uma gravação.")
    recording = await _recording(asked, whole=False)
    async with logbook(asked.nats_url) as book:
        facts = await book.load(recording)
    asked.say(f"{recording.search_id}: {facts} fatos carregados")
    return SAME


async def _recording(asked: Asked, *, whole: bool) -> Recording:
    if asked.file is not None:
        return await asyncio.to_thread(read, asked.file)
    async with logbook(asked.nats_url) as book:
        return await book.recording(_search_id(asked.what), whole=whole)


async def recordings(named: Sequence[str], *, nats_url: str) -> list[Recording]:
    """Whole searches by id or file; of none named, all that a running system still has in its log."""
    files = {word: file for word in named if (file := _file_of(word)) is not None}
    kept = [await asyncio.to_thread(read, file) for file in files.values()]
    ids = [_search_id(word) for word in named if word not in files]
    if ids or not named:
        async with logbook(nats_url) as book:
            kept += [await book.recording(each, whole=True) for each in ids or await book.searches()]
    return kept


def _file_of(word: str) -> Path | None:
    path = Path(word)
    return path if path.is_file() else None


def _search_id(word: str) -> SearchId:
    if len(word) != _ID or not set(word) <= set("0123456789abcdef"):
        raise LogbookError(f"{word} não é o identificador de uma busca (32 dígitos hexadecimais) nem um arquivo.")
    return word


def _tell(asked: Asked, step: Step) -> None:
    if asked.as_json:
        asked.say(orjson.dumps(step.fields).decode())
        return
    counts = ""
    if step.view is not None:
        told = step.view.counts
        counts = f"{step.view.progress:3d}%  {told.fetched} lidas, {told.accepted} aceitas"
    events = f"  → {', '.join(step.events)}" if step.events else ""
    asked.say(f"{step.sequence:>8}  {step.at:%H:%M:%S.%f}  {step.fact:<12} {step.key:<30} {counts}{events}")


def _standing(state: SearchState, view: Any) -> Iterable[str]:
    yield f"sequência    {state.last_sequence}"
    yield f"estado       {view.status}, {view.progress}%"
    yield f"coordenador  {state.lease.owner if state.lease else '-'}"
    yield f"cobertura    {view.coverage.coverage_pct}% de {view.coverage.slices_asked} fatias"
    yield f"licitações   {view.counts.fetched} lidas, {view.counts.accepted} aceitas, {view.counts.uncertain} em dúvida"
    waiting = sorted(f"{source}-{uf}" for source, uf in state.asked_places - state.gathered.keys())
    yield f"à espera     {', '.join(waiting) or '-'}"
    yield f"a julgar     {', '.join(sorted(state.open_batches)) or '-'}"


def _tell_differences(asked: Asked, found: list[Difference]) -> int:
    for each in found:
        asked.say(orjson.dumps(each.fields, default=str).decode() if asked.as_json else str(each))
    if not asked.as_json:
        asked.say(f"{len(found)} {'diferença' if len(found) == 1 else 'diferenças'}")
    return DIFFERS if found else SAME
