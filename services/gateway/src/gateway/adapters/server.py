"""The listening socket: uvicorn inside our own loop, which ends open streams before it waits for connections."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import ClassVar, Final, Self

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from servicekit.logs import log

_GRACE_SECONDS: Final = 3
_UP_WITHIN: Final = 10.0
_BACKLOG: Final = 2048


class _Server(uvicorn.Server):
    """Told to stop, it tells the streams first; signals belong to whoever runs the service."""

    def __init__(self, config: uvicorn.Config, *, before_shutdown: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_shutdown = before_shutdown

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for the other requests."""
        self._before_shutdown()
        await super().shutdown(sockets)


class _InTime(H11Protocol):
    """Closes a connection whose request line and headers drip in: a slow sender must not hold a place for ever."""

    headers_within: ClassVar[timedelta]
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """The first request is due from here on."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Headers that are whole owe nothing; what begins another request has its own time."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._forgive()
        elif self._due is None:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._forgive()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._due = self.loop.call_later(self.headers_within.total_seconds(), self.transport.close)

    def _forgive(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class HttpServer:
    """Serves an ASGI app as a part of a service; leaving it takes seconds, whatever is open."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        before_shutdown: Callable[[], None],
        headers_within: timedelta = timedelta(seconds=10),
    ) -> None:
        self._host = host
        self._wanted = port
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                http=type("_InTime", (_InTime,), {"headers_within": headers_within}),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            ),
            before_shutdown=before_shutdown,
        )
        self._task: asyncio.Task[None] | None = None
        self.port = port
        """The port listened on, once entered."""

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://{self._host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen; a port that is taken is an error here and now."""
        listening = _bound(self._host, self._wanted)
        self.port = listening.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]), name="http")
        async with asyncio.timeout(_UP_WITHIN):
            while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.005)
        if self._task.done():
            await self._task
        log.info("http_listening", url=self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, end the streams, finish what runs."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio sets TCP_NODELAY on what it accepts; without it each reply took 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    listening.listen(_BACKLOG)
    listening.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return listening
