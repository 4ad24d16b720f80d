"""`farol up`: the whole of Farol on one machine, from nothing, without root."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Final

from farol.logfile import stdout_to, turn_shared
from farol.place import Endpoint, Place
from farol.processes import SERVICES, Supervisor
from farol.settings import Sources
from farol.starting import (
    RecordedSources,
    free_ports,
    http_port,
    kept_nats,
    recorded_sources,
    until_listening,
    until_ready,
)
from servicekit.logs import configure, log
from servicekit.provision import provision
from servicekit.settings import ServiceSettings, TelemetrySettings

EXAMPLE: Final = ("--uf", "SP", "--uf", "MG", "--uf", "RS", "--sector", "alimentacao", "--days", "10")
"""The search that `make run` shows."""

LOOK_AT_LOG: Final = 30.0
"""Seconds between two looks at how large the log of all processes has become."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What this start was asked for."""

    place: Place
    sources: Sources
    port: int
    key: str
    nats_url: str | None = None
    """None: a server of our own."""
    processes: bool = False
    log_to_stdout: bool = False
    example: Sequence[str] | None = None
    """Arguments of a `farol search` that is run once everything is up."""
    once: bool = False
    """End after the example, with its exit code."""


async def up(wanted: Wanted, *, say: Callable[[str], None], today: date) -> int:
    """Run until SIGINT or SIGTERM, or until the example is over with `once`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    state = wanted.place.prepare(wanted.sources, today)
    with nullcontext() if wanted.log_to_stdout else stdout_to(wanted.place.log, turning=not wanted.processes):
        configure(ServiceSettings().log_level, "farol")
        serving = asyncio.create_task(_serve(wanted, state, say=say))
        told = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if serving.done():
            return serving.result()
        say("Encerrando…")
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        return 0


async def _serve(wanted: Wanted, state: Path, *, say: Callable[[str], None]) -> int:
    say("Iniciando o Farol…")
    async with running(wanted, state) as endpoint:
        _greet(wanted, endpoint.url, say)
        if wanted.example is not None:
            code = await _example(wanted.example, wanted.place, say=say)
            if wanted.once:
                return code
            say(f"Farol segue em {endpoint.url}; Ctrl-C encerra.")
        await asyncio.Event().wait()
    return 0


@asynccontextmanager
async def running(wanted: Wanted, state: Path) -> AsyncIterator[Endpoint]:
    """Everything started and ready for searches; stopped in the reverse order."""
    pids: dict[str, int] = {"supervisor": os.getpid()}

    def started(name: str, pid: int) -> None:
        pids[name] = pid
        wanted.place.write_pids(pids)

    port = http_port(wanted.port)
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        nats_url = wanted.nats_url
        if nats_url is None:
            server = kept_nats(state / "nats", restarted=lambda pid: started("nats", pid))
            nats_url = (await stack.enter_async_context(server)).url
        await provision(nats_url)
        environment = {
            "NATS_URL": nats_url,
            "FAROL_DATA_DIR": str(state),
            "FAROL_HTTP_PORT": str(port),
            "FAROL_API_KEY": wanted.key,
        }
        recorded = await _services(stack, wanted, environment, started)
        await until_ready(url)
        endpoint = Endpoint(
            url=url,
            nats_url=nats_url,
            pid=os.getpid(),
            sources=wanted.sources,
            simulator_url=recorded.control_url if recorded else None,
        )
        wanted.place.write_key(wanted.key)
        wanted.place.write_endpoint(endpoint)
        log.info("farol_up", url=url, sources=wanted.sources, processes=wanted.processes)
        yield endpoint


async def _services(
    stack: AsyncExitStack, wanted: Wanted, environment: dict[str, str], started: Callable[[str, int], None]
) -> RecordedSources | None:
    recorded = None
    if not wanted.processes:
        if wanted.sources == "recorded":
            recorded = await stack.enter_async_context(recorded_sources())
            environment |= recorded.environment
        # Imported here: it brings every service with it, which `farol search` does not need.
        from farol.one_loop import services_in_one_loop  # noqa: PLC0415

        await stack.enter_async_context(services_in_one_loop(environment))
        return recorded
    output: IO[bytes] | None = None
    if not wanted.log_to_stdout:
        output = stack.enter_context(wanted.place.log.open("ab"))
        turning = asyncio.create_task(_keep_turning(wanted.place.log), name="turn-log")
        stack.callback(turning.cancel)
    supervisor = await stack.enter_async_context(Supervisor(output=output, changed=started))
    if wanted.sources == "recorded":
        port = free_ports(3)[0]
        recorded = RecordedSources.at(port)
        environment |= recorded.environment
        supervisor.keep("simulators", (sys.executable, "-m", "simulators", "--port", str(port)), environment)
        await until_listening(port)
    first = TelemetrySettings().metrics_port
    for number, name in enumerate(SERVICES):
        own = {"METRICS_PORT": str(first + number)} if first else {}
        supervisor.keep(name, (sys.executable, "-m", name), environment | own)
    return recorded


async def _keep_turning(path: Path) -> None:
    while True:
        await asyncio.sleep(LOOK_AT_LOG)
        await asyncio.to_thread(turn_shared, path)


def _greet(wanted: Wanted, url: str, say: Callable[[str], None]) -> None:
    say(f"Farol em {url} ({'dados gravados, sem internet' if wanted.sources == 'recorded' else 'dados ao vivo'})")
    say(f"API key: {wanted.key}")
    say(f"Entrar no navegador: {url}/entrar?key={wanted.key}")
    if not wanted.log_to_stdout:
        say(f"Registro: {wanted.place.log}")
    if wanted.example is None:
        say("Ctrl-C encerra.")


async def _example(arguments: Sequence[str], place: Place, *, say: Callable[[str], None]) -> int:
    """The search as a person would run it, in a process of its own, on this terminal."""
    say("")
    say(f"$ farol search {' '.join(arguments)}")
    command = (sys.executable, "-m", "farol", "search", *arguments, "--table", "--data-dir", str(place.root))
    search = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    try:
        return await search.wait()
    except asyncio.CancelledError:
        if search.returncode is None:
            search.terminate()
            await search.wait()
        raise
