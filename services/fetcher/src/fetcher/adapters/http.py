"""One bounded GET against a source: the whole call has a deadline, the body a bound, and every failure a code."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx
from opentelemetry.trace import SpanKind

from fetcher.domain.attempts import AttemptFailed
from servicekit.telemetry.tracing import about, span

LARGEST_BODY: Final = 8 * 1024 * 1024
"""Bytes after decompression; a page of 50 records has about 90 KB."""
CONNECTIONS: Final = httpx.Limits(max_connections=128, max_keepalive_connections=32, keepalive_expiry=15)
HEADERS: Final = {
    # The sources' firewall refuses clients that do not look like a browser.
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
    "Accept": "application/json",
    "Accept-Language": "pt-BR,pt;q=0.9",
}
UNTIMED: Final = httpx.Timeout(None)
"""Each call has one deadline over all of it instead, see `SourceHttp.get`."""
TOO_MANY, SERVER_ERROR = 429, 500


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that came whole."""

    status: int
    body: bytes

    @property
    def is_html(self) -> bool:
        """Whether a page for people came: the firewall's, or the sign of an outage."""
        return self.body.lstrip()[:1] == b"<"


class SourceHttp:
    """The connections to one source; open it with `async with`."""

    def __init__(self, base_url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(
            base_url=self._base_url, headers=HEADERS, limits=CONNECTIONS, timeout=UNTIMED, transport=self._transport
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def get(self, path: str, params: Mapping[str, str | int], *, within: timedelta) -> Reply:
        """The reply, whatever its status but 429 and 5xx; AttemptFailed for those and for no whole reply in time."""
        address = urlsplit(self._base_url).hostname or ""
        with span("GET", kind=SpanKind.CLIENT, method="GET", address=address, path=path) as step:
            reply = await self._bounded(path, params, within=within)
            about(step, status=reply.status)
            return reply

    async def _bounded(self, path: str, params: Mapping[str, str | int], *, within: timedelta) -> Reply:
        try:
            # httpx's own timeouts bound each read; only this bounds a body that drips.
            async with asyncio.timeout(within.total_seconds()):
                return await self._get(path, params)
        except TimeoutError as error:
            raise AttemptFailed("timeout.http", again=True) from error
        except httpx.DecodingError as error:
            raise AttemptFailed("body.broken", again=True) from error
        except httpx.ConnectError as error:
            raise AttemptFailed("net.connect", again=True) from error
        except httpx.TransportError as error:
            raise AttemptFailed("net.broken", again=True) from error

    async def _get(self, path: str, params: Mapping[str, str | int]) -> Reply:
        if self._client is None:
            raise RuntimeError("SourceHttp is used before it is opened")
        async with self._client.stream("GET", path, params=params) as response:
            if response.status_code == TOO_MANY:
                raise AttemptFailed("http.429", again=True, retry_after=_retry_after(response.headers))
            if response.status_code >= SERVER_ERROR:
                raise AttemptFailed(f"http.{response.status_code}", again=True)
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise AttemptFailed("body.too_large", again=False)
            return Reply(status=response.status_code, body=bytes(body))


def _retry_after(headers: httpx.Headers) -> timedelta | None:
    """Seconds or an HTTP date; None when absent or unreadable."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return timedelta(seconds=min(int(text), 3600))
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC), timedelta(0))
