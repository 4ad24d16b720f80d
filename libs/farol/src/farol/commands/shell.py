"""What the commands share: where Farol answers, how a run ends, what goes to the terminal."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from farol.place import Place
from farol.settings import FarolSettings

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Diretório de dados (FAROL_DATA_DIR, .farol).")]
AsJson = Annotated[bool, typer.Option("--json", help="Uma linha JSON por item, para programas.")]
Url = Annotated[str | None, typer.Option("--url", help="Onde o Farol responde; sem ele, o desta máquina.")]

INTERRUPTED = 130
NOTHING_READ = 3
"""The exit code when something that was asked could not be read."""


def read_settings() -> FarolSettings:
    """The settings of the environment; what is wrong with them ends the command in words."""
    try:
        return FarolSettings()
    except ValueError as exc:
        fail(f"Configuração inválida: {exc}")


def place_of(settings: FarolSettings, data_dir: Path | None) -> Place:
    """The data directory that is meant."""
    return Place(data_dir or settings.data_dir)


def whereabouts(place: Place, settings: FarolSettings, url: str | None) -> tuple[str, str | None]:
    """The address and the key: as told, else of the Farol that runs here."""
    endpoint = place.read_endpoint()
    given = settings.api_key.get_secret_value() if settings.api_key else None
    address = url or (endpoint.url if endpoint else f"http://127.0.0.1:{settings.http_port}")
    # The key of this machine goes to this machine only.
    return address, given or (place.read_key() if endpoint and address == endpoint.url else None)


def with_client(ask: Callable[[Any], Coroutine[Any, Any, None]], url: str | None, data_dir: Path | None) -> NoReturn:
    """One question to the Farol that is meant, as this user."""
    from farol.client import FarolClient  # noqa: PLC0415 - see farol.cli

    settings = read_settings()
    place = place_of(settings, data_dir)

    async def go() -> int:
        async with FarolClient(*whereabouts(place, settings, url)) as client:
            await ask(client)
        return 0

    raise typer.Exit(run(in_words(go())))


async def in_words(work: Coroutine[Any, Any, int]) -> int:
    """The work's exit code; what Farol refuses is told in words, and 1."""
    from farol.client import FarolError  # noqa: PLC0415 - see farol.cli

    try:
        return await work
    except FarolError as exc:
        typer.echo(str(exc), err=True)
        return 1


def run(work: Coroutine[Any, Any, int]) -> int:
    """The exit code of the work; 130 after Ctrl-C."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return INTERRUPTED


def line(text: str) -> None:
    """One line to standard output."""
    typer.echo(text)


def say(text: str, terminal: Any) -> None:
    """One line to a terminal that was taken before standard output was led elsewhere."""
    typer.echo(text, file=terminal)


def fail(message: str) -> NoReturn:
    """The command ends with 1 and says why."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


def now() -> datetime:
    """This instant in UTC."""
    return datetime.now(UTC)


def today() -> Any:
    """The day in America/Sao_Paulo."""
    from contracts.when import day_of  # noqa: PLC0415 - see farol.cli

    return day_of(now())
