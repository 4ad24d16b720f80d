"""The rules of a circuit breaker: pure, moments are seconds of any steady clock."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """How a call ended, as far as a breaker cares (T02.3)."""

    OK = "ok"
    TIMEOUT = "timeout"
    CLIENT = "client_4xx"
    LIMITED = "limited_429"
    SERVER = "server_5xx"
    NETWORK = "network"


class Mark(StrEnum):
    """What a call counts as."""

    GOOD = "o"
    FAILED = "f"
    SLOW = "s"
    NEITHER = "n"
    """A call, but neither for nor against."""
    UNKNOWN = "u"
    """Given up by its caller: no call at all, only its place is free again."""


class State(StrEnum):
    """Of a circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Policy:
    """When a circuit opens and how it closes again; times in seconds."""

    window: float = 60.0
    window_calls: int = 100
    least_calls: int = 20
    error_rate: float = 0.5
    slow_rate: float = 0.8
    slow_after: float = 15.0
    probes: int = 3
    probe_time: float = 35.0
    """After so long a probe that says nothing frees its place: a call's own deadline and some."""
    first_pause: float = 60.0
    longest_pause: float = 600.0
    slow_call_rule: bool = True
    """Off: a timeout never opens, as the owner asked; a black hole may then keep the circuit closed for ever."""
    count_4xx: bool = False
    """On: 400, 404 and 422 count as failures too."""

    def mark(self, outcome: Outcome, took: float) -> Mark:
        """What a call counts as. A timeout alone never counts as an error; a slow call may."""
        failed = outcome in {Outcome.SERVER, Outcome.NETWORK, Outcome.LIMITED}
        if failed or (outcome is Outcome.CLIENT and self.count_4xx):
            return Mark.FAILED
        if self.slow_call_rule and (outcome is Outcome.TIMEOUT or took >= self.slow_after):
            return Mark.SLOW
        return Mark.NEITHER if outcome is Outcome.TIMEOUT else Mark.GOOD

    def pause(self, failures: int) -> float:
        """How long the circuit stays open after so many openings in a row."""
        return float(min(self.first_pause * 2.0 ** min(failures - 1, 32), self.longest_pause))


@dataclass(frozen=True, slots=True)
class Change:
    """A circuit went from one state to another."""

    circuit: str
    before: State
    after: State
    reason: str
    failures: int
    """Openings in a row, with no success between them."""
    pause: float
    """Seconds until the next probes; 0 unless it opened."""
    shared: bool = False
    """Whether it is that of all processes."""


ERRORS: Final = "error_rate"
SLOW_CALLS: Final = "slow_call_rate"
PROBE_FAILED: Final = "probe_failed"
PAUSE_OVER: Final = "pause_over"
PROBES_PASSED: Final = "probes_passed"


@dataclass(eq=False)
class Circuit:
    """One circuit of one process."""

    name: str
    policy: Policy
    state: State = State.CLOSED
    generation: int = 0
    """Raised by each change, so that a result of the time before does not count."""
    until: float = 0.0
    failures: int = 0
    _calls: deque[tuple[float, Mark]] = field(default_factory=deque)
    _probes: dict[str, float] = field(default_factory=dict)
    _passed: int = 0

    def refuses_for(self, now: float) -> float | None:
        """Seconds after which asking again makes sense; None when a call may be made now."""
        if self.state is State.OPEN:
            return self.until - now if now < self.until else None
        if self.state is State.HALF_OPEN:
            leases = sorted(until for until in self._probes.values() if until > now)
            if len(leases) + self._passed >= self.policy.probes:
                return leases[0] - now if leases else 0.0
        return None

    def admit(self, now: float, token: str) -> Change | None:
        """Count a call that is about to be made; only when `refuses_for` said None."""
        change = None
        if self.state is State.OPEN:
            change = self._go(State.HALF_OPEN, PAUSE_OVER)
        if self.state is State.HALF_OPEN:
            self._probes = {probe: until for probe, until in self._probes.items() if until > now}
            self._probes[token] = now + self.policy.probe_time
        return change

    def record(self, now: float, token: str, mark: Mark) -> Change | None:
        """Count how an admitted call of this generation ended."""
        if self.state is State.HALF_OPEN:
            return self._record_probe(now, token, mark)
        if self.state is State.OPEN or mark is Mark.UNKNOWN:
            return None
        self._calls.append((now, mark))
        while len(self._calls) > self.policy.window_calls or self._calls[0][0] <= now - self.policy.window:
            self._calls.popleft()
        marks = [each for _, each in self._calls]
        if len(marks) < self.policy.least_calls:
            return None
        if marks.count(Mark.FAILED) >= self.policy.error_rate * len(marks):
            return self._open(now, ERRORS)
        if marks.count(Mark.SLOW) >= self.policy.slow_rate * len(marks):
            return self._open(now, SLOW_CALLS)
        return None

    def _record_probe(self, now: float, token: str, mark: Mark) -> Change | None:
        if self._probes.pop(token, None) is None:
            return None
        if mark in {Mark.FAILED, Mark.SLOW}:
            return self._open(now, PROBE_FAILED)
        self._passed += mark is Mark.GOOD
        if self._passed < self.policy.probes:
            return None
        self.failures = 0
        return self._go(State.CLOSED, PROBES_PASSED)

    def _open(self, now: float, reason: str) -> Change:
        self.failures += 1
        self.until = now + self.policy.pause(self.failures)
        return self._go(State.OPEN, reason, pause=self.policy.pause(self.failures))

    def _go(self, after: State, reason: str, *, pause: float = 0.0) -> Change:
        before, self.state = self.state, after
        self.generation += 1
        self._calls.clear()
        self._probes.clear()
        self._passed = 0
        return Change(self.name, before, after, reason, self.failures, pause)

    def adopt(self, until: float, failures: int) -> None:
        """Take over that the circuit of all processes was open, now that it cannot be asked."""
        if self.state is State.CLOSED:
            self._go(State.OPEN, PROBE_FAILED)
        self.until, self.failures = max(self.until, until), max(self.failures, failures)
