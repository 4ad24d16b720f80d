"""`farol catalogue`: is the catalogue sound, and how well does it judge bids that a person has read."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

app = typer.Typer(name="catalogue", help="O catálogo dos setores: verificar e medir.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Uma linha JSON por item, para programas.")]
Folder = Annotated[
    Path | None, typer.Option("--catalogue", exists=True, file_okay=False, help="Outra pasta de setores.")
]
_DEV = Path("tests/fixtures/bids_dev.jsonl.gz")
"""In a checkout, beside the classifier's sources; 4,000 real bids, read and labelled one by one."""


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
    from classifier.domain.relevance import Judge  # noqa: PLC0415
    from classifier.domain.scoring import Labelled  # noqa: PLC0415
    from classifier.domain.scoring import score as score_records  # noqa: PLC0415
    from contracts.sectors import SECTORS  # noqa: PLC0415

    try:
        records = [
            Labelled(str(row["id"]), row["objeto"], frozenset(row["sectors"]), sure=row.get("sure", True))
            for row in _rows(file)
        ]
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


def _rows(file: Path | None) -> Iterator[dict[str, Any]]:
    if file is None:
        import classifier  # noqa: PLC0415 - see farol.cli

        file = Path(str(classifier.__file__)).parents[2] / _DEV
        if not file.exists():
            raise typer.BadParameter("fora do repositório não há licitações de teste: informe um arquivo")
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return (json.loads(line) for line in raw.decode("utf-8").splitlines() if line.strip())


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
