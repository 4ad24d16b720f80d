"""The spreadsheet of an answer, made with openpyxl's streaming writer. Runs in a worker process."""

import io
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Border, Font, NamedStyle, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.xml.constants import ARC_CORE
from openpyxl.xml.functions import tostring

from contracts.answer import Answer, Result
from contracts.brasileiro import dia, dia_e_hora, lista
from contracts.cell_text import looks_like_formula, safe_link, safe_text
from contracts.sectors import SECTORS
from contracts.state import Freshness, Status, UfStatusKind
from contracts.summary import summarize
from contracts.values import Modalidade, Situacao
from contracts.verdict import Confidence, RelevanceSource, ViabilityLevel
from contracts.when import BRT

BIDS_SHEET: Final = "Licitações"
SUMMARY_SHEET: Final = "Resumo e cobertura"
REAIS_FORMAT: Final = "[$R$-416]\\ #,##0.00"
MOMENT_FORMAT: Final = "dd/mm/yyyy\\ hh:mm"
MAX_LINKS: Final = 65_530
"""Of one sheet, Excel's own limit; later rows show the address as text."""

CONFIDENCE: Final = {Confidence.HIGH: "alta", Confidence.MEDIUM: "média", Confidence.LOW: "baixa"}
VIABILITY: Final = {ViabilityLevel.ALTA: "alta", ViabilityLevel.MEDIA: "média", ViabilityLevel.BAIXA: "baixa"}
JUDGED_BY: Final = {
    RelevanceSource.KEYWORD: "termos do setor",
    RelevanceSource.ITEM_INSPECTION: "inspeção dos itens",
    RelevanceSource.LLM_STANDARD: "avaliado por IA",
    RelevanceSource.LLM_CONSERVATIVE: "avaliado por IA",
    RelevanceSource.LLM_ZERO_MATCH: "avaliado por IA",
    RelevanceSource.RULES_WITHOUT_LLM: "regras, sem IA",
}
SITUACAO: Final = {Situacao.DESCONHECIDA: "não informada"}
UF_STATUS: Final = {
    UfStatusKind.COMPLETE: "completa",
    UfStatusKind.PARTIAL: "parcial",
    UfStatusKind.CACHED: "completa, com dados guardados",
    UfStatusKind.FAILED: "sem verificação",
    UfStatusKind.PENDING: "sem verificação",
}
STATUS: Final = {
    Status.COMPLETED: "completa",
    Status.DEGRADED: "parcial",
    Status.EMPTY_FAILURE: "sem resposta das fontes",
    Status.CANCELLED: "cancelada",
    Status.RUNNING: "em andamento",
    Status.ACCEPTED: "em andamento",
}
FRESHNESS: Final = {
    Freshness.LIVE: "consultados agora",
    Freshness.CACHED_FRESH: "guardados, ainda válidos",
    Freshness.CACHED_STALE: "guardados, já pediam atualização",
}


_Value = str | int | Decimal | datetime | None


@dataclass(frozen=True, slots=True)
class Spreadsheet:
    """The finished file."""

    content: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    width: float
    value: Callable[[int, Result], _Value]
    style: str = "texto"


def _local(moment: datetime | None) -> datetime | None:
    """A sheet knows no zones: the Brasília wall clock."""
    return moment.astimezone(BRT).replace(tzinfo=None) if moment else None


_COLUMNS: Final = (
    _Column("Posição", 9, lambda rank, _: rank, "inteiro"),
    _Column("UF", 6, lambda _, r: r.uf.value),
    _Column("Município", 20, lambda _, r: r.municipio),
    _Column("Órgão", 36, lambda _, r: r.orgao),
    _Column("Objeto", 70, lambda _, r: r.objeto),
    _Column("Modalidade", 22, lambda _, r: r.modalidade),
    _Column("Número", 14, lambda _, r: r.numero),
    _Column("Valor estimado", 18, lambda _, r: r.valor_estimado, "reais"),
    _Column("Publicação", 17, lambda _, r: _local(r.data_publicacao), "momento"),
    _Column("Abertura", 17, lambda _, r: _local(r.data_abertura), "momento"),
    _Column("Encerramento", 17, lambda _, r: _local(r.data_encerramento), "momento"),
    _Column("Situação", 14, lambda _, r: SITUACAO.get(r.situacao, r.situacao.value)),
    _Column("Confiança", 11, lambda _, r: CONFIDENCE[r.confidence]),
    _Column("Confiança (0-100)", 12, lambda _, r: r.confidence_score, "inteiro"),
    _Column("Avaliação", 18, lambda _, r: JUDGED_BY[r.relevance_source]),
    _Column("Viabilidade", 12, lambda _, r: VIABILITY[r.viability.level] if r.viability else None),
    _Column("Viabilidade (0-100)", 13, lambda _, r: r.viability.score if r.viability else None, "inteiro"),
    _Column("Motivos", 50, lambda _, r: "; ".join(r.reasons)),
    _Column("Termos encontrados", 30, lambda _, r: ", ".join(r.matched_terms)),
    _Column("CNPJ do órgão", 18, lambda _, r: r.cnpj),
    _Column("Edital", 60, lambda _, r: r.link, "link"),
)


