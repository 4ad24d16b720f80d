"""The HTTP application: routes, problems, document and edge."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, FastAPI

from gateway import openapi, problems
from gateway.edge import Edge
from gateway.once import Once
from gateway.routes import (
    admin_keys,
    coverage,
    entrance,
    events,
    exports,
    health,
    reports,
    saved,
    searches,
    triage,
    vocabulary,
)
from gateway.routes.ports import Desk

_API: Final = (
    searches.router, events.router, reports.router, exports.router, saved.router, triage.router,
    vocabulary.router, coverage.router, health.router, admin_keys.router, entrance.router,
)  # fmt: skip


def create_http(desk: Desk, *, pages: Sequence[APIRouter] = ()) -> FastAPI:
    """The HTTP application; `pages` are the routers of the page, which come after the API's."""
    app = api(pages=pages)
    app.state.desk = desk
    if desk.promises is not None:
        app.add_middleware(Once, promises=desk.promises)
    app.add_middleware(Edge, door=desk.door, quota=desk.quota)
    return app


def api(*, pages: Sequence[APIRouter] = ()) -> FastAPI:
    """The routes and their document, with nothing behind them."""
    app = FastAPI(title="Farol", version="1", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    for router in (*_API, *pages):
        app.include_router(router)
    problems.install(app)
    openapi.describe(app)
    return app
