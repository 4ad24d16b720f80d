"""The command line. Imports wait until a command needs them: `farol search` is up in a fraction of a second."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer

from farol import catalogue
from farol.place import AlreadyRunningError, Place
from farol.settings import FarolSettings, Sources, new_api_key

app = typer.Typer(
    name="farol",
    help="Farol: busca licitações e diz quanto do país foi realmente consultado.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(catalogue.app, name="catalogue")

keys_app = typer.Typer(name="keys", help="Chaves da API: criar, listar e revogar.", no_args_is_help=True)
app.add_typer(keys_app)

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Diretório de dados (FAROL_DATA_DIR, .farol).")]
AsJson = Annotated[bool, typer.Option("--json", help="Uma linha JSON por item, para programas.")]
Url = Annotated[str | None, typer.Option("--url", help="Onde o Farol responde; sem ele, o desta máquina.")]

INTERRUPTED = 130
NOTHING_READ = 3
"""The exit code when something that was asked could not be read."""
WIDTH_OF_FILES = 140
"""Of a table that is written where nobody knows how wide it is."""


@app.callback()
def _root() -> None:
    """Farol: busca licitações e diz quanto do país foi realmente consultado."""


@app.command()
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
    from farol.starting import StartFailedError  # noqa: PLC0415 - see the module's docstring
    from farol.up import EXAMPLE, Wanted  # noqa: PLC0415
    from farol.up import up as run_up  # noqa: PLC0415

    if log not in {"file", "stdout"}:
        raise typer.BadParameter("use file ou stdout", param_hint="--log")
    settings = _settings()
    place = _place(settings, data_dir)
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
            raise typer.Exit(_run(run_up(wanted, say=lambda line: _say(line, terminal), today=_today())))
    except AlreadyRunningError:
        running = place.read_endpoint()
        where = f" em {running.url}" if running else ""
        _fail(f"Farol já está rodando{where} com {place.root}; use --data-dir para outro.")
    except StartFailedError as exc:
        _fail(str(exc))


@app.command()
def search(
    uf: Annotated[list[str], typer.Option("--uf", help="UF; repita ou separe por vírgula. `todas` pede as 27.")],
    sector: Annotated[str | None, typer.Option(help="Setor, por exemplo vestuario.")] = None,
    term: Annotated[list[str] | None, typer.Option("--term", help="Termo próprio, em vez do setor; repita.")] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="Publicadas nos últimos N dias, hoje incluído.")] = 10,
    modalidade: Annotated[list[int] | None, typer.Option(help="Código da modalidade (1-15); repita.")] = None,
    value_min: Annotated[str | None, typer.Option(help="Valor estimado mínimo, em reais: 50000.00")] = None,
    value_max: Annotated[str | None, typer.Option(help="Valor estimado máximo, em reais.")] = None,
    home_uf: Annotated[str | None, typer.Option(help="Onde está o fornecedor; conta na viabilidade.")] = None,
    sort: Annotated[str | None, typer.Option(help="relevance, viability, closing, published ou value.")] = None,
    force_refresh: Annotated[
        bool, typer.Option("--force-refresh", help="Consulta de novo o que já está guardado.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="Quantas linhas mostrar.")] = 20,
    out: Annotated[Path | None, typer.Option(help="Onde salvar a planilha.")] = None,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    table: Annotated[bool, typer.Option("--table", help="Tabela mesmo quando a saída não é um terminal.")] = False,
) -> None:
    """Pede uma busca, acompanha e mostra o resultado. Saída: 0 ok, 3 nada pôde ser consultado, 1 erro."""
    from rich.console import Console  # noqa: PLC0415 - see the module's docstring

    from farol.client import FarolClient  # noqa: PLC0415
    from farol.searching import JsonLines, OnTerminal, Wish, parse_ufs, run_search  # noqa: PLC0415

    if (sector is None) == (not term):
        raise typer.BadParameter("informe um setor (--sector) ou termos (--term), e não os dois")
    try:
        wish = Wish(
            ufs=parse_ufs(uf),
            sector=sector,
            terms=tuple(term or ()),
            days=days,
            modalidades=tuple(modalidade or ()),
            value_min=value_min,
            value_max=value_max,
            home_uf=parse_ufs([home_uf])[0] if home_uf else None,
            sort=sort,
            force_refresh=force_refresh,
        )
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    settings = _settings()
    place = _place(settings, data_dir)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    reporting = OnTerminal(console) if (table or console.is_terminal) and not as_json else JsonLines(_line)

    async def go() -> int:
        async with FarolClient(*_where(place, settings, url)) as client:
            return await run_search(
                client, wish, reporting, out=out or place.files(), limit=limit, clock=_now, today=_today()
            )

    try:
        code = _run(_in_words(go()))
    finally:
        if isinstance(reporting, OnTerminal):
            reporting.stop()
    raise typer.Exit(code)


@app.command()
def events(
    search_id: Annotated[str, typer.Argument(help="O identificador da busca.")],
    follow: Annotated[bool, typer.Option("--follow", help="Continua até a busca se encerrar.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Mostra os eventos de uma busca, do primeiro ao último."""
    from farol.client import FarolClient  # noqa: PLC0415 - see the module's docstring
    from farol.searching import SEARCH_LIMIT  # noqa: PLC0415

    settings = _settings()
    place = _place(settings, data_dir)

    def tell(name: str, event_id: str | None, data: dict[str, Any]) -> None:
        if as_json:
            _line(orjson.dumps({"event": name, "id": event_id, "data": data}).decode())
        else:
            _line(f"{event_id or '-':>24}  {name:<16} {_gist(data)}")

    async def go() -> int:
        async with FarolClient(*_where(place, settings, url)) as client:
            if not follow:
                for event in (await client.history(search_id))["events"]:
                    tell(event["event"], event["id"], event["data"])
                return 0
            async for each in client.follow(search_id, until=_now() + SEARCH_LIMIT, now=_now):
                tell(each.name, each.id, each.data)
            return 0

    raise typer.Exit(_run(_in_words(go())))


