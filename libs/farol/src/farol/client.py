"""Farol over HTTP, as `farol search` and `farol events` speak it."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from contracts.answer import Result
from contracts.report import Summary
from contracts.state import SearchView
from farol.sse import Decoder, ServerEvent, StreamBrokenError

QUIET_LIMIT: Final = timedelta(seconds=45)
"""The gateway pings every 15 s: a stream that is silent for three pings is dead."""
REQUEST_LIMIT: Final = timedelta(seconds=30)
FIRST_PAUSE: Final = timedelta(milliseconds=300)
LONGEST_PAUSE: Final = timedelta(seconds=5)
PAGE: Final = 200
MAX_FILE_BYTES: Final = 256 * 1024 * 1024
_FILE_NAME: Final = re.compile(r'filename="([A-Za-z0-9._-]{1,120})"')


class FarolError(Exception):
    """What went wrong, in words for people."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows of a search and how many there are in all."""

    rows: tuple[Result, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Download:
    """A file and the plain name that the gateway gave it."""

    name: str
    content: bytes


class FarolClient:
    """One caller with one key."""

    def __init__(self, url: str, key: str | None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(REQUEST_LIMIT.total_seconds(), connect=5)
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, trust_env=False)
        self._url = url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, body: dict[str, Any]) -> SearchView:
        """Ask a search."""
        return SearchView.model_validate_json((await self._send("POST", "/v1/searches", json=body)).content)

    async def backfill(self, params: dict[str, Any]) -> dict[str, int]:
        """Have some of what the memory lacks of a window fetched; how much is left."""
        reply: dict[str, int] = (await self._send("POST", "/v1/admin/backfill", params=params)).json()
        return reply

    async def view(self, search_id: str) -> SearchView:
        """The state of a search."""
        return SearchView.model_validate_json((await self._send("GET", f"/v1/searches/{search_id}")).content)

    async def rows(self, search_id: str, *, limit: int) -> Outcome:
        """The first rows in the order asked for, up to the limit."""
        rows: list[Result] = []
        params: dict[str, str | int] = {"limit": min(limit, PAGE)}
        while True:
            page = (await self._send("GET", f"/v1/searches/{search_id}/results", params=params)).json()
            rows.extend(Result.model_validate(row) for row in page["results"])
            cursor = page.get("next_cursor")
            if not cursor or len(rows) >= limit:
                return Outcome(rows=tuple(rows[:limit]), total=page["total"])
            params = {"limit": min(limit - len(rows), PAGE), "cursor": cursor}

    async def summary(self, search_id: str) -> Summary | None:
        """The summary; None while there is none."""
        reply = await self._send("GET", f"/v1/searches/{search_id}/summary", accept_missing=True)
        if reply.status_code != httpx.codes.OK:
            return None
        body = reply.json()
        return Summary.model_validate(body.get("summary", body))

    async def spreadsheet(self, search_id: str) -> Download | None:
        """The file; None while there is none."""
        content = bytearray()
        try:
            async with self._http.stream("GET", f"/v1/searches/{search_id}/spreadsheet") as reply:
                if reply.status_code != httpx.codes.OK:
                    return None
                async for chunk in reply.aiter_bytes():
                    content += chunk
                    if len(content) > MAX_FILE_BYTES:
                        raise FarolError("A planilha passa de 256 MB.")
                name = _FILE_NAME.search(reply.headers.get("Content-Disposition", ""))
        except httpx.TransportError as exc:
            raise FarolError(f"A planilha não pôde ser baixada: {exc}") from exc
        return Download(name=name[1] if name else f"farol-{search_id}.xlsx", content=bytes(content))

    async def history(self, search_id: str) -> Any:
        """Every event so far, as JSON."""
        reply = await self._send("GET", f"/v1/searches/{search_id}/events", headers={"Accept": "application/json"})
        return reply.json()

    async def explanation(self, search_id: str, bid_id: str) -> dict[str, Any]:
        """Why one licitação is, or is not, among the results of a search."""
        path = f"/v1/searches/{quote(search_id, safe='')}/results/{quote(bid_id)}/explanation"
        told: dict[str, Any] = (await self._send("GET", path)).json()
        return told

    async def create_key(self, *, tenant: str, name: str, scopes: Sequence[str]) -> Any:
        """A new API key, shown this once."""
        body = {"tenant": tenant, "name": name, "scopes": list(scopes)}
        return (await self._send("POST", "/v1/admin/keys", json=body)).json()

    async def keys(self) -> list[dict[str, Any]]:
        """Every API key without its secret."""
        listed: list[dict[str, Any]] = (await self._send("GET", "/v1/admin/keys")).json()["keys"]
        return listed

    async def revoke_key(self, key_id: str) -> None:
        """End an API key."""
        await self._send("DELETE", f"/v1/admin/keys/{quote(key_id, safe='')}")

    async def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """What an operator asks for or changes."""
        return (await self._send(method, f"/v1/admin/{path}", json=body)).json()

    async def dead_letters(self, consumer: str | None) -> AsyncIterator[dict[str, Any]]:
        """Every message that was given up, the oldest first, without contents."""
        params: dict[str, Any] = {"limit": 100} | ({"consumer": consumer} if consumer else {})
        while True:
            page = (await self._send("GET", "/v1/admin/dead-letters", params=params)).json()
            for letter in page["letters"]:
                yield letter
            if page["next_after"] is None:
                return
            params["after"] = page["next_after"]

    async def dead_letter(self, sequence: int) -> dict[str, Any]:
        """One message that was given up, with its content."""
        letter: dict[str, Any] = (await self._send("GET", f"/v1/admin/dead-letters/{sequence}")).json()
        return letter

    async def retry_letter(self, sequence: int) -> None:
        """Give it to its consumer once more."""
        await self._send("POST", f"/v1/admin/dead-letters/{sequence}/retry")

    async def discard_letter(self, sequence: int) -> None:
        """Throw it away."""
        await self._send("DELETE", f"/v1/admin/dead-letters/{sequence}")

    async def follow(
        self, search_id: str, *, until: datetime, now: Callable[[], datetime]
    ) -> AsyncGenerator[ServerEvent, None]:
        """Every event of a search once, over any number of cuts, until the stream's own end or the given moment."""
        last_id: str | None = None
        pause = FIRST_PAUSE
        while now() < until:
            try:
                async for event in self._stream(search_id, last_id):
                    last_id, pause = event.id or last_id, FIRST_PAUSE
                    yield event
                    if event.name == "closed":
                        return
                    if event.name in {"gap", "reconnect"}:
                        break
            except _NothingLeft:
                return
            except (httpx.TransportError, StreamBrokenError):
                pause = min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause.total_seconds() * random.uniform(0.5, 1))  # noqa: S311 - jitter is no secret

    async def _stream(self, search_id: str, last_id: str | None) -> AsyncIterator[ServerEvent]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        timeout = httpx.Timeout(REQUEST_LIMIT.total_seconds(), connect=5, read=QUIET_LIMIT.total_seconds())
        path = f"/v1/searches/{search_id}/events"
        async with self._http.stream("GET", path, headers=headers, timeout=timeout) as reply:
            if reply.status_code == httpx.codes.NO_CONTENT:
                raise _NothingLeft
            if (
                reply.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
                or reply.status_code == httpx.codes.TOO_MANY_REQUESTS
            ):
                raise StreamBrokenError(str(reply.status_code))
            if reply.status_code != httpx.codes.OK:
                await reply.aread()
                raise FarolError(words_of(reply))
            decoder = Decoder()
            async for chunk in reply.aiter_bytes():
                for event in decoder.feed(chunk):
                    yield event

    async def _send(self, method: str, path: str, *, accept_missing: bool = False, **more: Any) -> httpx.Response:
        try:
            reply = await self._http.request(method, path, **more)
        except httpx.ConnectError as exc:
            raise FarolError(f"Nada responde em {self._url}. Inicie com `farol up`.") from exc
        except httpx.TransportError as exc:
            raise FarolError(f"{self._url} não respondeu a tempo: {exc or type(exc).__name__}") from exc
        if reply.is_success or (accept_missing and reply.status_code in {404, 409, 425}):
            return reply
        raise FarolError(words_of(reply))


class _NothingLeft(Exception):
    pass


def words_of(reply: httpx.Response) -> str:
    """A problem document as one line for people."""
    try:
        body = reply.json()
        detail = str(body.get("detail") or body.get("title") or reply.reason_phrase)
        fields = [
            f"{error.get('pointer') or error.get('parameter') or ''} {error.get('message', '')}".strip()
            for error in body.get("errors") or ()
        ]
    except (ValueError, AttributeError, ValidationError):
        return f"{reply.status_code} {reply.reason_phrase}"
    return f"{detail} ({reply.status_code} {body.get('code', '')})" + (f": {'; '.join(fields)}" if fields else "")
