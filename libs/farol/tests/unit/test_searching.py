from datetime import date

import pytest

from contracts.places import UF, UFS
from contracts.query import Scope, SearchRequest
from farol.searching import Wish, parse_ufs


class TestParseUfs:
    def test_takes_repeats_lists_and_any_case(self) -> None:
        assert parse_ufs(["sp,RJ", "SP", "mg; rs"]) == (UF.SP, UF.RJ, UF.MG, UF.RS)

    def test_takes_all_27(self) -> None:
        assert parse_ufs(["todas"]) == UFS

    @pytest.mark.parametrize("word", ["XX", "São Paulo", "", "S"])
    def test_names_what_it_does_not_know(self, word: str) -> None:
        with pytest.raises(ValueError, match="UF desconhecida"):
            parse_ufs([word])


class TestWish:
    def test_counts_today_among_its_days(self) -> None:
        body = Wish(ufs=(UF.SP,), sector="vestuario", days=10).body(today=date(2026, 11, 22))
        assert body == {"ufs": ["SP"], "sector": "vestuario", "date_from": "2026-11-13", "date_to": "2026-11-22"}

    def test_says_only_what_was_asked(self) -> None:
        wish = Wish(ufs=(UF.SP,), terms=("merenda",), days=1, modalidades=(6,), value_min="10", home_uf=UF.MG)
        body = wish.body(today=date(2026, 11, 22))
        assert body["date_from"] == body["date_to"] == "2026-11-22"
        assert (body["terms"], body["modalidades"], body["value_min"], body["home_uf"]) == (
            ["merenda"],
            [6],
            "10",
            "MG",
        )
        assert "sector" not in body
        assert "force_refresh" not in body

    def test_asks_for_all_that_is_open_without_any_days(self) -> None:
        body = Wish(ufs=(UF.SP,), sector="vestuario", still_open=True).body(today=date(2026, 11, 22))
        assert body == {"ufs": ["SP"], "sector": "vestuario", "scope": "open"}
        assert SearchRequest.model_validate(body).scope is Scope.OPEN
