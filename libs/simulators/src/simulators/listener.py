"""One loopback port served by uvicorn's protocol on the running loop: no signal handlers, no thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Final

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HOST: Final = "127.0.0.1"
BACKLOG: Final = 512
GRACE_S: Final = 0.5


class _Protocol(H11Protocol):
    """uvicorn's protocol, which also hands the request its transport, so that a fault can break the connection."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        super().connection_made(transport)
        self.app_state = {"transport": transport}


class Listener:
    """Serves one ASGI application on one port; can refuse connections for a while and take them again."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._config = Config(app, log_config=None, lifespan="off", timeout_keep_alive=75, server_header=False)
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._opening: asyncio.Task[None] | None = None
        self.port = port

    @property
    def url(self) -> str:
        """The base of every URL on this port."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen; the port is known from here on."""
        self._config.load()
        await self._open(self._bound())

    def refuse(self) -> None:
        """Close the port and every connection: the next client is refused."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._server is not None:
            self._server.close()
            self._server = None
        self._drop_connections()

    def accept(self) -> None:
        """Listen again on the same port; connections queue from this call on."""
        if self._server is None and self._opening is None:
            self._opening = asyncio.ensure_future(self._open(self._bound()))

    async def stop(self) -> None:
        """Close everything; a request still at work is cancelled after a moment."""
        self.refuse()
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _bound(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((HOST, self.port))
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
        sock.setblocking(False)  # noqa: FBT003 - positional only
        self.port = sock.getsockname()[1]
        return sock

    async def _open(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Protocol(self._config, self._state, {}), sock=sock, backlog=BACKLOG
            )
        except BaseException:
            sock.close()
            raise
        self._opening = None

    def _drop_connections(self) -> None:
        for connection in tuple(self._state.connections):
            with contextlib.suppress(
                AttributeError
            ):  # a websocket protocol names its transport otherwise; none is served
                connection.transport.abort()
