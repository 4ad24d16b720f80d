"""`farol dlq`: what the services gave up."""

from typing import Annotated

import typer

from farol.commands.shell import AsJson, DataDir, Url, line, with_client

app = typer.Typer(name="dlq", help="Mensagens abandonadas: ver, tentar de novo, descartar.", no_args_is_help=True)

Sequences = Annotated[list[int], typer.Argument(min=1, help="O número da mensagem; um ou vários.")]


@app.command("ls")
def list_letters(
    consumer: Annotated[str | None, typer.Option(help="Só as deste consumidor, por exemplo cache-gather.")] = None,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Lista as mensagens abandonadas, da mais antiga à mais nova."""
    from farol import dead_letters  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: dead_letters.show_all(client, line, consumer=consumer, as_json=as_json), url, data_dir)


@app.command("show")
def show_letter(
    sequence: Annotated[int, typer.Argument(min=1, help="O número da mensagem.")],
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Mostra uma mensagem, com o seu conteúdo e o motivo."""
    from farol import dead_letters  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: dead_letters.show(client, line, sequence, as_json=as_json), url, data_dir)


@app.command("retry")
def retry_letters(sequences: Sequences, url: Url = None, data_dir: DataDir = None) -> None:
    """Devolve mensagens a quem as abandonou, para uma nova tentativa."""
    from farol import dead_letters  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: dead_letters.retry(client, line, sequences), url, data_dir)


@app.command("discard")
def discard_letters(sequences: Sequences, url: Url = None, data_dir: DataDir = None) -> None:
    """Descarta mensagens para sempre."""
    from farol import dead_letters  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: dead_letters.discard(client, line, sequences), url, data_dir)
