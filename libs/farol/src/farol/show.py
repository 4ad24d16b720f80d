"""What a person sees on a terminal: the live board of a search, and its answer."""

from collections.abc import Iterable
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from contracts.answer import Result
from contracts.brasileiro import dia, quantos, reais
from contracts.report import Summary
from contracts.state import Coverage, SearchView, Status, UfStatusKind
from contracts.verdict import Confidence, ViabilityLevel
from farol.board import Board, UfLine

OBJETO_LENGTH: Final = 90
ORGAO_LENGTH: Final = 40
NARROW_OBJETO_LENGTH: Final = 70
WIDE: Final = 110
"""Columns from which the table has every column of its own."""

UF_WORDS: Final = {
    UfStatusKind.PENDING: ("consultando", "cyan"),
    UfStatusKind.COMPLETE: ("completa", "green"),
    UfStatusKind.PARTIAL: ("parcial", "yellow"),
    UfStatusKind.CACHED: ("dados guardados", "yellow"),
    UfStatusKind.FAILED: ("sem verificação", "red"),
}
CONFIDENCE_WORDS: Final = {
    Confidence.HIGH: ("alta", "green"),
    Confidence.MEDIUM: ("média", "yellow"),
    Confidence.LOW: ("baixa", "bright_black"),
}
VIABILITY_WORDS: Final = {
    ViabilityLevel.ALTA: ("alta", "green"),
    ViabilityLevel.MEDIA: ("média", "yellow"),
    ViabilityLevel.BAIXA: ("baixa", "bright_black"),
}
STATUS_WORDS: Final = {
    Status.ACCEPTED: ("Busca recebida", "cyan"),
    Status.RUNNING: ("Busca em andamento", "cyan"),
    Status.COMPLETED: ("Busca concluída", "green"),
    Status.DEGRADED: ("Busca concluída com dados parciais", "yellow"),
    Status.EMPTY_FAILURE: ("Fontes temporariamente indisponíveis", "red"),
    Status.CANCELLED: ("Busca cancelada", "yellow"),
}


def board_of(board: Board, *, seconds: float) -> RenderableType:
    """The live display: one line per UF, a bar, and what is happening."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, side in (
        ("UF", "left"),
        ("Estado", "left"),
        ("Situação", "left"),
        ("Lidas", "right"),
        ("Encontradas", "right"),
    ):
        table.add_column(title, justify=side)  # type: ignore[arg-type]  # rich's own literal type
    for line in board.ufs.values():
        table.add_row(*_uf_cells(line))
    bar = ProgressBar(total=100, completed=board.progress, width=40)
    foot = Table.grid(padding=(0, 1))
    foot.add_row(
        bar, Text(f"{board.progress:3d}%"), Text(f"{seconds:4.1f} s", style="bright_black"), Text(board.message)
    )
    return Group(table, Text(), foot)


def _uf_cells(line: UfLine) -> tuple[Text, ...]:
    word, style = UF_WORDS[line.status]
    if line.status is UfStatusKind.PARTIAL and line.coverage_pct is not None:
        word = f"{word} ({line.coverage_pct}%)"
    found = "" if line.found is None else str(line.found)
    return (Text(line.uf, style="bold"), Text(line.uf.nome), Text(word, style=style), Text(str(line.read)), Text(found))


def table_of(rows: Iterable[Result], *, width: int) -> Table:
    """The ranked table. Text from bids is shown as it is, never as markup."""
    wide = width >= WIDE
    table = Table(header_style="bold", pad_edge=False, box=box.SIMPLE_HEAD, expand=wide, padding=(0, 1, 0, 0))
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("UF", no_wrap=True)
    if wide:
        table.add_column("Órgão", ratio=2)
    table.add_column("Objeto" if wide else "Licitação", ratio=4)
    table.add_column("Valor", justify="right", no_wrap=True)
    table.add_column("Encerra", no_wrap=True)
    table.add_column("Confiança" if wide else "Conf.", no_wrap=True)
    table.add_column("Viabilidade" if wide else "Viab.", no_wrap=True)
    for rank, row in enumerate(rows, start=1):
        table.add_row(str(rank), row.uf.value, *_what(row, wide=wide), *_figures(row, wide=wide))
    return table


def _what(row: Result, *, wide: bool) -> tuple[Text, ...]:
    """Órgão and objeto; in one cell where there is no room for two."""
    orgao = Text(cut(row.orgao, ORGAO_LENGTH))
    if wide:
        return (orgao, Text(cut(row.objeto, OBJETO_LENGTH)))
    orgao.stylize("bright_black")
    return (Text("\n").join((Text(cut(row.objeto, NARROW_OBJETO_LENGTH)), orgao)),)


def _figures(row: Result, *, wide: bool) -> tuple[Text, ...]:
    value = "" if row.valor_estimado is None else reais(row.valor_estimado)
    closing = "" if row.data_encerramento is None else dia(row.data_encerramento)
    if wide:
        value, closing = value or "não informado", closing or "não informado"
    word, style = CONFIDENCE_WORDS[row.confidence]
    confidence = Text(f"{word} {row.confidence_score}" if wide else str(row.confidence_score), style=style)
    viability = Text()
    if row.viability:
        word, style = VIABILITY_WORDS[row.viability.level]
        viability = Text(f"{word} {row.viability.score}" if wide else str(row.viability.score), style=style)
    return (Text(value or "—"), Text(closing or "—"), confidence, viability)


def headline(view: SearchView, *, shown: int, total: int) -> Text:
    """How the search ended and how many it found."""
    words, style = STATUS_WORDS[view.status]
    text = Text(words, style=f"bold {style}")
    if view.status is Status.EMPTY_FAILURE:
        return text.append(". " + (view.message or "Tente novamente em alguns minutos."), style="not bold")
    text.append(f": {quantos(total, 'licitação', 'licitações')}", style="bold")
    if shown < total:
        text.append(f" (as {shown} primeiras)", style="not bold")
    if view.degraded:
        text.append(f". {view.degraded.reason}", style="not bold")
    return text


def coverage_line(coverage: Coverage) -> Text:
    """`100% de cobertura — 3 de 3 estados`, in the colours of the coverage number (C03)."""
    pct = coverage.coverage_pct
    colour = "green" if pct == 100 else "yellow" if pct >= 70 else "red"  # noqa: PLR2004 - C03
    states = "estado" if coverage.ufs_requested == 1 else "estados"
    line = Text(f"{pct}% de cobertura", style=f"bold {colour}")
    line.append(f" — {coverage.ufs_processed} de {coverage.ufs_requested} {states}", style="not bold default")
    return line


def summary_of(summary: Summary) -> Text:
    """The summary's paragraphs."""
    return Text(summary.text)


def cut(text: str, length: int) -> str:
    """At a word, with an ellipsis."""
    folded = " ".join(text.split())
    return folded if len(folded) <= length else folded[: length - 1].rsplit(" ", 1)[0].rstrip(",;:.-") + "…"
