"""The sign-in of the page: a link with the key, or a form; both leave a cookie and no key in the address."""

from typing import Annotated, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.edge import COOKIE
from gateway.routes.ports import AtDesk, Desk

router = APIRouter(include_in_schema=False)

_THIRTY_DAYS: Final = 30 * 24 * 3600
_FORM = """<!doctype html>
<html lang="pt-BR">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Farol — Entrar</title>
<link rel="icon" type="image/svg+xml" href="/favicon.ico">
<link rel="stylesheet" href="/static/now/base.css">
<link rel="stylesheet" href="/static/now/form.css">
</head>
<body>
<header class="sky">
<div class="wide top"><p class="brand"><img src="/favicon.ico" alt="" width="34" height="34">Farol</p></div>
</header>
<main>
<form class="wide entrance" method="post" action="/entrar">
<h1>Entrar</h1>
<p id="message">{message}</p>
<label for="key">Chave de acesso</label>
<input id="key" name="key" type="password" aria-describedby="message" autocomplete="current-password"
required autofocus>
<button class="primary">Entrar</button>
</form>
</main>
</body>
</html>
"""


@router.get("/entrar")
async def by_link(request: Request, desk: AtDesk, key: Annotated[str | None, Query(max_length=256)] = None) -> Response:
    """Sign in by the link that the terminal shows; without a key, show the form."""
    if key is None:
        return HTMLResponse(_FORM.format(message="Cole a chave que o terminal mostrou ao iniciar."))
    return await _enter(request, desk, key)


@router.post("/entrar")
async def by_form(request: Request, desk: AtDesk) -> Response:
    """Sign in by the form."""
    fields = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=4)
    return await _enter(request, desk, fields.get("key", [""])[0].strip())


async def _enter(request: Request, desk: Desk, key: str) -> Response:
    session = await desk.door.session(key)
    if session is None:
        return HTMLResponse(_FORM.format(message="Chave não reconhecida."), status_code=401)
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(
        COOKIE,
        session,
        max_age=_THIRTY_DAYS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )
    return response
