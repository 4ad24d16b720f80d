"""A process's own small HTTP port: `/metrics`, `/health/live`, `/health/ready`. Nothing else, and no framework."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

from pydantic import SecretStr

from servicekit.health import Health, HealthStatus
from servicekit.logs import log
from servicekit.telemetry.meters import exposition

_WITHIN: Final = 5.0
_AT_ONCE: Final = 32
_HEADER_LINES: Final = 64
_LINE: Final = 4096
_JSON: Final = "application/json"

Answer = tuple[HTTPStatus, str, bytes]


def opens(token: SecretStr, authorization: str) -> bool:
    """Whether this `Authorization` shows the token; without one everybody may look."""
    wanted = token.get_secret_value()
    scheme, _, shown = authorization.partition(" ")
    return not wanted or (scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), wanted.encode()))


class Port:
    """Answers until it is left. It shares the loop with what it tells of: stuck, it is silent, as it should."""

    def __init__(self, host: str, port: int, *, token: SecretStr, ready: Callable[[], Awaitable[Health]]) -> None:
        self._host = host
        self._wanted = port
        self._token = token
        self._ready = ready
        self._server: asyncio.Server | None = None
        self._open = 0
        self.port = port
        """The port listened on, once entered."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self._wanted, limit=_LINE)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("metrics_listening", url=f"http://{self._host}:{self.port}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            async with asyncio.timeout(_WITHIN):
                if self._open <= _AT_ONCE and (asked := await _request(reader)) is not None:
                    status, media_type, body = await self._answer(*asked)
                    head = (
                        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {media_type}\r\n"
                        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
                    )
                    writer.write(head.encode() + body)
                    await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            pass  # whoever asked has gone, or asked for nothing that there is
        finally:
            self._open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, path: str, headers: dict[str, str]) -> Answer:
        if path == "/health/live":
            return HTTPStatus.OK, _JSON, b'{"status":"alive"}'
        if path == "/health/ready":
            health = await self._ready()
            well = health.status is not HealthStatus.UNHEALTHY
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
            return status, _JSON, health.to_json()
        counted = exposition()
        if path != "/metrics" or counted is None:
            return HTTPStatus.NOT_FOUND, "text/plain", b""
        if not opens(self._token, headers.get("authorization", "")):
            return HTTPStatus.UNAUTHORIZED, "text/plain", b""
        body, media_type = counted.text(headers.get("accept", ""))
        return HTTPStatus.OK, media_type, body


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    """The path and headers of a GET; None for anything else."""
    words = (await reader.readline()).decode("latin-1").split()
    headers: dict[str, str] = {}
    for _ in range(_HEADER_LINES):
        line = (await reader.readline()).decode("latin-1").strip()
        if not line:
            break
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return (words[1].partition("?")[0], headers) if len(words) > 1 and words[0] == "GET" else None