def make_spreadsheet(answer: Answer) -> Spreadsheet:
    """Two sheets: the bids in rank order, then the summary with what was looked at. Equal answers are equal bytes."""
    book = Workbook(write_only=True)
    book.properties.creator = "Farol"
    book.properties.title = "Licitações encontradas"
    for style in _styles():
        book.add_named_style(style)
    _write_bids(book.create_sheet(BIDS_SHEET), answer.results)
    _write_summary(book.create_sheet(SUMMARY_SHEET), answer)
    book.properties.created = answer.finished_at.replace(tzinfo=None)
    out = io.BytesIO()
    book.save(out)
    return Spreadsheet(content=_timeless(out, book), rows=len(answer.results))


def _timeless(written: io.BytesIO, book: Workbook) -> bytes:
    """The file without the moment of writing: a job done twice must not change the bytes that a fact names."""
    book.properties.modified = book.properties.created
    out = io.BytesIO()
    with zipfile.ZipFile(written) as made, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as kept:
        for entry in made.infolist():
            part = zipfile.ZipInfo(entry.filename, date_time=(1980, 1, 1, 0, 0, 0))
            part.compress_type = zipfile.ZIP_DEFLATED
            core = entry.filename == ARC_CORE
            kept.writestr(part, tostring(book.properties.to_tree()) if core else made.read(entry))
    return out.getvalue()


def _styles() -> Iterable[NamedStyle]:
    top = Alignment(vertical="top")
    wrapped = Alignment(vertical="top", wrap_text=True)
    thin = Side(style="thin", color="BFC9D4")
    yield NamedStyle("texto", alignment=wrapped)
    yield NamedStyle("inteiro", alignment=top, number_format="0")
    yield NamedStyle("reais", alignment=top, number_format=REAIS_FORMAT)
    yield NamedStyle("momento", alignment=top, number_format=MOMENT_FORMAT)
    yield NamedStyle("link", alignment=top, font=Font(color="0B57A4", underline="single"))
    yield NamedStyle("titulo", alignment=top, font=Font(bold=True, size=14))
    yield NamedStyle("rotulo", alignment=top, font=Font(bold=True))
    yield NamedStyle(
        "cabecalho",
        font=Font(bold=True, color="FFFFFF"),
        fill=PatternFill("solid", fgColor="12355B"),
        alignment=Alignment(vertical="center", wrap_text=True),
        border=Border(bottom=thin),
    )


def _write_bids(sheet: Any, results: tuple[Result, ...]) -> None:
    sheet.freeze_panes = "A2"
    for number, column in enumerate(_COLUMNS, start=1):
        sheet.column_dimensions[get_column_letter(number)].width = column.width
    sheet.append([_cell(sheet, column.title, "cabecalho") for column in _COLUMNS])
    for rank, result in enumerate(results, start=1):
        sheet.append([_cell(sheet, c.value(rank, result), c.style, rank=rank) for c in _COLUMNS])
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(_COLUMNS))}{len(results) + 1}"


