"""`farol levers`: what operators change while it runs. Each change says why and is audited."""

from typing import Annotated, Any, Literal

import typer

from farol.commands.shell import AsJson, DataDir, Url, line, with_client

app = typer.Typer(
    name="levers", help="Ajustes em funcionamento: recursos, fontes, processos; auditados.", no_args_is_help=True
)

Why = Annotated[str, typer.Option("--reason", help="Por quê; fica na auditoria.")]
ASource = Annotated[Literal["pncp", "pcp"], typer.Argument(help="A fonte.")]
AWorker = Annotated[str, typer.Argument(help="Um processo (veja farol doctor) ou um serviço inteiro.")]


@app.command("show")
def show_levers(url: Url = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Mostra o que está ajustado agora."""
    from farol import levers  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: levers.show(client, line, as_json=as_json), url, data_dir)


@app.command("flag")
def switch_flag(
    name: Annotated[str, typer.Argument(help="O recurso; veja `farol levers show`.")],
    state: Annotated[Literal["on", "off"], typer.Argument(help="on ou off.")],
    reason: Why,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Liga ou desliga um recurso, sem reiniciar nada."""
    _change(f"flags/{name}", {"on": state == "on"}, reason, url, data_dir, as_json=as_json)


@app.command("pause")
def pause_source(
    source: ASource, reason: Why, url: Url = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Para de consultar uma fonte; o que está guardado continua servindo."""
    _change(f"sources/{source}", {"paused": True}, reason, url, data_dir, as_json=as_json)


@app.command("resume")
def resume_source(
    source: ASource, reason: Why, url: Url = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Volta a consultar uma fonte."""
    _change(f"sources/{source}", {"paused": False}, reason, url, data_dir, as_json=as_json)


@app.command("rate")
def change_rate(
    source: ASource,
    rate: Annotated[str, typer.Argument(help="Pedidos por segundo, ou `default`.")],
    reason: Why,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Muda o ritmo de uma fonte, em todos os processos."""
    try:
        wanted = None if rate == "default" else float(rate)
    except ValueError as exc:
        raise typer.BadParameter("um número ou `default`", param_hint="rate") from exc
    _change(f"sources/{source}", {"rate": wanted}, reason, url, data_dir, as_json=as_json)


@app.command("breaker")
def force_breaker(
    source: ASource,
    state: Annotated[Literal["open", "closed", "auto"], typer.Argument(help="auto devolve a decisão ao circuito.")],
    reason: Why,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Força o circuito de uma fonte."""
    wish = {"breaker": None if state == "auto" else state}
    _change(f"sources/{source}", wish, reason, url, data_dir, as_json=as_json)


@app.command("drain")
def drain_worker(
    worker: AWorker, reason: Why, url: Url = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Faz um processo terminar o que tem e não pegar mais nada."""
    _change(f"workers/{worker}", {"drained": True}, reason, url, data_dir, as_json=as_json)


@app.command("undrain")
def undrain_worker(
    worker: AWorker, reason: Why, url: Url = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Devolve trabalho a um processo."""
    _change(f"workers/{worker}", {"drained": False}, reason, url, data_dir, as_json=as_json)


@app.command("audit")
def show_audit(
    limit: Annotated[int, typer.Option(min=1, max=500, help="Quantos registros.")] = 50,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Mostra quem mudou o quê, quando e por quê."""
    from farol import levers  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: levers.audit(client, line, limit=limit, as_json=as_json), url, data_dir)


def cancel(
    search_id: Annotated[str, typer.Argument(help="A busca, de qualquer cliente.")],
    reason: Why,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Cancela uma busca; ela termina com o que já encontrou."""
    from farol import levers  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: levers.cancel(client, line, search_id, reason=reason), url, data_dir)


def usage(
    days: Annotated[int, typer.Option(min=1, max=366, help="Os últimos N dias.")] = 30,
    url: Url = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Mostra o que cada cliente usou por dia: buscas, pedidos às fontes, modelo de linguagem."""
    from farol import levers  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: levers.usage(client, line, days=days, as_json=as_json), url, data_dir)


def _change(path: str, wish: dict[str, Any], reason: str, url: Url, data_dir: DataDir, *, as_json: bool) -> None:
    from farol import levers  # noqa: PLC0415 - see farol.cli

    with_client(lambda client: levers.change(client, line, path, wish, reason=reason, as_json=as_json), url, data_dir)
