"""No cell of a CSV is a formula, and what is read back is what was written."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.answer import Result
from contracts.places import UF
from gateway.domain.export import as_csv, as_json_lines, escaped

PAYLOADS = [
    f"{blank}{start}{rest}"
    for blank in ("", " ", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}")
    for start in ("=", "+", "-", "@", "\t=", "\r=", "＝", "＋", "－", "＠", "|", "%")
    for rest in ("1+1", 'HYPERLINK("http://x")', "cmd|' /C calc'!A0")
]


def _read(rows: list[Result]) -> list[dict[str, str]]:
    text = b"".join(as_csv(rows)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))


class TestCsv:
    @pytest.mark.parametrize("payload", PAYLOADS)
    def test_has_no_formula_in_any_text_and_keeps_the_text(self, told: Any, payload: str) -> None:
        texts = {"orgao": payload, "objeto": payload, "municipio": payload, "numero": payload, "modalidade": payload}
        row = told.row(UF.SP, 1).model_copy(update={**texts, "reasons": (payload,), "matched_terms": (payload,)})
        (read,) = _read([row])
        for column in ("Órgão", "Objeto", "Município", "Número", "Modalidade", "Motivos", "Termos encontrados"):
            assert read[column] == f"'{payload}"

    @given(st.text(st.characters(codec="utf-8"), max_size=60))
    def test_gives_back_any_text_once_the_mark_is_off(self, text: str) -> None:
        cell = escaped(text)
        assert (cell.removeprefix("'")) == text

    def test_shows_no_link_that_is_not_http(self, told: Any) -> None:
        rows = [
            told.row(UF.SP, 1).model_copy(update={"link": link}) for link in ("javascript:alert(1)", "https://x.br")
        ]
        assert [row["Edital"] for row in _read(rows)] == ["", "https://x.br"]

    def test_numbers_the_rows_over_every_chunk(self, told: Any) -> None:
        read = _read([told.row(UF.SP, 1)] * 450)
        assert [row["Posição"] for row in read] == [str(n) for n in range(1, 451)]


class TestJsonLines:
    def test_is_one_row_a_line(self, told: Any) -> None:
        rows = [told.row(UF.SP, 1), told.row(UF.RJ, 2)]
        lines = b"".join(as_json_lines(rows)).splitlines()
        assert [Result.model_validate_json(line) for line in lines] == rows
