"""`farol replay`: one search again."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from farol.commands.shell import AsJson, DataDir, in_words, line, place_of, read_settings, run


def replay(
    search: Annotated[str, typer.Argument(help="O identificador da busca, ou o arquivo de uma gravação.")],
    at: Annotated[
        int | None, typer.Option("--at", min=1, help="O estado como era nesta sequência do registro.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Continua até a busca se encerrar.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Refaz a resposta e mostra onde difere da guardada.")] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Repete a busca à parte, com o código e o catálogo de hoje; compara.")
    ] = False,
    catalogue: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Com --sandbox: outra pasta de setores.")
    ] = None,
    save: Annotated[Path | None, typer.Option(dir_okay=False, help="Guarda a busca inteira num arquivo.")] = None,
    load: Annotated[bool, typer.Option("--load", help="Carrega o arquivo num Farol que não tem a busca.")] = False,
    nats: Annotated[str | None, typer.Option(help="O barramento (NATS_URL); sem ele, o desta máquina.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Conta uma busca passo a passo, ou a refaz e compara. Saída: 0 igual, 4 difere, 1 erro."""
    from farol import replay as replaying  # noqa: PLC0415 - see farol.cli
    from servicekit.logs import configure  # noqa: PLC0415

    if sum((at is not None, follow, diff, sandbox, save is not None, load)) > 1:
        raise typer.BadParameter("use só um de --at, --follow, --diff, --sandbox, --save e --load")
    if catalogue is not None and not sandbox:
        raise typer.BadParameter("só com --sandbox", param_hint="--catalogue")
    settings = read_settings()
    endpoint = place_of(settings, data_dir).read_endpoint()
    url = nats or settings.nats_url or (endpoint.nats_url if endpoint else "nats://127.0.0.1:4222")
    asked = replaying.Asked(what=search, nats_url=url, say=line, as_json=as_json)
    configure("ERROR", "farol")
    work: Coroutine[Any, Any, int]
    if at is not None:
        work = replaying.at(asked, at)
    elif diff:
        work = replaying.diff(asked)
    elif sandbox:
        work = replaying.sandbox(asked, catalogue=catalogue)
    elif save is not None:
        work = replaying.save(asked, save)
    elif load:
        work = replaying.load(asked)
    else:
        work = replaying.steps(asked, follow=follow)
    raise typer.Exit(run(in_words(work)))
