"""The command line. Imports wait until a command needs them: `farol search` is up in a fraction of a second."""

import typer

from farol.commands import catalogue, dlq, keys, levers, machine, replay, searches

app = typer.Typer(
    name="farol",
    help="Farol: busca licitações e diz quanto do país foi realmente consultado.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (
    machine.up, searches.search, searches.events, searches.explain, replay.replay, searches.backfill, machine.doctor,
    machine.bench, levers.cancel, levers.usage,
):  # fmt: skip
    app.command()(command)
for group in (catalogue, keys, dlq, levers):
    app.add_typer(group.app)


@app.callback()
def _root() -> None:
    """Farol: busca licitações e diz quanto do país foi realmente consultado."""


def main() -> None:
    """The entry of the console script."""
    app()