@keys_app.command("create")
def create_key(
    tenant: Annotated[str, typer.Option(help="De quem são as buscas que a chave vê.")],
    scope: Annotated[list[str] | None, typer.Option(help="search, admin ou metrics; repita. Sem ele: search.")] = None,
    name: Annotated[str, typer.Option(help="Para que serve.")] = "",
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Cria uma chave e a mostra, só desta vez."""
    from farol import keys  # noqa: PLC0415 - see the module's docstring

    _with_client(
        lambda client: keys.create(
            client, _line, tenant=tenant, name=name, scopes=scope or ["search"], as_json=as_json
        ),
        url,
        data_dir,
    )


@keys_app.command("list")
def list_keys(url: Url = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Lista as chaves, sem os segredos."""
    from farol import keys  # noqa: PLC0415 - see the module's docstring

    _with_client(lambda client: keys.show(client, _line, as_json=as_json), url, data_dir)


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="A parte pública da chave: farol_<esta>_...")],
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Revoga uma chave: em até um segundo ela não abre mais nada."""
    from farol import keys  # noqa: PLC0415 - see the module's docstring

    _with_client(lambda client: keys.revoke(client, _line, key_id), url, data_dir)


@app.command()
def backfill(
    uf: Annotated[list[str], typer.Option("--uf", help="UF; repita ou separe por vírgula. `todas` pede as 27.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="Primeiro dia de publicação.")],
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Último dia; sem ele, hoje.")
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Busca o que falta na memória, sem passar na frente das buscas. Saída: 0 tudo guardado, 3 ficou algo."""
    from farol.backfilling import backfill as fill  # noqa: PLC0415 - see the module's docstring
    from farol.client import FarolClient  # noqa: PLC0415
    from farol.searching import parse_ufs  # noqa: PLC0415

    begin, end = first.date(), last.date() if last else _today()
    if begin > end:
        raise typer.BadParameter("o primeiro dia vem depois do último", param_hint="--from")
    try:
        ufs = parse_ufs(uf)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--uf") from exc
    settings = _settings()
    place = _place(settings, data_dir)

    async def go() -> int:
        missing = 0
        async with FarolClient(*_where(place, settings, url)) as client:
            async for step in fill(client, ufs=ufs, first=begin, last=end):
                missing += step.left if step.over else 0
                days = f"{step.date_from:%d/%m/%Y} a {step.date_to:%d/%m/%Y}"
                said = f"{days}: faltam {step.left}" + (f", {step.resting} com falha recente" if step.resting else "")
                _line(orjson.dumps(step.fields).decode() if as_json else said)
        return NOTHING_READ if missing else 0

    raise typer.Exit(_run(_in_words(go())))


