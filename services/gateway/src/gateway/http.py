"""The HTTP application: routes, problems, document and edge."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from gateway import openapi, problems
from gateway.edge import Edge
from gateway.once import Once
from gateway.routes import (
    admin_keys,
    bids,
    circuits,
    coverage,
    dead_letters,
    entrance,
    events,
    exports,
    feedback,
    health,
    levers,
    reports,
    saved,
    searches,
    standing,
    stored,
    triage,
    usage,
    vocabulary,
)
from gateway.routes.ports import Desk

_API: Final = (
    searches.router,
    events.router,
    reports.router,
    reports.files,
    exports.router,
    saved.router,
    triage.router,
    feedback.router,
    vocabulary.router,
    bids.router,
    coverage.router,
    health.router,
    standing.router,
    standing.kept,
    stored.health,
    stored.router,
    circuits.router,
    admin_keys.router,
    dead_letters.router,
    levers.router,
    usage.router,
    entrance.router,
)


def create_http(desk: Desk, *, pages: Sequence[APIRouter] = (), origins: Sequence[str] = ()) -> FastAPI:
    """The HTTP application; `pages` are the routers of the page, which come after the API's.

    Pages of `origins` may call it with a key.
    """
    app = api(pages=pages)
    app.state.desk = desk
    if desk.promises is not None:
        app.add_middleware(Once, promises=desk.promises)
    app.add_middleware(Edge, door=desk.door, quota=desk.quota)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=("GET", "POST", "PUT", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Prefer"),
            expose_headers=("Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Correlation-Id"),
        )
    return app


def api(*, pages: Sequence[APIRouter] = ()) -> FastAPI:
    """The routes and their document, with nothing behind them."""
    app = FastAPI(title="Farol", version="1", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    for router in (*_API, *pages):
        app.include_router(router)
    app.state.routes = [route for router in (*_API, *pages) for route in router.routes]
    problems.install(app)
    openapi.describe(app)
    return app
