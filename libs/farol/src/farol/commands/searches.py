"""`farol search|events|explain|backfill`: what is asked of a running Farol."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from farol.commands.shell import (
    NOTHING_READ,
    AsJson,
    DataDir,
    Url,
    in_words,
    line,
    now,
    place_of,
    read_settings,
    run,
    today,
    whereabouts,
    with_client,
)

WIDTH_OF_FILES = 140
"""Of a table that is written where nobody knows how wide it is."""


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
    still_open: Annotated[
        bool, typer.Option("--open", help="Tudo o que recebe propostas hoje, publicado quando for (ignora --days).")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="Quantas linhas mostrar.")] = 20,
    out: Annotated[Path | None, typer.Option(help="Onde salvar a planilha.")] = None,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    table: Annotated[bool, typer.Option("--table", help="Tabela mesmo quando a saída não é um terminal.")] = False,
) -> None:
    """Pede uma busca, acompanha e mostra o resultado. Saída: 0 ok, 3 nada pôde ser consultado, 1 erro."""
    from rich.console import Console  # noqa: PLC0415 - see farol.cli

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
            still_open=still_open,
        )
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    settings = read_settings()
    place = place_of(settings, data_dir)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    reporting = OnTerminal(console) if (table or console.is_terminal) and not as_json else JsonLines(line)

    async def go() -> int:
        async with FarolClient(*whereabouts(place, settings, url)) as client:
            return await run_search(
                client, wish, reporting, out=out or place.files(), limit=limit, clock=now, today=today()
            )

    try:
        code = run(in_words(go()))
    finally:
        if isinstance(reporting, OnTerminal):
            reporting.stop()
    raise typer.Exit(code)


def events(
    search_id: Annotated[str, typer.Argument(help="O identificador da busca.")],
    follow: Annotated[bool, typer.Option("--follow", help="Continua até a busca se encerrar.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Mostra os eventos de uma busca, do primeiro ao último."""
    from farol.client import FarolClient  # noqa: PLC0415 - see farol.cli
    from farol.searching import SEARCH_LIMIT  # noqa: PLC0415

    settings = read_settings()
    place = place_of(settings, data_dir)

    def tell(name: str, event_id: str | None, data: dict[str, Any]) -> None:
        if as_json:
            line(orjson.dumps({"event": name, "id": event_id, "data": data}).decode())
        else:
            line(f"{event_id or '-':>24}  {name:<16} {_gist(data)}")

    async def go() -> int:
        async with FarolClient(*whereabouts(place, settings, url)) as client:
            if not follow:
                for event in (await client.history(search_id))["events"]:
                    tell(event["event"], event["id"], event["data"])
                return 0
            async for each in client.follow(search_id, until=now() + SEARCH_LIMIT, now=now):
                tell(each.name, each.id, each.data)
            return 0

    raise typer.Exit(run(in_words(go())))


def explain(
    search_id: Annotated[str, typer.Argument(help="O identificador da busca.")],
    bid_id: Annotated[str, typer.Argument(help="O identificador da licitação, aceita ou não.")],
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Diz por que uma licitação está, ou não está, nos resultados de uma busca."""

    async def tell(client: Any) -> None:
        from farol.explaining import lines  # noqa: PLC0415 - see farol.cli

        told = await client.explanation(search_id, bid_id)
        if as_json:
            line(orjson.dumps(told).decode())
            return
        for each in lines(told):
            line(each)

    with_client(tell, url, data_dir)


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
    from farol.backfilling import backfill as fill  # noqa: PLC0415 - see farol.cli
    from farol.client import FarolClient  # noqa: PLC0415
    from farol.searching import parse_ufs  # noqa: PLC0415

    begin, end = first.date(), last.date() if last else today()
    if begin > end:
        raise typer.BadParameter("o primeiro dia vem depois do último", param_hint="--from")
    try:
        ufs = parse_ufs(uf)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--uf") from exc
    settings = read_settings()
    place = place_of(settings, data_dir)

    async def go() -> int:
        missing = 0
        async with FarolClient(*whereabouts(place, settings, url)) as client:
            async for step in fill(client, ufs=ufs, first=begin, last=end):
                missing += step.left if step.over else 0
                days = f"{step.date_from:%d/%m/%Y} a {step.date_to:%d/%m/%Y}"
                said = f"{days}: faltam {step.left}" + (f", {step.resting} com falha recente" if step.resting else "")
                line(orjson.dumps(step.fields).decode() if as_json else said)
        return NOTHING_READ if missing else 0

    raise typer.Exit(run(in_words(go())))


def _gist(data: dict[str, Any]) -> str:
    words = data.get("message") or data.get("reason")
    if words is None and "uf" in data:
        words = " ".join(str(data[name]) for name in ("uf", "status", "items_count", "total") if name in data)
    return str(words or "")
