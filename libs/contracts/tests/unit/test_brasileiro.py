from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from contracts.brasileiro import dia, dia_e_hora, lista, quantos, reais


class TestReais:
    @pytest.mark.parametrize(
        ("amount", "shown"),
        [("1234.56", "1.234,56"), ("0", "0,00"), ("1234567.895", "1.234.567,90"), ("0.004", "0,00")],
    )
    def test_writes_points_for_thousands_and_a_comma_for_centavos(self, amount: str, shown: str) -> None:
        assert reais(Decimal(amount)) == f"R$\N{NO-BREAK SPACE}{shown}"


class TestDia:
    def test_is_the_day_in_brasilia(self) -> None:
        assert dia(datetime(2026, 12, 1, 2, 30, tzinfo=UTC)) == "30/11/2026"
        assert dia(date(2026, 1, 9)) == "09/01/2026"

    def test_has_an_hour_where_one_is_asked(self) -> None:
        assert dia_e_hora(datetime(2026, 12, 1, 2, 30, tzinfo=UTC)) == "30/11/2026 23:30"


class TestLista:
    @pytest.mark.parametrize(
        ("words", "read"), [([], ""), (["SP"], "SP"), (["SP", "MG"], "SP e MG"), (["SP", "MG", "RS"], "SP, MG e RS")]
    )
    def test_reads_as_a_sentence(self, words: list[str], read: str) -> None:
        assert lista(words) == read


class TestQuantos:
    def test_agrees_in_number(self) -> None:
        assert quantos(1, "licitação", "licitações") == "1 licitação"
        assert quantos(2300, "licitação", "licitações") == "2.300 licitações"
