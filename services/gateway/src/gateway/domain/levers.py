"""What an operator may change while it runs, as pure changes of one value, and what the audit keeps of each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.control import Control, Flag, Forced, SourceLevers
from contracts.values import Source

Change = Callable[[Control], Control]


@dataclass(frozen=True, slots=True)
class Pulled:
    """One record of the audit."""

    at: datetime
    actor: str
    """The id of the key, and its tenant."""
    action: str
    subject: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lever:
    """One change: what it is called, what it is about, and how what it is about reads before and after."""

    action: str
    subject: str
    change: Change
    read: Callable[[Control], str]


def flag(name: Flag, *, on: bool) -> Lever:
    """Switch a flag."""
    return Lever(
        "flag", name, lambda now: _with(now, flags={**now.flags, name: on}), lambda now: "on" if now.on(name) else "off"
    )


def source(name: Source, **fields: Any) -> Lever:
    """Pause or resume a source, change its rate, force its circuit: only the fields that are named change."""

    def change(now: Control) -> Control:
        told = SourceLevers.model_validate(now.of(name).model_dump() | fields)
        return _with(now, sources={**now.sources, name: told})

    return Lever("source", name, change, lambda now: _words(now.of(name)))


def drain(worker: str, *, drained: bool) -> Lever:
    """Have a worker, or all of a service, take no new work, or take it again."""

    def change(now: Control) -> Control:
        rest = tuple(each for each in now.drained if each != worker)
        return _with(now, drained=(*rest, worker) if drained else rest)

    return Lever("drain", worker, change, lambda now: "drained" if worker in now.drained else "working")


def _with(now: Control, **fields: Any) -> Control:
    return Control.model_validate(now.model_dump() | fields)


def _words(levers: SourceLevers) -> str:
    rate = "default" if levers.rate is None else f"{levers.rate:g}/s"
    breaker = "auto" if levers.breaker is None else str(Forced(levers.breaker))
    return f"{'paused' if levers.paused else 'running'}, rate {rate}, breaker {breaker}"
