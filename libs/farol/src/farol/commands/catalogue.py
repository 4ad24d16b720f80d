"""`farol catalogue`: is the catalogue sound, and how well does it judge bids that a person has read."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from farol.commands.shell import AsJson, DataDir, in_words, place_of, read_settings, run

app = typer.Typer(name="catalogue", help="O catálogo dos setores: verificar e medir.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option("--catalogue", exists=True, file_okay=False, help="Outra pasta de setores.")
]


@app.command()
def check(folder: Folder = None, as_json: AsJson = False) -> None:
    """Diz o que está errado no catálogo: termos repetidos, regras que nunca valem, figuras. Saída 1 se houver algo."""
    from classifier.adapters.catalogue_files import UnsoundCatalogue, read_catalogue  # noqa: PLC0415 - see farol.cli
    from classifier.domain.catalogue import expand, problems  # noqa: PLC0415

    try:
        catalogue = read_catalogue(folder)
    except UnsoundCatalogue as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from exc
    found = problems(catalogue)
    terms = sum(
        1
        for rules in catalogue.sectors.values()
        for pattern in (*rules.strong, *rules.weak, *rules.vague)
        for _ in expand(pattern)
    )
    if as_json:
        fields = {"version": catalogue.version, "sectors": len(catalogue.sectors), "terms": terms, "problems": found}
        typer.echo(orjson.dumps(fields).decode())
    else:
        for problem in found:
            typer.echo(problem)
        typer.echo(f"versão {catalogue.version}: {len(catalogue.sectors)} setores, {terms} termos, {len(found)} erros")
    raise typer.Exit(1 if found else 0)


@app.command()
def score(
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True, dir_okay=False, help="JSON Lines: id, objeto, sectors, sure; sem ele, as de teste."
        ),
    ] = None,
    folder: Folder = None,
    mistakes: Annotated[bool, typer.Option(help="Mostra cada engano.")] = True,
    as_json: AsJson = False,
) -> None:
    """Mede precisão e cobertura por setor em licitações que alguém leu; só as certas (sure) contam."""
    from classifier.adapters.catalogue_files import UnsoundCatalogue, read_catalogue  # noqa: PLC0415 - see farol.cli
    from classifier.adapters.labelled_bids import dev_file, read_labelled  # noqa: PLC0415
    from classifier.domain.relevance import Judge  # noqa: PLC0415
    from classifier.domain.scoring import score as score_records  # noqa: PLC0415
    from contracts.sectors import SECTORS  # noqa: PLC0415

    try:
        if (wanted := file or dev_file()) is None:
            raise typer.BadParameter("fora do repositório não há licitações de teste: informe um arquivo")
        records = read_labelled(wanted)
    except (ValueError, KeyError, TypeError) as exc:
        typer.echo(f"{file}: não são linhas JSON com id, objeto e sectors ({exc!r})", err=True)
        raise typer.Exit(1) from exc
    try:
        judge = Judge(read_catalogue(folder))
    except UnsoundCatalogue as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from exc
    result = score_records(judge, records, sectors=SECTORS)
    if as_json:
        for line in _as_json(result):
            typer.echo(orjson.dumps(line).decode())
        return
    typer.echo(f"{'setor':<22}{'casos':>7}{'precisão':>10}{'cobertura':>11}")
    for name, tally in [*result.by_sector.items(), ("todos", result.micro)]:
        cases = tally.right + tally.misses
        typer.echo(f"{name:<22}{cases:>7}{tally.precision:>10.3f}{tally.recall:>11.3f}")
    typer.echo(
        f"{result.bids} licitações; de uma busca, {100 * result.asked_share:.1f}% iriam para o modelo de linguagem "
        f"({100 * result.uncertain_share:.1f}% ficam abertas para algum setor)"
    )
    if mistakes:
        for each in result.mistakes:
            kind = "a mais " if each.false_hit else "a menos"
            typer.echo(f"{kind} {each.sector:<22}{each.id}  {' '.join(each.objeto.split())[:200]}")


@app.command("what-if")
def what_if(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="O arquivo de um setor, como ficaria.")],
    searches: Annotated[
        list[str] | None, typer.Argument(help="Buscas ou gravações; sem elas, todas as que o registro ainda tem.")
    ] = None,
    nats: Annotated[str | None, typer.Option(help="O barramento (NATS_URL); sem ele, o desta máquina.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Julga de novo as licitações de buscas passadas com um setor mudado e mostra o que mudaria."""
    from classifier.adapters.catalogue_files import load_catalogue  # noqa: PLC0415 - see farol.cli
    from classifier.domain.relevance import Judge  # noqa: PLC0415
    from farol.replay import recordings  # noqa: PLC0415
    from farol.what_if import changed_by  # noqa: PLC0415
    from farol.what_if import what_if as compared  # noqa: PLC0415
    from servicekit.logs import configure  # noqa: PLC0415

    settings = read_settings()
    endpoint = place_of(settings, data_dir).read_endpoint()
    url = nats or settings.nats_url or (endpoint.nats_url if endpoint else "nats://127.0.0.1:4222")
    configure("ERROR", "farol")

    async def work() -> int:
        shipped = load_catalogue()
        sector, after = changed_by(file, shipped)
        kept = await recordings(searches or [], nats_url=url)
        result = compared(sector, kept, before=Judge(shipped), after=Judge(after))
        for each in result.turned:
            if as_json:
                typer.echo(orjson.dumps(asdict(each)).decode())
            else:
                sign = "+" if each.taken_in else "-"
                objeto = " ".join(each.objeto.split())[:160]
                typer.echo(f"{sign} {each.id}  {objeto}  [{', '.join(each.terms)}]")
        taken = sum(each.taken_in for each in result.turned)
        total = {
            "sector": result.sector, "searches": result.searches, "bids": result.bids,
            "taken_in": taken, "left_out": len(result.turned) - taken,
        }  # fmt: skip
        typer.echo(
            orjson.dumps(total).decode()
            if as_json
            else f"{sector}: {result.bids} licitações de {result.searches} buscas; "
            f"{taken} entrariam, {len(result.turned) - taken} sairiam"
        )
        return 0

    raise typer.Exit(run(in_words(work())))


def _as_json(result: Any) -> Iterator[dict[str, Any]]:
    """One line in all, one per sector, one per mistake."""
    yield {
        "kind": "total",
        "bids": result.bids,
        "uncertain_share": result.uncertain_share,
        "asked_share": result.asked_share,
        **_tally(result.micro),
    }
    for sector, tally in result.by_sector.items():
        yield {"kind": "sector", "sector": sector, **_tally(tally)}
    for each in result.mistakes:
        kind = "false_hit" if each.false_hit else "miss"
        yield {"kind": kind, "id": each.id, "sector": each.sector, "objeto": each.objeto, "finds": list(each.finds)}


def _tally(tally: Any) -> dict[str, Any]:
    return {
        "right": tally.right, "false_hits": tally.false_hits, "misses": tally.misses,
        "precision": round(tally.precision, 4), "recall": round(tally.recall, 4),
    }  # fmt: skip
