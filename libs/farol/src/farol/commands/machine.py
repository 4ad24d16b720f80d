"""`farol up|doctor|bench`: this machine as a whole Farol."""

import sys
from typing import Annotated

import orjson
import typer

from farol.commands.shell import AsJson, DataDir, fail, line, now, place_of, read_settings, run, say, today
from farol.place import AlreadyRunningError
from farol.settings import FarolSettings, Sources, new_api_key


def up(
    sources: Annotated[
        str | None, typer.Option(help="live: fontes oficiais; recorded: dados gravados, sem internet (FAROL_SOURCES).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Porta HTTP (FAROL_HTTP_PORT, 8000); 0: livre.")
    ] = None,
    data_dir: DataDir = None,
    processes: Annotated[
        bool, typer.Option("--processes", help="Um processo por serviço; o que morre é reiniciado.")
    ] = False,
    log: Annotated[str, typer.Option(help="Para onde vai o registro: file (farol.log) ou stdout.")] = "file",
    example: Annotated[bool, typer.Option("--example", help="Mostra uma busca de exemplo depois de iniciar.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Com --example: encerra depois da busca.")] = False,
) -> None:
    """Inicia tudo nesta máquina: NATS embutido, todos os serviços, SQLite. Sem root, sem Docker."""
    from farol.starting import StartFailedError  # noqa: PLC0415 - see farol.cli
    from farol.up import EXAMPLE, Wanted  # noqa: PLC0415
    from farol.up import up as run_up  # noqa: PLC0415

    if log not in {"file", "stdout"}:
        raise typer.BadParameter("use file ou stdout", param_hint="--log")
    settings = read_settings()
    place = place_of(settings, data_dir)
    wanted = Wanted(
        place=place,
        sources=_sources(sources, settings),
        port=settings.http_port if port is None else port,
        key=settings.api_key.get_secret_value() if settings.api_key else new_api_key(),
        nats_url=settings.nats_url,
        processes=processes,
        log_to_stdout=log == "stdout",
        example=EXAMPLE if example else None,
        once=once,
    )
    terminal = sys.stdout
    try:
        with place.held():
            raise typer.Exit(run(run_up(wanted, say=lambda line: say(line, terminal), today=today())))
    except AlreadyRunningError:
        running = place.read_endpoint()
        where = f" em {running.url}" if running else ""
        fail(f"Farol já está rodando{where} com {place.root}; use --data-dir para outro.")
    except StartFailedError as exc:
        fail(str(exc))


def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Verifica se esta máquina pode rodar o Farol. Saída 1 se faltar algo necessário."""
    from farol.doctor import examine  # noqa: PLC0415 - see farol.cli

    settings = read_settings()
    place = place_of(settings, data_dir)
    marks = {"ok": "ok   ", "warning": "aviso", "error": "ERRO "}

    async def go() -> int:
        code = 0
        async for finding in examine(settings, place, now=now):
            code = 1 if finding.level == "error" else code
            if as_json:
                fields = {"check": finding.check, "level": finding.level, "message": finding.message}
                line(orjson.dumps(fields).decode())
            else:
                line(f"{marks[finding.level]}  {finding.check}: {finding.message}")
        return code

    raise typer.Exit(run(go()))


def bench(
    what: Annotated[
        str,
        typer.Argument(
            help="search: buscas inteiras; fetch: como as fontes são consultadas; memory: respostas guardadas."
        ),
    ] = "search",
    processes: Annotated[bool, typer.Option("--processes", help="Um processo por serviço.")] = False,
    runs: Annotated[int, typer.Option(min=1, max=100, help="De fetch e memory: rodadas de cada medida.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Mede esta máquina com os dados gravados, sem internet. Com fetch ou memory, saída 1 se uma meta falhou."""
    if what not in {"search", "fetch", "memory"}:
        raise typer.BadParameter("use search, fetch ou memory", param_hint="WHAT")
    if what != "search":
        raise typer.Exit(run(_bench_figures(what, runs=runs, as_json=as_json)))
    from farol.bench import measure  # noqa: PLC0415 - see farol.cli

    terminal = sys.stdout
    if not as_json:
        line(f"{'':<28}{'segundos':>9}{'1ª linha':>10}{'linhas':>8}{'pedidos':>9}")

    async def go() -> int:
        async for each in measure(today=today(), processes=processes):
            if as_json:
                say(orjson.dumps(each.fields).decode(), terminal)
                continue
            first = "" if each.first_rows_seconds is None else f"{each.first_rows_seconds:.2f}"
            counts = f"{_or_blank(each.rows):>8}{_or_blank(each.requests):>9}"
            say(f"{each.what:<28}{each.seconds:>9.2f}{first:>10}{counts}", terminal)
        return 0

    raise typer.Exit(run(go()))


async def _bench_figures(what: str, *, runs: int, as_json: bool) -> int:
    from farol import bench_fetch, bench_memory  # noqa: PLC0415 - see farol.cli

    terminal, reached = sys.stdout, True
    figures = bench_fetch.measure(runs=runs) if what == "fetch" else bench_memory.measure(today=today(), runs=runs)
    async for figure in figures:
        reached &= figure.reached
        if as_json:
            say(orjson.dumps(figure.fields).decode(), terminal)
            continue
        mark = "ok" if figure.reached else "FALHOU"
        say(f"{figure.what:<44}{figure.value:>10.4f}  {figure.aim:<8}  {mark}", terminal)
    return 0 if reached else 1


def _sources(asked: str | None, settings: FarolSettings) -> Sources:
    if asked is None:
        return settings.sources
    if asked == "live":
        return "live"
    if asked == "recorded":
        return "recorded"
    raise typer.BadParameter("use live ou recorded", param_hint="--sources")


def _or_blank(number: int | None) -> str:
    return "" if number is None else str(number)
