"""What every request passes first and every response last: key, size, correlation id, headers, unforeseen errors."""

import asyncio
import re
from collections import deque
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from time import perf_counter
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.domain.keys import Caller
from gateway.domain.keys import Scope as KeyScope
from gateway.domain.problem import Problem
from gateway.domain.traffic import Quota
from gateway.problems import away_of, rendered
from gateway.routes.ports import Door
from servicekit.correlation import correlated, new_correlation_id
from servicekit.errors import Transient
from servicekit.logs import log
from servicekit.telemetry.measures import HTTP_REQUESTS, HTTP_SECONDS
from servicekit.telemetry.tracing import about, request_span, trace_id

COOKIE: Final = "farol_sessao"
MAX_BODY: Final = 64 * 1024
_DRAINED: Final = 4 * 1024 * 1024
"""Read and thrown away of a body that is too large, so that the refusal reaches its sender instead of a reset."""
_BODY_WITHIN: Final = 10.0
_DRAIN_WITHIN: Final = 2.0
SIGN_IN: Final = "/entrar"
_OPEN: Final = ("/metrics", "/v1/health", "/v1/openapi.json", "/v1/files/", "/static/", SIGN_IN, "/favicon.ico")
_COUNTED_AS_ONE: Final = ("/v1/admin", "/v1/health", "/v1/saved-searches", "/v1/triage", "/static")
_SANE: Final = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Edge:
    """The outermost layer; plain ASGI, so that a stream passes through it untouched."""

    def __init__(self, app: ASGIApp, *, door: Door, quota: Quota) -> None:
        self._app = app
        self._door = door
        self._quota = quota

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        correlation_id = _correlation_id(headers)
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        started, began = False, perf_counter()

        async def finish(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _complete(message, scope, correlation_id)
                self._told(message, scope)
                _count(message, scope, perf_counter() - began)
            await send(message)

        with (
            correlated(correlation_id),
            # What is only looked at goes on with its asker's trace, but begins none: a poll is no search.
            request_span("gateway", scope["method"], headers, begins=scope["method"] in _WITH_BODY) as span,
            structlog.contextvars.bound_contextvars(correlation_id=correlation_id, **_traced()),
        ):
            try:
                await self._serve(scope, headers, receive, finish)
            except Exception as exc:
                if started:
                    raise
                await _show(_problem_of(exc, scope), scope, receive, finish)
            finally:
                route = _route(scope) or "unknown"
                span.update_name(f"{scope['method']} {route}")
                about(span, method=scope["method"], route=route)

    async def _serve(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        refusal = await self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, await _bounded(scope, headers, receive), send)
        elif refusal.kind.status == HTTPStatus.UNAUTHORIZED and _is_page(scope, headers):
            await RedirectResponse(SIGN_IN, status_code=303)(scope, receive, send)
        else:
            await _show(refusal, scope, receive, send)

    async def _refusal(self, scope: Scope, headers: Headers) -> Problem | None:
        if any(_lies_under(scope["path"], place) for place in _OPEN):
            return None
        caller = await self._caller(headers)
        if isinstance(caller, Problem):
            return caller
        scope["state"]["caller"] = caller
        structlog.contextvars.bind_contextvars(tenant=caller.tenant)
        if not caller.scopes & _opened_by(scope["path"]):
            return Problem("scope.missing")
        left, reset = self._quota.take(caller.tenant, now=asyncio.get_running_loop().time())
        scope["state"]["rate"] = (max(0, left), reset)
        return Problem("requests.too_many", headers={"Retry-After": str(reset)}) if left < 0 else None

    async def _caller(self, headers: Headers) -> Caller | Problem:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme:
            caller = await self._door.caller(key.strip()) if scheme.lower() == "bearer" else None
            return caller or Problem("key.wrong", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        session = _session(headers)
        if session is None:
            return Problem("key.missing", headers={"WWW-Authenticate": "Bearer"})
        return await self._door.caller_of_session(session) or Problem(
            "key.wrong", headers={"WWW-Authenticate": "Bearer"}
        )

    def _told(self, message: Message, scope: Scope) -> None:
        """RateLimit, as draft-ietf-httpapi-ratelimit-headers has it."""
        if rate := scope["state"].get("rate"):
            headers = MutableHeaders(scope=message)
            policy, state = (
                f'"requests";q={self._quota.per_minute};w={Quota.SECONDS}',
                f'"requests";r={rate[0]};t={rate[1]}',
            )
            if searches := scope["state"].get("searches"):
                policy, state = f'{policy}, "searches";q={searches[0]}', f'{state}, "searches";r={searches[1]}'
            headers["RateLimit-Policy"] = policy
            headers["RateLimit"] = state


def _traced() -> dict[str, str]:
    traced = trace_id()
    return {"trace_id": traced} if traced else {}


def _route(scope: Scope) -> str:
    """The address as the API's document has it; empty for one that does not exist."""
    return str(getattr(scope.get("route"), "path", ""))


def _count(message: Message, scope: Scope, seconds: float) -> None:
    path = _route(scope)
    path = next((each for each in _COUNTED_AS_ONE if path.startswith(each)), path)
    route = path if path.startswith(("/v1/", "/metrics", "/static")) or not path else "page"
    HTTP_REQUESTS.add(route=route, method=scope["method"], status=f"{message['status'] // 100}xx")
    HTTP_SECONDS.observe(seconds, route=route)


def _opened_by(path: str) -> frozenset[KeyScope]:
    """The scopes of which one is needed."""
    if _lies_under(path, "/v1/admin"):
        return frozenset({KeyScope.ADMIN})
    if _lies_under(path, "/v1/metrics"):
        return frozenset({KeyScope.METRICS, KeyScope.ADMIN})
    return frozenset({KeyScope.SEARCH})


def _problem_of(exc: Exception, scope: Scope) -> Problem:
    """What the asker is told; what nobody foresaw is logged here, once."""
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, Transient):
        log.debug("dependency_away", path=scope["path"], why=exc.code)
        return Problem(away_of(exc), headers={"Retry-After": "2"})
    log.error("request_failed", method=scope["method"], path=scope["path"], exc_info=exc)
    return Problem("internal")


def _is_page(scope: Scope, headers: Headers) -> bool:
    return (
        scope["method"] == "GET"
        and not scope["path"].startswith("/v1/")
        and "text/html" in headers.get("accept", "")
    )  # fmt: skip


def _lies_under(path: str, place: str) -> bool:
    return path.startswith(place) if place.endswith("/") else path == place or path.startswith(f"{place}/")


def _correlation_id(headers: Headers) -> str:
    given = headers.get("x-correlation-id", "")
    return given if _SANE.match(given) else new_correlation_id()


def _session(headers: Headers) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _complete(message: Message, scope: Scope, correlation_id: str) -> None:
    headers = MutableHeaders(scope=message)
    headers["X-Correlation-Id"] = correlation_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    if not scope["path"].startswith("/static/"):
        headers.setdefault("Cache-Control", "no-store")


async def _show(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    response = rendered(problem, instance=scope["path"], correlation_id=scope["state"]["correlation_id"])
    await response(scope, receive, send)


async def _bounded(scope: Scope, headers: Headers, receive: Receive) -> Receive:
    """The body read whole, within its size and time, before anything parses it."""
    if scope["method"] not in _WITH_BODY:
        return receive
    if _length(headers) > MAX_BODY:
        await _drain(receive)
        raise Problem("body.too_large", headers={"Connection": "close"})
    body, more = bytearray(), True
    try:
        async with asyncio.timeout(_BODY_WITHIN):
            while more and len(body) <= MAX_BODY:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return receive
                body += message.get("body", b"")
                more = message.get("more_body", False)
    except TimeoutError:
        raise Problem("body.timeout", headers={"Connection": "close"}) from None
    if len(body) > MAX_BODY:
        if more:
            await _drain(receive)
        raise Problem("body.too_large", headers={"Connection": "close"})
    if body and scope["path"].startswith("/v1/") and scope["method"] != "DELETE":
        _is_json(headers)
    return _replayed(bytes(body), receive)


def _is_json(headers: Headers) -> None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise Problem("media_type.unsupported", headers={"Accept": "application/json"})


def _length(headers: Headers) -> int:
    given = headers.get("content-length", "0")
    return int(given) if given.isdecimal() else 0


async def _drain(receive: Receive) -> None:
    drained = 0
    try:
        async with asyncio.timeout(_DRAIN_WITHIN):
            while drained < _DRAINED:
                message = await receive()
                drained += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting: deque[Message] = deque([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        return waiting.popleft() if waiting else await receive()

    return replay
