"""Time that passes as fast as the code under test lets it."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class _PatientSelector(selectors.DefaultSelector):
    """Waits for nothing: what would have been waited is added to the loop's clock."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits for ever")
            self.skipped += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose seconds cost nothing."""

    def __init__(self) -> None:
        self._patient = _PatientSelector()
        super().__init__(self._patient)

    def time(self) -> float:
        return self._patient.skipped


class VirtualTime:
    """Runs a coroutine on a virtual clock; `now` is the wall clock that belongs to it."""

    def __init__(self) -> None:
        self._loop: VirtualLoop | None = None

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time() if self._loop else 0.0)

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        def loop() -> asyncio.AbstractEventLoop:
            self._loop = VirtualLoop()
            return self._loop

        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(main)


@pytest.fixture
def virtual() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def start() -> datetime:
    return START
