"""`farol doctor`: whether this machine can run Farol, and whether it does."""

import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import httpx

from contracts.when import day_of
from farol.place import Place
from farol.settings import FarolSettings
from farol.starting import can_listen
from servicekit.clock import Clock
from servicekit.embedded_nats import binary

if TYPE_CHECKING:
    from servicekit.sql.database import Schema

Level = Literal["ok", "warning", "error"]
DISK_NEEDED: Final = 512 * 1024 * 1024
SOURCE_WITHIN: Final = 10.0
OLDEST_PYTHON: Final = (3, 11)
_MB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. Only `error` keeps Farol from running."""

    check: str
    level: Level
    message: str


async def examine(settings: FarolSettings, place: Place, *, now: Clock) -> AsyncIterator[Finding]:
    """Every check, each at once when it is done."""
    # Imported here: it brings the drivers of bus, Redis and database.
    from farol import surroundings  # noqa: PLC0415

    endpoint = place.read_endpoint()
    running = endpoint is not None and await _answers(endpoint.url)
    yield python(sys.version_info[:3])
    yield data_dir(place.root)
    yield nats_server()
    yield catalogue()
    if endpoint is None or not running:
        yield port(settings.http_port)
        yield Finding("farol", "warning", "Farol não está rodando aqui; inicie com `farol up` ou `make run`.")
    else:
        yield Finding("farol", "ok", f"Rodando em {endpoint.url} (processo {endpoint.pid}).")
    if settings.redis_url:
        yield await surroundings.redis(settings.redis_url)
    state = place.state(endpoint.sources if endpoint else settings.sources, day_of(now()))
    for schema in _schemas():
        yield await surroundings.database(schema, settings.database_url, state, running=running)
    if settings.nats_url or (running and endpoint):
        for finding in await surroundings.bus(settings.nats_url or (endpoint.nats_url if endpoint else ""), now=now):
            yield finding
    if endpoint is not None and running:
        given = settings.api_key.get_secret_value() if settings.api_key else place.read_key()
        yield await surroundings.key(endpoint.url, given)
    if settings.sources == "live":
        for name, url in (("consulta", settings.pncp_consulta_url), ("portal", settings.pcp_api_url)):
            for finding in await source(name, url, now=now):
                yield finding


def python(version: tuple[int, ...]) -> Finding:
    """3.11 or later."""
    words = ".".join(map(str, version))
    if version[:2] < OLDEST_PYTHON:
        return Finding("python", "error", f"Python {words}; é preciso 3.11 ou mais novo.")
    return Finding("python", "ok", f"Python {words}.")


def port(number: int) -> Finding:
    """Whether the HTTP port can be had."""
    if number and not can_listen(number):
        return Finding(
            "porta", "error", f"A porta {number} está ocupada por outro programa; use --port ou FAROL_HTTP_PORT."
        )
    return Finding("porta", "ok", f"A porta {number} está livre." if number else "Uma porta livre será escolhida.")


def data_dir(root: Path, *, needed: int = DISK_NEEDED) -> Finding:
    """Whether data can be written, and enough of it (bytes)."""
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = root / ".escrita"
        probe.write_bytes(b"farol")
        probe.unlink()
    except OSError as exc:
        return Finding("dados", "error", f"{root} não aceita gravação: {exc.strerror}.")
    free = shutil.disk_usage(root).free
    if free < needed:
        return Finding("dados", "error", f"{root}: só {free // _MB} MB livres; são precisos {needed // _MB}.")
    return Finding("dados", "ok", f"{root.resolve()} aceita gravação; {free // _MB} MB livres.")


def nats_server() -> Finding:
    """Whether the server that `farol up` starts is here."""
    try:
        return Finding("nats-server", "ok", f"{binary()}.")
    except FileNotFoundError as exc:
        return Finding("nats-server", "error", f"{exc}.")


def catalogue(folder: Path | None = None) -> Finding:
    """Whether the sectors' rules are sound."""
    # Imported here: the other commands do not need the classifier.
    from classifier.adapters.catalogue_files import UnsoundCatalogue, load_catalogue  # noqa: PLC0415

    try:
        loaded = load_catalogue(folder)
    except UnsoundCatalogue as exc:
        return Finding("catálogo", "error", f"O catálogo de setores não carrega: {exc}")
    return Finding("catálogo", "ok", f"{len(loaded.sectors)} setores.")


async def source(name: str, url: str, *, now: Clock) -> list[Finding]:
    """Whether anything answers there, and whether its clock is ours; what it answers is not judged."""
    from farol.surroundings import clock_of_reply  # noqa: PLC0415 - as in examine

    check = f"fonte ({name})"
    try:
        async with httpx.AsyncClient(timeout=SOURCE_WITHIN, follow_redirects=False) as http:
            reply = await http.get(url)
    except (httpx.TransportError, httpx.InvalidURL) as exc:
        why = f"{url} não respondeu ({type(exc).__name__}); FAROL_SOURCES=recorded funciona sem ela."
        return [Finding(check, "warning", why)]
    answered = Finding(check, "ok", f"{url} respondeu ({reply.status_code}).")
    return [answered, *clock_of_reply(check, reply.headers, now=now())]


def _schemas() -> "tuple[Schema, ...]":
    from cache.adapters.sql.schema import SCHEMA as OF_CACHE  # noqa: PLC0415 - as in examine
    from gateway.adapters.sql.schema import SCHEMA as OF_GATEWAY  # noqa: PLC0415

    return OF_CACHE, OF_GATEWAY


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=3, trust_env=False) as http:
            return (await http.get(f"{url}/v1/health/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
