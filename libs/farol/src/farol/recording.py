"""A search in one file: its log, the objects that it names and the bids that it left out. Replay reads nothing else."""

import base64
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import ValidationError

from contracts.answer import Answer
from contracts.answer_codec import decode_answer
from contracts.classification import SightedBid
from contracts.fold import SearchState
from contracts.report import ObjectRef
from contracts.search import Completed, Requested
from contracts.subjects import fact_topic
from contracts.values import BidId
from farol.client import FarolError
from servicekit.bus import Stored

FORMAT: Final = "farol.gravacao.v1"
MOST_BYTES: Final = 1024 * 1024 * 1024
"""Unpacked. A national search with its answer is some 100 MB; more than this is no recording of ours."""


class RecordingUnreadable(FarolError):
    """This is no recording, in words for people."""


@dataclass(frozen=True)
class Recording:
    """One search as it happened."""

    search_id: str
    facts: tuple[Stored, ...]
    objects: Mapping[str, tuple[ObjectRef, bytes]] = field(default_factory=dict)
    """By name: the answer and the spreadsheet."""
    rejected: Mapping[BidId, SightedBid] = field(default_factory=dict)
    """The bids that were left out, with the very content that was judged; the log itself has only their ids."""

    def decoded(self) -> Iterator[tuple[Stored, Any]]:
        """Every fact that this version knows, in order."""
        for stored in self.facts:
            topic = fact_topic(stored.subject)
            if topic is not None:
                yield stored, topic.decode(stored.body)

    def state(self, *, upto: int | None = None) -> SearchState:
        """The fold of the log, or of its facts up to a sequence."""
        state = SearchState(self.search_id)
        for stored, fact in self.decoded():
            if upto is None or stored.sequence <= upto:
                state.apply(stored.sequence, fact)
        return state

    def before_completed(self) -> SearchState:
        """What its coordinator knew when it made the answer; of a log that does not say, all up to `completed`."""
        completed = self.completed
        last = next((s.sequence - 1 for s, fact in self.decoded() if isinstance(fact, Completed)), None)
        return self.state(upto=(completed.folded_to or last) if completed else None)

    @property
    def requested(self) -> Requested:
        """Its first fact; raises RecordingUnreadable without one."""
        found = next((fact for _, fact in self.decoded() if isinstance(fact, Requested)), None)
        if found is None:
            raise RecordingUnreadable("o registro não tem o pedido da busca")
        return found

    @property
    def completed(self) -> Completed | None:
        """Its terminal fact; None while it runs."""
        return next((fact for _, fact in self.decoded() if isinstance(fact, Completed)), None)

    def answer(self) -> Answer | None:
        """The answer that was stored; None where it ended without one."""
        completed = self.completed
        if completed is None or completed.answer_ref is None:
            return None
        kept = self.objects.get(completed.answer_ref.name)
        if kept is None:
            raise RecordingUnreadable("a resposta guardada não está mais disponível")
        return decode_answer(kept[1])


def facts_of_archive(packed: bytes) -> tuple[Stored, ...]:
    """The log as the memory archives it once a search is closed."""
    return tuple(_fact(row) for row in _rows(packed))


def write(recording: Recording, path: Path) -> None:
    """Whole or not at all; the same recording gives the same bytes."""
    beside = path.with_name(f"{path.name}.new")
    lines = b"\n".join(orjson.dumps(row) for row in _lines(recording))
    beside.write_bytes(gzip.compress(lines + b"\n", mtime=0))
    beside.replace(path)


def read(path: Path) -> Recording:
    """The recording in a file; raises RecordingUnreadable."""
    try:
        rows = _rows(path.read_bytes())
        head = rows[0]
        if not isinstance(head, dict) or head.get("kind") != FORMAT:
            raise RecordingUnreadable(f"{path} não é a gravação de uma busca")
        objects = [(ObjectRef.model_validate(r["ref"]), base64.b64decode(r["content"])) for r in _of(rows, "object")]
        bids = [SightedBid.model_validate(row["sighted"]) for row in _of(rows, "rejected")]
        return Recording(
            search_id=head["search_id"],
            facts=tuple(_fact(row) for row in _of(rows, "fact")),
            objects={ref.name: (ref, content) for ref, content in objects},
            rejected={sighted.bid.id: sighted for sighted in bids},
        )
    except (OSError, LookupError, TypeError, ValidationError, orjson.JSONDecodeError) as exc:
        raise RecordingUnreadable(f"{path}: {exc}") from exc


def _lines(recording: Recording) -> Iterator[dict[str, Any]]:
    yield {"kind": FORMAT, "search_id": recording.search_id}
    for fact in recording.facts:
        yield {
            "kind": "fact", "sequence": fact.sequence, "subject": fact.subject, "time": fact.time.isoformat(),
            "correlation_id": fact.correlation_id, "event_id": fact.event_id, "body": orjson.Fragment(fact.body),
        }  # fmt: skip
    for ref, content in recording.objects.values():
        yield {"kind": "object", "ref": ref.model_dump(mode="json"), "content": base64.b64encode(content).decode()}
    for sighted in recording.rejected.values():
        yield {"kind": "rejected", "sighted": orjson.Fragment(sighted.to_json())}


def _of(rows: Sequence[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    return (row for row in rows if row.get("kind") == kind)


def _fact(row: Mapping[str, Any]) -> Stored:
    return Stored(
        sequence=row["sequence"], subject=row["subject"], body=orjson.dumps(row["body"]),
        time=datetime.fromisoformat(row["time"]), correlation_id=row["correlation_id"], event_id=row["event_id"],
    )  # fmt: skip


def _rows(packed: bytes) -> list[dict[str, Any]]:
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        lines = unpacker.decompress(packed, MOST_BYTES)
    except zlib.error as exc:
        raise RecordingUnreadable("não é um arquivo gzip") from exc
    if not unpacker.eof:
        raise RecordingUnreadable("o arquivo está cortado ou é grande demais")
    return [orjson.loads(line) for line in lines.splitlines()]
