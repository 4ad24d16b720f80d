"""The rows of an answer as CSV for people and as JSON Lines for programs."""

import csv
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from contracts.answer import Result
from contracts.brasileiro import dia_e_hora
from contracts.cell_text import looks_like_formula, safe_link
from contracts.values import Situacao
from contracts.verdict import Confidence, ViabilityLevel

ROWS_AT_ONCE: Final = 200
BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Without it Excel reads UTF-8 as something else."""
HEADER: Final = (
    "Posição", "Identificador", "UF", "Município", "Órgão", "CNPJ do órgão", "Objeto", "Modalidade", "Número",
    "Valor estimado", "Publicação", "Abertura", "Encerramento", "Situação", "Confiança", "Confiança (0-100)",
    "Viabilidade", "Viabilidade (0-100)", "Motivos", "Termos encontrados", "Edital",
)  # fmt: skip
_CONFIDENCE: Final = {Confidence.HIGH: "alta", Confidence.MEDIUM: "média", Confidence.LOW: "baixa"}
_VIABILITY: Final = {ViabilityLevel.ALTA: "alta", ViabilityLevel.MEDIA: "média", ViabilityLevel.BAIXA: "baixa"}


def as_csv(rows: Sequence[Result]) -> Iterator[bytes]:
    """Semicolons, decimal commas and Brasília time, as a Brazilian spreadsheet reads them; no cell is a formula."""
    yield _lines([HEADER], first=True)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        yield _lines([_cells(rank, row) for rank, row in enumerate(chunk, start + 1)])


def as_json_lines(rows: Sequence[Result]) -> Iterator[bytes]:
    """One result a line, exactly as the results route shows it."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield b"".join(row.model_dump_json().encode() + b"\n" for row in rows[start : start + ROWS_AT_ONCE])


def escaped(text: str) -> str:
    """With the mark that keeps a spreadsheet from running it; whoever takes the first `'` off has the text."""
    return f"'{text}" if looks_like_formula(text) or text.startswith("'") else text


def _lines(rows: Sequence[Sequence[str]], *, first: bool = False) -> bytes:
    out = io.StringIO(BOM if first else "")
    out.seek(0, io.SEEK_END)
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


def _cells(rank: int, row: Result) -> tuple[str, ...]:
    viability = row.viability
    texts = (
        row.id, row.uf.value, row.municipio, row.orgao, row.cnpj, row.objeto, row.modalidade, row.numero,
    )  # fmt: skip
    return (
        str(rank),
        *(escaped(text or "") for text in texts),
        _decimal(row.valor_estimado),
        *(dia_e_hora(each) if each else "" for each in (row.data_publicacao, row.data_abertura, row.data_encerramento)),
        "não informada" if row.situacao is Situacao.DESCONHECIDA else row.situacao.value,
        _CONFIDENCE[row.confidence],
        str(row.confidence_score),
        _VIABILITY[viability.level] if viability else "",
        str(viability.score) if viability else "",
        escaped("; ".join(row.reasons)),
        escaped(", ".join(row.matched_terms)),
        safe_link(row.link) or "",
    )


def _decimal(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}".replace(".", ",")
