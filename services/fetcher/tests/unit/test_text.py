from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.domain.text import folded, moment, reais, web_link, without_platform


class TestFolded:
    def test_folds_line_ends_tabs_and_doubled_blanks(self) -> None:
        assert folded(" Aquisição\r\nde  \t uniformes ") == "Aquisição de uniformes"

    @pytest.mark.parametrize("blank", [None, "", " ", "\r\n\t"])
    def test_makes_nothing_of_blanks(self, blank: str | None) -> None:
        assert folded(blank) is None

    @given(st.text())
    def test_changes_nothing_the_second_time(self, text: str) -> None:
        assert folded(folded(text)) == folded(text)


class TestWithoutPlatform:
    @pytest.mark.parametrize(
        ("objeto", "bare"),
        [
            ("[Portal de Compras Públicas] - Aquisição", "Aquisição"),
            ("[LICITANET] - ALUGUEL", "ALUGUEL"),
            ("[Publicenter] - [LICITANET] - Obra", "Obra"),
            ("Aquisição [lote 1] - peças", "Aquisição [lote 1] - peças"),
            ("[LICITANET] -", "[LICITANET] -"),
        ],
    )
    def test_strips_only_what_stands_before(self, objeto: str, bare: str) -> None:
        assert without_platform(objeto) == bare


class TestWebLink:
    @pytest.mark.parametrize(
        "rubbish",
        [
            None, "", " ", "0", "#", "string", "SEM PUBLICAÇÃO", "compras@cidade.sp.gov.br", "www.licitanet.com.br",
            "javascript:alert(1)", "ftp://a.gov.br/x", "https://", "https://semponto", "https://a.gov.br/x y",
            "https://eu:senha@a.gov.br/", "http://[::1", "https://a.gov.br/" + "x" * 3000, "mailto:a@b.gov.br",
        ],
    )  # fmt: skip
    def test_refuses_what_is_no_link(self, rubbish: str | None) -> None:
        assert web_link(rubbish) is None

    def test_keeps_a_link_and_lowers_its_host(self) -> None:
        assert web_link(" HTTPS://WWW.BLL.COM.BR/Processo/7 ") == "https://www.bll.com.br/Processo/7"

    @given(st.text(max_size=80))
    def test_never_raises(self, text: str) -> None:
        link = web_link(text)
        assert link is None or link.startswith(("http://", "https://"))


class TestMoment:
    @pytest.mark.parametrize(
        ("text", "utc"),
        [
            ("2026-06-26T07:09:35", datetime(2026, 6, 26, 10, 9, 35, tzinfo=UTC)),
            ("2026-08-12T15:44:27.878963013", datetime(2026, 8, 12, 18, 44, 27, 878963, tzinfo=UTC)),
            ("2026-08-26T09:00", datetime(2026, 8, 26, 12, 0, tzinfo=UTC)),
            ("2026-08-26", datetime(2026, 8, 26, 3, 0, tzinfo=UTC)),
            ("2026-08-26T09:00:00+00:00", datetime(2026, 8, 26, 9, 0, tzinfo=UTC)),
            ("2026-08-26T09:00:00Z", datetime(2026, 8, 26, 9, 0, tzinfo=UTC)),
        ],
    )
    def test_reads_every_form_seen_in_real_records(self, text: str, utc: datetime) -> None:
        assert moment(text) == utc

    def test_takes_a_time_without_offset_for_utc_where_the_source_writes_utc(self) -> None:
        assert moment("2026-08-26T09:00:00", naive_is_utc=True) == datetime(2026, 8, 26, 9, tzinfo=UTC)

    @pytest.mark.parametrize("text", [None, "", "  ", "ontem", "9999-12-31T23:59:59", "2026-02-30T00:00:00"])
    def test_makes_nothing_of_what_is_no_time(self, text: str | None) -> None:
        assert moment(text) is None

    @given(st.text(max_size=30))
    def test_never_raises(self, text: str) -> None:
        assert moment(text) is None or moment(text) is not None


class TestReais:
    @pytest.mark.parametrize(
        "unknown", [None, Decimal(0), Decimal("0.00001"), Decimal(-5), Decimal("NaN"), Decimal("1e15")]
    )
    def test_makes_nothing_of_what_is_no_price(self, unknown: Decimal | None) -> None:
        assert reais(unknown) is None

    def test_keeps_centavos_and_at_most_four_places(self) -> None:
        assert reais(Decimal("946791.0")) == Decimal(946791)
        assert reais(Decimal("1.23456")) == Decimal("1.2346")
