import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]  # it ships no stubs

from contracts.cell_text import CELL_LIMIT, looks_like_formula, safe_link, safe_text


class TestSafeText:
    def test_removes_what_xml_forbids(self) -> None:
        assert safe_text("a\x00b\x0bc\ufffed\ud800e") == "abcde"

    def test_keeps_an_escape_sequence_as_it_was_written(self) -> None:
        assert safe_text("a_x000D_b _x_ _y0000_") == "a_x005F_x000D_b _x_ _y0000_"

    def test_folds_line_ends_and_tabs(self) -> None:
        assert safe_text("a\r\nb\rc\td") == "a\nb\nc d"

    @given(st.text(max_size=40).map(lambda text: text * 2000))
    def test_fits_a_cell_in_utf16_units(self, text: str) -> None:
        assert len(safe_text(text).encode("utf-16-le")) // 2 <= CELL_LIMIT

    def test_cuts_between_characters(self) -> None:
        cut = safe_text("😀" * CELL_LIMIT)
        assert cut.endswith("😀…")
        assert set(cut) == {"😀", "…"}

    @given(st.text())
    def test_is_always_legal_xml(self, text: str) -> None:
        element = etree.Element("t")
        element.text = safe_text(text)
        assert etree.fromstring(etree.tostring(element)).text == (safe_text(text) or None)


class TestLooksLikeFormula:
    @pytest.mark.parametrize(
        "start", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠", " =", "\u200b=", "|", "%"]
    )
    def test_knows_every_dangerous_start(self, start: str) -> None:
        assert looks_like_formula(f"{start}cmd|' /C calc'!A0")

    def test_leaves_plain_words_alone(self) -> None:
        assert not looks_like_formula("Aquisição de 10 = dez uniformes")


class TestSafeLink:
    @pytest.mark.parametrize("link", ["https://pncp.gov.br/app/editais/1", "http://x.sp.gov.br:8080/?a=1&b=%20#c"])
    def test_lets_http_addresses_through(self, link: str) -> None:
        assert safe_link(link) == link

    @pytest.mark.parametrize(
        "link",
        [
            None,
            "",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "//host/path",
            "https://",
            "http://[::1",
            "https://a b",
            'https://a/"x',
            "https://a/\nb",
            "mailto:x@y",
            "https://a/" + "b" * 2079,
        ],
    )
    def test_refuses_everything_else(self, link: str | None) -> None:
        assert safe_link(link) is None

    @given(st.text())
    def test_never_raises(self, link: str) -> None:
        made = safe_link(f"http://{link}")
        assert made is None or re.fullmatch(r"http://\S+", made)
