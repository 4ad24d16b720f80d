"""`farol keys`: who may ask."""

from typing import Annotated

import typer

from farol.commands.shell import AsJson, DataDir, Url, line, with_client

app = typer.Typer(name="keys", help="Chaves da API: criar, listar e revogar.", no_args_is_help=True)


@app.command("create")
def create_key(
    tenant: Annotated[str, typer.Option(help="De quem são as buscas que a chave vê.")],
    scope: Annotated[list[str] | None, typer.Option(help="search, admin ou metrics; repita. Sem ele: search.")] = None,
    name: Annotated[str, typer.Option(help="Para que serve.")] = "",
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Cria uma chave e a mostra, só desta vez."""
    from farol import keys  # noqa: PLC0415 - see farol.cli

    with_client(
        lambda client: keys.create(client, line, tenant=tenant, name=name, scopes=scope or ["search"], as_json=as_json),
        url,
        data_dir,
    )


@app.command("list")
def list_keys(url: Url = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Lista as chaves, sem os segredos."""
    from farol import keys  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: keys.show(client, line, as_json=as_json), url, data_dir)


@app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="A parte pública da chave: farol_<esta>_...")],
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Revoga uma chave: em até um segundo ela não abre mais nada."""
    from farol import keys  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: keys.revoke(client, line, key_id), url, data_dir)
