"""Where the pages are: a search (`/`, `/buscas/{id}`), a licitação, the coverage, the triage; and their files."""

import re
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from contracts.when import day_of
from gateway.domain.problem import Problem
from gateway.page.assets import Asset, Assets
from gateway.page.shell import Shell
from servicekit.clock import Clock, utc_now

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_AN_ID = re.compile(r"[0-9a-f]{32}")


def router(*, clock: Clock = utc_now) -> APIRouter:
    """The routes of the page, its files read into memory."""
    assets = Assets.read()
    shell = Shell(assets)
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def home() -> Response:
        return HTMLResponse(shell.render(day_of(clock()), "home"))

    @routes.get("/buscas/{search_id}")
    async def search(search_id: str) -> Response:
        known = _AN_ID.fullmatch(search_id) is not None
        return HTMLResponse(
            shell.render(day_of(clock()), "search" if known else "lost"), status_code=200 if known else 404
        )

    @routes.get("/licitacoes/{bid_id:path}")
    async def bid(bid_id: str) -> Response:  # noqa: ARG001 - the address is read by the page's script
        return HTMLResponse(shell.render(day_of(clock()), "bid"))

    @routes.get("/cobertura")
    async def coverage() -> Response:
        return HTMLResponse(shell.render(day_of(clock()), "coverage"))

    @routes.get("/triagem")
    async def triage() -> Response:
        return HTMLResponse(shell.render(day_of(clock()), "triage"))

    @routes.get("/static/{version}/{path:path}")
    async def static(version: str, path: str, request: Request) -> Response:
        if path not in assets.by_path:
            raise Problem("route.not_found")
        kept = _FOR_EVER if version == assets.version else _ASK_AGAIN
        return _served(assets.by_path[path], request, cache_control=kept)

    @routes.get("/favicon.ico")
    async def favicon(request: Request) -> Response:
        return _served(assets.by_path["farol.svg"], request, cache_control=_ASK_AGAIN)

    return routes


def _served(asset: Asset, request: Request, *, cache_control: str) -> Response:
    headers = {"ETag": asset.etag, "Cache-Control": cache_control, "Vary": "Accept-Encoding"}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if asset.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzipped, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.body, media_type=asset.media_type, headers=headers)
