import io
import zipfile
from datetime import datetime
from typing import Any

import pytest
from openpyxl import load_workbook

from contracts.state import Degradation, Status
from servicekit.spreadsheet.sheet import BIDS_SHEET, MOMENT_FORMAT, REAIS_FORMAT, SUMMARY_SHEET, make_spreadsheet


def opened(answer: Any) -> Any:
    return load_workbook(io.BytesIO(make_spreadsheet(answer).content))


def by_title(sheet: Any, row: int) -> dict[str, Any]:
    return {cell.value: sheet.cell(row, cell.column) for cell in sheet[1]}


class TestMakeSpreadsheet:
    def test_has_a_row_for_each_bid_under_a_styled_frozen_header_with_a_filter(self, answer: Any, result: Any) -> None:
        made = make_spreadsheet(answer(tuple(result(n) for n in range(1, 4))))
        sheet = load_workbook(io.BytesIO(made.content))[BIDS_SHEET]
        assert made.rows == 3
        assert (sheet.max_row, sheet.freeze_panes, sheet.auto_filter.ref) == (4, "A2", "A1:U4")
        assert all(cell.font.bold and cell.fill.fill_type == "solid" for cell in sheet[1])

    def test_writes_dates_money_and_scores_as_numbers(self, answer: Any, result: Any) -> None:
        row = by_title(opened(answer((result(),)))[BIDS_SHEET], 2)
        assert row["Encerramento"].value == datetime(2026, 11, 30, 23, 30)  # noqa: DTZ001 - a sheet knows no zones
        assert row["Encerramento"].number_format == MOMENT_FORMAT
        assert float(row["Valor estimado"].value) == 1234.56
        assert row["Valor estimado"].number_format == REAIS_FORMAT
        assert (row["Confiança"].value, row["Confiança (0-100)"].value) == ("alta", 95)
        assert (row["Viabilidade"].value, row["Viabilidade (0-100)"].value) == ("alta", 81)
        assert row["Motivos"].value == 'contém "uniformes"'

    def test_leaves_unknown_values_empty(self, answer: Any, result: Any) -> None:
        unknown = result(valor_estimado=None, data_encerramento=None, viability=None, link=None, numero=None, cnpj=None)
        row = by_title(opened(answer((unknown,)))[BIDS_SHEET], 2)
        for title in (
            "Valor estimado",
            "Encerramento",
            "Viabilidade",
            "Viabilidade (0-100)",
            "Número",
            "CNPJ do órgão",
        ):
            assert row[title].value is None, title

    @pytest.mark.parametrize(
        "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "#N/A", "=cmd|' /C calc'!A0"]
    )
    def test_never_makes_a_formula_of_a_bids_text(self, answer: Any, result: Any, text: str) -> None:
        hostile = result(
            objeto=text, orgao=text, municipio=text, numero=text, link=text, reasons=(text,), modalidade=text
        )
        made = make_spreadsheet(answer((hostile,), degraded=Degradation(reason=text), status=Status.DEGRADED))
        book = load_workbook(io.BytesIO(made.content))
        kinds = {cell.data_type for sheet in book for row in sheet for cell in row}
        assert "f" not in kinds
        assert "e" not in kinds
        with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
            assert b"<f>" not in b"".join(archive.read(name) for name in archive.namelist())
        cell = by_title(book[BIDS_SHEET], 2)["Objeto"]
        assert cell.value == text.replace("\t", " ").replace("\r", "\n")
        assert cell.quotePrefix is (text != "#N/A")

    def test_links_only_to_web_addresses(self, answer: Any, result: Any) -> None:
        rows = (result(1), result(2, link="javascript:alert(1)"))
        sheet = opened(answer(rows))[BIDS_SHEET]
        assert by_title(sheet, 2)["Edital"].hyperlink.target == result(1).link
        assert by_title(sheet, 3)["Edital"].hyperlink is None
        assert by_title(sheet, 3)["Edital"].value == "javascript:alert(1)"

    def test_survives_illegal_characters_and_endless_texts(self, answer: Any, result: Any) -> None:
        row = by_title(opened(answer((result(objeto="a\x00\x1f" + "b" * 40_000),)))[BIDS_SHEET], 2)
        assert len(row["Objeto"].value) == 32_767

    def test_sums_up_the_search_and_what_was_looked_at(self, answer: Any, result: Any) -> None:
        sheet = opened(answer((result(),), degraded=Degradation(reason="Tempo esgotado."), status=Status.DEGRADED))[
            SUMMARY_SHEET
        ]
        rows = [[cell.value for cell in row if cell.value is not None] for row in sheet]
        assert rows[0] == ["Resumo"]
        assert any("Cobertura de 100%" in str(row) for row in rows)
        assert ["Setor", "Vestuário e uniformes"] in rows
        assert ["Por que é parcial", "Tempo esgotado."] in rows
        assert ["Registros lidos", 10] in rows
        assert ["SP", "São Paulo", "completa", 100, 50, 50, datetime(2026, 11, 22, 12, 30)] in rows  # noqa: DTZ001 - a sheet knows no zones

    def test_names_no_source_outside_the_links(self, answer: Any, result: Any) -> None:
        book = opened(answer((result(id="PCP-12", source="pcp"), result(2))))
        texts = [
            str(cell.value) for sheet in book for row in sheet for cell in row if cell.value and not cell.hyperlink
        ]
        assert not [text for text in texts if "pncp" in text.lower() or "pcp" in text.lower()]

    def test_keeps_no_moment_of_writing_so_that_equal_answers_are_equal_bytes(self, answer: Any, result: Any) -> None:
        rows = (result(1), result(2))
        content = make_spreadsheet(answer(rows)).content
        assert make_spreadsheet(answer(rows)).content == content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        properties = load_workbook(io.BytesIO(content)).properties
        assert properties.modified == properties.created == answer().finished_at.replace(tzinfo=None)

    def test_opens_when_there_is_no_bid(self, answer: Any) -> None:
        assert opened(answer())[BIDS_SHEET].max_row == 1
