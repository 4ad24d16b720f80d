"""Replay: a log folded step by step, an answer made again from it, and where two answers differ. All of it pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from contracts.answer import Answer, Result
from contracts.events import events_of
from contracts.fold import SearchState
from contracts.search import Completed
from contracts.state import SearchView
from contracts.subjects import fact_topic
from coordinator.domain.close import answer_of
from farol.recording import Recording, RecordingUnreadable
from servicekit.bus import Stored

_NOT_OF_THE_OUTCOME: Final = frozenset({"search_id", "created_at", "finished_at", "results", "revision"})
"""Which search it was and when; rows are compared one by one."""
_TOLD: Final = (
    "status", "response_state", "degraded", "coverage", "operational_state", "reliability", "counts", "llm_pending"
)  # fmt: skip
"""What the terminal fact says as the answer does: all there is of a search that ended without an answer."""


@dataclass(frozen=True)
class Step:
    """One fact of a log, and what it led to."""

    sequence: int
    at: datetime
    fact: str
    key: str
    """What follows the fact's name in its subject: the place, the batch, the revision."""
    events: tuple[str, ...]
    """What listeners were told because of it."""
    view: SearchView | None
    """The state after it; None before the request is known."""

    @property
    def fields(self) -> dict[str, Any]:
        """One JSON line."""
        view = self.view.model_dump(mode="json", include={"status", "progress", "counts"}) if self.view else {}
        at = self.at.isoformat()
        return {
            "sequence": self.sequence, "at": at, "fact": self.fact, "key": self.key, "events": self.events, **view
        }  # fmt: skip


class Refold:
    """Folds a log fact by fact."""

    def __init__(self, search_id: str) -> None:
        self.state = SearchState(search_id)

    def take(self, stored: Stored) -> Step:
        """Fold one fact; one that this version does not know changes nothing and is shown all the same."""
        tokens = stored.subject.split(".")
        events: tuple[str, ...] = ()
        if (topic := fact_topic(stored.subject)) is not None:
            fact = topic.decode(stored.body)
            events = tuple(str(each.name) for each in events_of(self.state, stored.sequence, fact))
            self.state.apply(stored.sequence, fact)
        return Step(
            sequence=stored.sequence,
            at=stored.time,
            fact=tokens[3],
            key=".".join(tokens[4:]),
            events=events,
            view=self.state.view(stored.time) if self.state.requested else None,
        )


def answer_again(recording: Recording) -> Answer:
    """The answer as today's code makes it from the facts that its coordinator had; raises RecordingUnreadable."""
    completed = recording.completed
    if completed is None:
        raise RecordingUnreadable("a busca ainda não terminou")
    return answer_of(recording.before_completed(), now=completed.at, revision=completed.revision)


@dataclass(frozen=True)
class Difference:
    """One place where two outcomes of one search differ."""

    kind: str
    """`entered`, `left` and `changed` tell of a row, `moved` of its place, `field` of the answer itself."""
    where: str
    """The bid's id, or the field."""
    before: Any = None
    after: Any = None

    @property
    def fields(self) -> dict[str, Any]:
        """One JSON line."""
        return {"kind": self.kind, "where": self.where, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        match self.kind:
            case "entered":
                return f"entrou   {self.where}  {self.after}"
            case "left":
                return f"saiu     {self.where}  {self.before}"
            case "moved":
                return f"posição  {self.where}  {self.before} → {self.after}"
        return f"mudou    {self.where}  {self.before} → {self.after}"


def compare(recording: Recording, again: Answer | Completed) -> list[Difference]:
    """Where an outcome differs from what was told and stored then; raises RecordingUnreadable.

    `again` is the terminal fact where it ended without an answer.
    """
    completed = recording.completed
    if completed is None:
        raise RecordingUnreadable("a busca ainda não terminou")
    stored = recording.answer()
    if stored is not None and isinstance(again, Answer):
        return list(differences(stored, again))
    told = completed.model_dump(mode="json", include=set(_TOLD))
    return [
        Difference("field", name, was, is_now)
        for name, (was, is_now) in _unlike(told, again.model_dump(mode="json", include=set(_TOLD))).items()
    ]


def differences(before: Answer, after: Answer) -> Iterator[Difference]:
    """Where `after` differs from `before`, rows first; equal answers have none."""
    old = {row.id: row for row in before.results}
    new = {row.id: row for row in after.results}
    yield from (Difference("left", bid_id, before=row.objeto) for bid_id, row in old.items() if bid_id not in new)
    yield from (Difference("entered", bid_id, after=row.objeto) for bid_id, row in new.items() if bid_id not in old)
    for bid_id, row in new.items():
        if bid_id in old:
            yield from _of_row(old[bid_id], row)
    yield from _order(list(old), list(new))
    yield from _of_fields(before, after)


def _of_row(before: Result, after: Result) -> Iterator[Difference]:
    for name, (old, new) in _unlike(before.model_dump(mode="json"), after.model_dump(mode="json")).items():
        yield Difference("changed", f"{after.id} {name}", old, new)


def _order(old: list[str], new: list[str]) -> Iterator[Difference]:
    """Rows of both whose order among each other is another."""
    both = set(old) & set(new)
    places = {bid_id: place for place, bid_id in enumerate((each for each in old if each in both), start=1)}
    for place, bid_id in enumerate((each for each in new if each in both), start=1):
        if places[bid_id] != place:
            yield Difference("moved", bid_id, places[bid_id], place)


def _of_fields(before: Answer, after: Answer) -> Iterator[Difference]:
    old = before.model_dump(mode="json", exclude=set(_NOT_OF_THE_OUTCOME))
    new = after.model_dump(mode="json", exclude=set(_NOT_OF_THE_OUTCOME))
    for name, (was, is_now) in _unlike(old, new).items():
        yield Difference("field", name, was, is_now)


def _unlike(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (before.get(name), after.get(name))
        for name in (*before, *(each for each in after if each not in before))
        if before.get(name) != after.get(name)
    }