def _write_summary(sheet: Any, answer: Answer) -> None:
    for letter, width in zip("ABCDEFG", (34, 90, 14, 14, 14, 14, 20), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.append([_cell(sheet, "Resumo", "titulo")])
    for paragraph in summarize(answer).text.split("\n\n"):
        sheet.append([None, _cell(sheet, paragraph, "texto")])
    for title, rows in (("Pesquisa", _query_rows(answer)), ("Números", _count_rows(answer))):
        sheet.append([])
        sheet.append([_cell(sheet, title, "titulo")])
        for label, value, style in rows:
            sheet.append([_cell(sheet, label, "rotulo"), _cell(sheet, value, style)])
    sheet.append([])
    sheet.append([_cell(sheet, "Cobertura por UF", "titulo")])
    header = ("UF", "Estado", "Situação", "Cobertura (%)", "Consultas", "Completas", "Dados de")
    sheet.append([_cell(sheet, word, "cabecalho") for word in header])
    for uf in answer.coverage.ufs_status_detail:
        values: tuple[tuple[str | int | datetime | None, str], ...] = (
            (uf.uf.value, "texto"),
            (uf.uf.nome, "texto"),
            (UF_STATUS[uf.status], "texto"),
            (uf.coverage_pct, "inteiro"),
            (uf.slices_asked, "inteiro"),
            (uf.slices_complete, "inteiro"),
            (_local(uf.fetched_at), "momento"),
        )
        sheet.append([_cell(sheet, value, style) for value, style in values])


_Row = tuple[str, _Value, str]


def _query_rows(answer: Answer) -> Iterable[_Row]:
    query = answer.query
    if query.sector:
        yield "Setor", SECTORS[query.sector], "texto"
    else:
        yield "Termos", ", ".join(query.terms), "texto"
    yield "UFs", ", ".join(query.ufs), "texto"
    yield "Publicação", f"{dia(query.date_from)} a {dia(query.date_to)}", "texto"
    yield "Modalidades", lista([Modalidade(m).nome for m in query.modalidades]), "texto"
    if query.value_min is not None:
        yield "Valor mínimo", query.value_min, "reais"
    if query.value_max is not None:
        yield "Valor máximo", query.value_max, "reais"
    if query.esfera:
        yield "Esfera", query.esfera.value, "texto"
    if query.municipio_ibge:
        yield "Município (IBGE)", query.municipio_ibge, "texto"
    yield "Pedida em", _local(answer.created_at), "momento"
    yield "Concluída em", _local(answer.finished_at), "momento"
    yield "Horário", f"de Brasília; planilha da revisão {answer.revision}", "texto"


def _count_rows(answer: Answer) -> Iterable[_Row]:
    coverage = answer.coverage
    yield "Resultado", STATUS[answer.status], "texto"
    if answer.degraded:
        yield "Por que é parcial", answer.degraded.reason, "texto"
    yield "Licitações na lista", len(answer.results), "inteiro"
    yield "Valor estimado somado", answer.total_value, "reais"
    yield "Registros lidos", answer.counts.fetched, "inteiro"
    yield "Aceitos", answer.counts.accepted, "inteiro"
    yield "Rejeitados", answer.counts.rejected, "inteiro"
    if answer.llm_pending:
        yield "Decididos só por regras", answer.llm_pending, "inteiro"
    yield "Cobertura (%)", coverage.coverage_pct, "inteiro"
    if coverage.freshness:
        yield "Dados", FRESHNESS[coverage.freshness], "texto"
    if coverage.oldest_fetched_at:
        yield "Dado mais antigo", dia_e_hora(coverage.oldest_fetched_at), "texto"
    yield "Confiabilidade (0-100)", answer.reliability, "inteiro"


def _cell(sheet: Any, value: _Value, style: str, *, rank: int = 0) -> Any:
    """One cell. Text is forced to be text, whatever it begins with."""
    if not isinstance(value, str):
        cell: Any = WriteOnlyCell(sheet, value=value)  # type: ignore[arg-type]  # its stub does not know Decimal
        cell.style = style
        return cell
    text = safe_text(value)
    link = safe_link(value) if style == "link" and rank <= MAX_LINKS else None
    cell = WriteOnlyCell(sheet, value=None)
    if link:
        cell.hyperlink = link
    cell.style = "texto" if style == "link" and not link else style
    # Not through the setter: it would take a leading "=" for a formula and "#N/A" for an error.
    cell._value = text  # noqa: SLF001 - openpyxl has no other way to store a text as it is
    cell.data_type = "s"
    if looks_like_formula(text):
        cell.quotePrefix = True
    return cell
