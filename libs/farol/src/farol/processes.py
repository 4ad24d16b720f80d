"""Every service in a process of its own, started again when it dies: `farol up --processes`."""

import asyncio
import ctypes
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final, Self

from farol.settings import environment_of_children
from servicekit.logs import log

SERVICES: Final = ("cache", "classifier", "fetcher", "reporter", "coordinator", "gateway")
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 0.8
"""A dead child is back within a second, however often it died."""
HEALTHY_AFTER: Final = 5.0
STOP_WITHIN: Final = 15.0
_PR_SET_PDEATHSIG: Final = 1


def pause_before(deaths_in_a_row: int) -> float:
    """Seconds before the next start of a child that died so often without living 5 s in between."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** max(0, deaths_in_a_row - 1))


@dataclass
class Supervisor:
    """Keeps children running until it is left."""

    output: IO[bytes] | None
    """Where children write; None: where this process does."""
    changed: Callable[[str, int], None]
    """Told the name and process id of each child that started."""
    _children: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def keep(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start this child, now and whenever it is gone, with this on top of our own environment."""
        keeper = self._keep(name, command, environment_of_children(environment))
        self._keepers.append(asyncio.create_task(keeper, name=f"keep-{name}"))

    async def stop(self) -> None:
        """SIGTERM to every child; SIGKILL to those that do not hear it."""
        self._stopping = True
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        running = [child for child in self._children.values() if child.returncode is None]
        for child in running:
            child.send_signal(signal.SIGTERM)
        if not running:
            return
        ends = [asyncio.ensure_future(child.wait()) for child in running]
        _, deaf = await asyncio.wait(ends, timeout=STOP_WITHIN)
        for child in running:
            if child.returncode is None:
                log.warning("child_killed", pid=child.pid)
                child.kill()
        if deaf:
            await asyncio.wait(deaf)

    async def _keep(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        deaths = 0
        while not self._stopping:
            began = time.monotonic()
            child = await self._start(command, environment)
            self._children[name] = child
            self.changed(name, child.pid)
            code = await child.wait()
            deaths = 1 if time.monotonic() - began > HEALTHY_AFTER else deaths + 1
            log.warning("child_died", child=name, code=code, deaths=deaths)
            await asyncio.sleep(pause_before(deaths))

    async def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
        # A session of its own: Ctrl-C reaches this process alone, which then ends the children in order.
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            env=environment,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
