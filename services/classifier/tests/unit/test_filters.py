from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from classifier.domain.filters import outside, reais, unknown_marks
from contracts.classification import RejectReason
from contracts.values import Esfera, Situacao
from contracts.verdict import Lens

LOW = Lens(sector="vestuario", value_min=Decimal(200000))
HIGH = Lens(sector="vestuario", value_max=Decimal("149999.99"))
INSIDE = Lens(sector="vestuario", value_min=Decimal(150000), value_max=Decimal(150000))
SANTOS = Lens(sector="vestuario", municipio_ibge="3548500")
FEDERAL = Lens(sector="vestuario", esfera=Esfera.FEDERAL)

ASKED_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
OPEN = Lens(sector="vestuario", open_at=ASKED_AT)


class TestOutside:
    @pytest.mark.parametrize(
        ("lens", "reason", "detail"),
        [
            (LOW, RejectReason.VALUE, "R$ 150.000,00 abaixo de R$ 200.000,00"),
            (HIGH, RejectReason.VALUE, "R$ 150.000,00 acima de R$ 149.999,99"),
            (SANTOS, RejectReason.MUNICIPIO, "Campinas"),
            (FEDERAL, RejectReason.ESFERA, "M"),
        ],
    )
    def test_leaves_out_what_is_known_to_lie_outside(
        self, lens: Lens, reason: RejectReason, detail: str, make_bid: Any
    ) -> None:
        assert outside(make_bid("uniformes").bid, lens) == (reason, detail)

    @pytest.mark.parametrize(
        ("bid", "detail"),
        [
            ({"data_encerramento": ASKED_AT}, "propostas até 20/11/2026"),
            ({"situacao": Situacao.REVOGADA}, "revogada"),
            ({"situacao": Situacao.ENCERRADA, "data_encerramento": None}, "encerrada"),
        ],
    )
    def test_leaves_out_what_takes_no_proposals_any_more_when_asked_to(
        self, bid: dict[str, Any], detail: str, make_bid: Any
    ) -> None:
        over = make_bid("uniformes", **bid).bid
        assert outside(over, OPEN) == (RejectReason.CLOSED, detail)
        assert outside(over, Lens(sector="vestuario")) is None

    def test_lets_pass_what_is_open_or_may_be_again(self, make_bid: Any) -> None:
        assert outside(make_bid("uniformes").bid, OPEN) is None
        assert outside(make_bid("uniformes", situacao=Situacao.SUSPENSA).bid, OPEN) is None

    def test_takes_both_ends_of_a_range_in(self, make_bid: Any) -> None:
        assert outside(make_bid("uniformes").bid, INSIDE) is None

    @pytest.mark.parametrize(
        ("lens", "unknown"),
        [
            (LOW, {"valor_estimado": None}),
            (HIGH, {"valor_estimado": None}),
            (SANTOS, {"municipio_ibge": None}),
            (OPEN, {"data_encerramento": None}),
            (FEDERAL, {"esfera": None}),
            (FEDERAL, {"esfera": Esfera.NAO_INFORMADA}),
        ],
    )
    def test_lets_the_unknown_pass_and_marks_it(self, lens: Lens, unknown: dict[str, Any], make_bid: Any) -> None:
        bid = make_bid("uniformes", **unknown).bid
        assert outside(bid, lens) is None
        assert len(unknown_marks(bid, lens)) == 1

    def test_marks_nothing_that_is_known_or_not_asked(self, make_bid: Any) -> None:
        assert unknown_marks(make_bid("uniformes").bid, INSIDE) == ()
        assert unknown_marks(make_bid("uniformes", valor_estimado=None).bid, Lens(sector="vestuario")) == ()


class TestReais:
    def test_writes_points_and_comma_as_brazil_does(self) -> None:
        assert reais(Decimal("1234567.8")) == "R$ 1.234.567,80"
