"""The dates of a licitação as other programs read them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.places import UF
from contracts.values import Licitacao, Modalidade, Source
from gateway.domain.calendar import calendar_of

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
END = datetime(2026, 12, 8, 12, 30, tzinfo=UTC)


def bid(**fields) -> Licitacao:
    told = {
        "id": "12345678000190-1-000042/2026", "source": Source.PNCP, "uf": UF.SP, "municipio": "Campinas",
        "orgao": "Prefeitura de Campinas", "modalidade": Modalidade.PREGAO_ELETRONICO, "modalidade_nome": "Pregão",
        "objeto": "Aquisição de uniformes; lote 1, tamanhos P e M", "data_publicacao": NOW, "data_encerramento": END,
        "link": "https://editais.example/42",
    }  # fmt: skip
    return Licitacao.model_validate({**told, **fields})


def lines(**fields) -> list[str]:
    """The content lines, unfolded as RFC 5545 says."""
    made = calendar_of(bid(**fields), made_at=NOW)
    assert made is not None
    return made.decode().replace("\r\n ", "").split("\r\n")


class TestCalendar:
    def test_has_an_event_for_each_date(self):
        assert lines().count("BEGIN:VEVENT") == 1
        assert lines(data_abertura=NOW).count("BEGIN:VEVENT") == 2
        assert calendar_of(bid(data_encerramento=None), made_at=NOW) is None

    def test_says_when_in_utc_and_reminds_a_day_before_the_end(self):
        told = lines()
        assert "DTSTART:20261208T123000Z" in told
        assert "DTEND:20261208T130000Z" in told
        assert told.count("TRIGGER:-P1D") == 1
        assert "URL:https://editais.example/42" in told

    def test_escapes_what_has_a_meaning(self):
        (summary,) = (line for line in lines() if line.startswith("SUMMARY:"))
        assert summary == r"SUMMARY:Fim do prazo de propostas: Aquisição de uniformes\; lote 1\, tamanhos P e M"

    @pytest.mark.parametrize("link", ["javascript:alert(1)", "ftp://x.test/", "https://a.test/\r\nATTACH:x", None])
    def test_links_only_where_a_browser_may_go(self, link):
        assert not [line for line in lines(link=link) if line.startswith(("URL:", "ATTACH:"))]

    @given(st.text(max_size=400))
    def test_of_any_text_has_lines_of_75_bytes_that_nobody_can_break_out_of(self, objeto):
        made = calendar_of(bid(objeto=objeto, orgao=objeto), made_at=NOW)
        assert made is not None
        raw = made.split(b"\r\n")
        assert all(len(line) <= 75 for line in raw)
        assert all(b"\n" not in line and b"\r" not in line for line in raw)
        names = [line.partition(b":")[0] for line in made.replace(b"\r\n ", b"").split(b"\r\n")]
        assert names == [name.encode() for name in (each.partition(":")[0] for each in lines())]
