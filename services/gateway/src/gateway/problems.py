"""Every failure leaves as problem details; none leaves as a stack trace."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from gateway.domain.problem import Problem, invalid
from gateway.domain.wording import field_errors
from servicekit.errors import DependencyAway, Rejected, Transient
from servicekit.logs import log

MEDIA_TYPE = "application/problem+json"
_BY_STATUS = {400: "json.invalid", 404: "route.not_found", 405: "method.not_allowed"}


def rendered(problem: Problem, *, instance: str, correlation_id: str) -> JSONResponse:
    """The response that shows a problem."""
    return JSONResponse(
        problem.document(instance=instance, correlation_id=correlation_id),
        status_code=problem.kind.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Map each kind of failure to its problem. What nobody foresaw is caught by the edge, once."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Transient, _away)
    app.add_exception_handler(TimeoutError, _away)
    app.add_exception_handler(Rejected, _rejected)


def _shown(problem: Problem, request: Request) -> JSONResponse:
    return rendered(problem, instance=request.url.path, correlation_id=request.state.correlation_id)


async def _problem(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, Problem)  # noqa: S101 - starlette's handlers are typed for every exception
    return _shown(exc, request)


async def _invalid(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - as above
    errors = exc.errors()
    broken = any(error["type"] == "json_invalid" for error in errors)
    return _shown(Problem("json.invalid") if broken else invalid(field_errors(errors)), request)


async def _http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - as above
    headers = dict(exc.headers or {})
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    return _shown(Problem(_BY_STATUS.get(exc.status_code, "internal"), headers=headers), request)


def _methods(request: Request) -> set[str]:
    """Every method of this address: one address may be several routes."""
    routes: list[Route] = [route for route in request.app.state.routes if isinstance(route, Route)]
    matching = [route.methods or () for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for methods in matching for method in methods}


async def _away(request: Request, exc: Exception) -> JSONResponse:
    log.debug("bus_away", path=request.url.path, why=type(exc).__name__)
    return _shown(Problem(away_of(exc), headers={"Retry-After": "2"}), request)


def away_of(exc: Exception) -> str:
    """What is away: the store of what is kept per user, or the bus."""
    return "storage.away" if isinstance(exc, DependencyAway) and exc.dependency == "sql" else "bus.unavailable"


async def _rejected(request: Request, exc: Exception) -> JSONResponse:
    """Of reads only one thing is permanent: what a reference names is no longer kept."""
    assert isinstance(exc, Rejected)  # noqa: S101 - as above
    if exc.code.startswith("object."):
        return _shown(Problem("search.expired"), request)
    log.error("request_rejected", path=request.url.path, code=exc.code)
    return _shown(Problem("internal"), request)
