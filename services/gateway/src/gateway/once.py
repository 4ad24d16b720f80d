"""The layer that keeps the promise of `Idempotency-Key`, between the edge and the routes."""

from typing import Final, Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.domain.keys import Caller
from gateway.domain.once import Begun, InFlight, Mismatch, Reply, fingerprint_of, key_of
from gateway.domain.problem import FieldError, Problem

HEADER: Final = "idempotency-key"
_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEPT_HEADERS: Final = ("content-type", "location", "preference-applied")


_NOT_KEPT: Final = "/v1/admin/keys"
"""Its reply shows a key, and what is shown once is not kept."""


class Promises(Protocol):
    """Where promises are kept; each call raises DependencyAway."""

    async def begin(self, tenant: str, key: str, fingerprint: str) -> Begun | InFlight | Mismatch | Reply:
        """Take a promise on, or say what has become of it."""

    async def keep(self, tenant: str, key: str, reply: Reply) -> None:
        """What every repeat is answered."""

    async def forget(self, tenant: str, key: str) -> None:
        """Nothing was done."""

    async def release(self, tenant: str, key: str) -> None:
        """It failed, perhaps after its effect: the next try takes it over, with the same id."""


class Once:
    """Same key, same body: the same bytes; another body: 422; not answered yet: 409."""

    def __init__(self, app: ASGIApp, *, promises: Promises) -> None:
        self._app = app
        self._promises = promises

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the reply it already has."""
        given = Headers(scope=scope).get(HEADER) if scope["type"] == "http" else None
        caller: Caller | None = scope.get("state", {}).get("caller")
        if given is None or caller is None or scope["method"] not in _UNSAFE or not _promised(scope["path"]):
            await self._app(scope, receive, send)
            return
        key = key_of(given)
        if key is None:
            wrong = FieldError(parameter="Idempotency-Key", message="use de 1 a 255 caracteres visíveis, sem aspas")
            raise Problem("idempotency.invalid", errors=(wrong,))
        body = await receive()
        fingerprint = fingerprint_of(
            method=scope["method"], path=scope["path"], query=scope["query_string"], body=body.get("body", b"")
        )
        found = await self._promises.begin(caller.tenant, key, fingerprint)
        if isinstance(found, Mismatch):
            raise Problem("idempotency.mismatch")
        if isinstance(found, InFlight):
            raise Problem("idempotency.in_flight", headers={"Retry-After": "1"})
        if isinstance(found, Begun):
            scope["state"]["effect"] = found
            found = await self._first(scope, body, receive, caller.tenant, key)
        else:
            found.headers["idempotency-replayed"] = "true"
        await _send(found, send)

    async def _first(self, scope: Scope, body: Message, receive: Receive, tenant: str, key: str) -> Reply:
        taken = _Taken()
        first = [body]

        async def replay() -> Message:
            return first.pop() if first else await receive()

        try:
            await self._app(scope, replay, taken)
        except Exception:
            await self._promises.release(tenant, key)
            raise
        reply = taken.reply()
        if reply.final:
            await self._promises.keep(tenant, key, reply)
        elif reply.refused:
            await self._promises.forget(tenant, key)
        else:
            await self._promises.release(tenant, key)
        return reply


class _Taken:
    """The reply, held back until it is kept: replies of unsafe routes are small."""

    def __init__(self) -> None:
        self._start: Message = {}
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    def reply(self) -> Reply:
        given = Headers(raw=list(self._start["headers"]))
        headers = {name: value for name, value in given.items() if name != "content-length"}
        if self._start["status"] < 400:  # noqa: PLR2004 - HTTP's own border
            headers = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        return Reply(status=self._start["status"], headers=headers, body=bytes(self._body))


def _promised(path: str) -> bool:
    return path.startswith("/v1/") and not path.startswith(_NOT_KEPT)


async def _send(reply: Reply, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