@app.command()
def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Verifica se esta máquina pode rodar o Farol. Saída 1 se faltar algo necessário."""
    from farol.doctor import examine  # noqa: PLC0415 - see the module's docstring

    settings = _settings()
    place = _place(settings, data_dir)
    marks = {"ok": "ok   ", "warning": "aviso", "error": "ERRO "}

    async def go() -> int:
        code = 0
        async for finding in examine(settings, place):
            code = 1 if finding.level == "error" else code
            if as_json:
                fields = {"check": finding.check, "level": finding.level, "message": finding.message}
                _line(orjson.dumps(fields).decode())
            else:
                _line(f"{marks[finding.level]}  {finding.check}: {finding.message}")
        return code

    raise typer.Exit(_run(go()))


@app.command()
def bench(
    processes: Annotated[bool, typer.Option("--processes", help="Um processo por serviço.")] = False,
    as_json: AsJson = False,
) -> None:
    """Mede esta máquina com os dados gravados, sem internet."""
    from farol.bench import measure  # noqa: PLC0415 - see the module's docstring

    terminal = sys.stdout
    if not as_json:
        _line(f"{'':<28}{'segundos':>9}{'1ª linha':>10}{'linhas':>8}{'pedidos':>9}")

    async def go() -> int:
        async for each in measure(today=_today(), processes=processes):
            if as_json:
                _say(orjson.dumps(each.fields).decode(), terminal)
                continue
            first = "" if each.first_rows_seconds is None else f"{each.first_rows_seconds:.2f}"
            counts = f"{_or_blank(each.rows):>8}{_or_blank(each.requests):>9}"
            _say(f"{each.what:<28}{each.seconds:>9.2f}{first:>10}{counts}", terminal)
        return 0

    raise typer.Exit(_run(go()))


def main() -> None:
    """The entry of the console script."""
    app()


def _settings() -> FarolSettings:
    try:
        return FarolSettings()
    except ValueError as exc:
        _fail(f"Configuração inválida: {exc}")


def _place(settings: FarolSettings, data_dir: Path | None) -> Place:
    return Place(data_dir or settings.data_dir)


def _sources(asked: str | None, settings: FarolSettings) -> Sources:
    if asked is None:
        return settings.sources
    if asked == "live":
        return "live"
    if asked == "recorded":
        return "recorded"
    raise typer.BadParameter("use live ou recorded", param_hint="--sources")


def _where(place: Place, settings: FarolSettings, url: str | None) -> tuple[str, str | None]:
    """The address and the key: as told, else of the Farol that runs here."""
    endpoint = place.read_endpoint()
    given = settings.api_key.get_secret_value() if settings.api_key else None
    address = url or (endpoint.url if endpoint else f"http://127.0.0.1:{settings.http_port}")
    # The key of this machine goes to this machine only.
    return address, given or (place.read_key() if endpoint and address == endpoint.url else None)


def _with_client(ask: Callable[[Any], Coroutine[Any, Any, None]], url: str | None, data_dir: Path | None) -> NoReturn:
    """One question to the Farol that is meant, as this user."""
    from farol.client import FarolClient  # noqa: PLC0415 - see the module's docstring

    settings = _settings()
    place = _place(settings, data_dir)

    async def go() -> int:
        async with FarolClient(*_where(place, settings, url)) as client:
            await ask(client)
        return 0

    raise typer.Exit(_run(_in_words(go())))


async def _in_words(work: Coroutine[Any, Any, int]) -> int:
    from farol.client import FarolError  # noqa: PLC0415 - see the module's docstring

    try:
        return await work
    except FarolError as exc:
        typer.echo(str(exc), err=True)
        return 1


def _run(work: Coroutine[Any, Any, int]) -> int:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return INTERRUPTED


def _gist(data: dict[str, Any]) -> str:
    words = data.get("message") or data.get("reason")
    if words is None and "uf" in data:
        words = " ".join(str(data[name]) for name in ("uf", "status", "items_count", "total") if name in data)
    return str(words or "")


def _or_blank(number: int | None) -> str:
    return "" if number is None else str(number)


def _line(text: str) -> None:
    typer.echo(text)


def _say(text: str, terminal: Any) -> None:
    typer.echo(text, file=terminal)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _now() -> datetime:
    return datetime.now(UTC)


def _today() -> Any:
    from contracts.when import day_of  # noqa: PLC0415 - see the module's docstring

    return day_of(_now())
