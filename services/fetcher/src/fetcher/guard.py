"""One source's breaker as its engine uses it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Final, TypeVar

from contracts.control import Forced, SourceLevers
from fetcher.domain.attempts import AttemptFailed
from servicekit.shared.breaker import Admission, Breaker
from servicekit.shared.circuit import Outcome, State
from servicekit.telemetry.measures import API_ERRORS, FETCH_SECONDS

REFUSED: Final = "breaker.open"
PAUSED: Final = "source.paused"
RECENTLY: Final = timedelta(minutes=2)
"""A source whose circuit was not closed so lately still counts as degraded."""
SLOW: Final = timedelta(seconds=15)
"""A request that was given up after so long was no fast one."""

R = TypeVar("R")


def outcome_of(code: str) -> Outcome | None:
    """What a failed attempt's code says of the source; None: it was not asked."""
    family, _, rest = code.partition(".")
    if code == "http.429":
        return Outcome.LIMITED
    if family == "http":
        return Outcome.SERVER if rest.startswith("5") else Outcome.CLIENT
    return {"timeout": Outcome.TIMEOUT, "net": Outcome.NETWORK, "body": Outcome.SERVER}.get(family)


def refusal(code: str = REFUSED) -> AttemptFailed:
    """What a call ends with that is not made."""
    return AttemptFailed(code, again=False)


class Guard:
    """Makes calls only with the breaker's consent, and tells it how they ended without making the caller wait."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self.levers = SourceLevers()
        """What an operator has set; it wins over the circuit."""
        self._telling: set[asyncio.Task[None]] = set()
        self.probes = 0
        """Calls that a half-open circuit let through: they are neither first tries nor retries of anything."""

    def refuses(self, uf: str | None) -> bool:
        """Whether a call would be refused, as far as is known here."""
        if self.shut:
            return True
        return self.levers.breaker is not Forced.CLOSED and self._breaker.refuses(uf)

    @property
    def shut(self) -> bool:
        """Whether an operator lets nothing through."""
        return self.levers.paused or self.levers.breaker is Forced.OPEN

    def refusal(self) -> AttemptFailed:
        """What a call ends with that is not made now, and why."""
        return refusal(PAUSED if self.levers.paused else REFUSED)

    @property
    def source(self) -> str:
        """Whose calls these are."""
        return self._breaker.source

    @property
    def closed(self) -> bool:
        """Whether the source is trusted: only then is anything asked twice."""
        return not self.shut and (self.levers.breaker is Forced.CLOSED or self._breaker.state is State.CLOSED)

    @property
    def sick(self) -> bool:
        """Whether the source's circuit is not closed, or was not a short while ago."""
        return self._breaker.sick_within(RECENTLY.total_seconds())

    async def call(self, uf: str | None, make: Callable[[], Awaitable[R]]) -> R:
        """The call's result; AttemptFailed with `breaker.open` when it is refused."""
        if self.shut:
            API_ERRORS.add(source=self._breaker.source, outcome="paused" if self.levers.paused else "breaker")
            raise self.refusal()
        admission = await self._breaker.admit(uf)
        if not admission.allowed and self.levers.breaker is not Forced.CLOSED:
            API_ERRORS.add(source=self._breaker.source, outcome="breaker")
            raise refusal()
        self.probes += admission.probe
        began = asyncio.get_running_loop().time()
        try:
            result = await make()
        except AttemptFailed as failed:
            outcome = outcome_of(failed.code)
            self._count(outcome.value if outcome else "cut", began)
            self._ended(admission, outcome, began)
            raise
        except BaseException:
            took = asyncio.get_running_loop().time() - began
            self._count("cut", began)
            self._ended(admission, Outcome.TIMEOUT if took >= SLOW.total_seconds() else None, began)
            raise
        # Nothing is awaited between a page's arrival and its way out: a cut could fall between.
        self._count("ok", began)
        self._ended(admission, Outcome.OK, began)
        return result

    def _count(self, outcome: str, began: float) -> None:
        FETCH_SECONDS.observe(asyncio.get_running_loop().time() - began, source=self._breaker.source, outcome=outcome)
        if outcome != "ok":
            API_ERRORS.add(source=self._breaker.source, outcome=outcome)

    def _ended(self, admission: Admission, outcome: Outcome | None, began: float) -> None:
        if not admission.allowed:
            return  # an operator has let it through: the circuit knows nothing of it
        took = asyncio.get_running_loop().time() - began
        telling: Coroutine[Any, Any, None] = (
            self._breaker.release(admission) if outcome is None else self._breaker.record(admission, outcome, took)
        )
        task = asyncio.create_task(telling)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
