from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifier.domain.catalogue import Catalogue, ValueRange
from classifier.domain.viability import (
    BORDERS,
    MODALIDADE_SCORES,
    WEIGHTS,
    geography_factor,
    geography_score,
    level_of,
    modalidade_factor,
    timeline_factor,
    value_factor,
    viability_of,
)
from contracts.places import UF, UFS
from contracts.values import Modalidade
from contracts.verdict import ViabilityLevel

DAY = datetime(2026, 10, 20)  # noqa: DTZ001 - Hypothesis wants its bounds without a zone
_LEVELS = (ViabilityLevel.BAIXA, ViabilityLevel.MEDIA, ViabilityLevel.ALTA)
NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
RANGE = ValueRange(min=Decimal(50_000), max=Decimal(2_000_000))


class TestModalidade:
    @pytest.mark.parametrize(
        ("modalidade", "score"),
        [
            (Modalidade.PREGAO_ELETRONICO, 100),
            (Modalidade.CONCORRENCIA_ELETRONICA, 85),
            (Modalidade.PREGAO_PRESENCIAL, 80),
            (Modalidade.CREDENCIAMENTO, 75),
            (Modalidade.CONCORRENCIA_PRESENCIAL, 70),
            (Modalidade.PRE_QUALIFICACAO, 65),
            (Modalidade.CHAMADA_PUBLICA, 60),
            (Modalidade.CONCURSO, 50),
            (Modalidade.OUTRA, 50),
            (Modalidade.DIALOGO_COMPETITIVO, 45),
            (Modalidade.DISPENSA, 40),
            (Modalidade.LEILAO_ELETRONICO, 35),
            (Modalidade.MANIFESTACAO_DE_INTERESSE, 30),
            (Modalidade.LEILAO_PRESENCIAL, 30),
            (Modalidade.INAPLICABILIDADE, 20),
            (Modalidade.INEXIGIBILIDADE, 10),
        ],
    )
    def test_scores_as_the_table_says(self, modalidade: Modalidade, score: int) -> None:
        assert modalidade_factor(modalidade).score == score

    def test_has_a_score_for_every_modalidade(self) -> None:
        assert set(MODALIDADE_SCORES) == set(Modalidade)


class TestTimeline:
    @pytest.mark.parametrize(
        ("left", "score"),
        [
            (timedelta(days=14, seconds=1), 100), (timedelta(days=14), 80), (timedelta(days=7, seconds=1), 80),
            (timedelta(days=7), 60), (timedelta(days=3, seconds=1), 60), (timedelta(days=3), 45),
            (timedelta(days=1, seconds=1), 45), (timedelta(days=1), 30), (timedelta(0), 30),
            (timedelta(seconds=-1), 10),
        ],
    )  # fmt: skip
    def test_scores_as_the_table_says(self, left: timedelta, score: int) -> None:
        assert timeline_factor(NOW + left, now=NOW).score == score

    def test_is_neutral_and_says_so_when_unknown(self) -> None:
        factor = timeline_factor(None, now=NOW)
        assert (factor.score, factor.reason) == (50, "Data de encerramento não informada: fator neutro.")

    def test_counts_a_weekend_and_a_holiday_as_no_time_at_all(self) -> None:
        eve = datetime(2026, 11, 19, 18, 0, tzinfo=UTC)
        factor = timeline_factor(datetime(2026, 11, 22, 21, 0, tzinfo=UTC), now=eve)
        assert (factor.score, factor.reason) == (30, "Faltam 3 dias para o fim das propostas, nenhum deles útil.")

    def test_says_how_many_days_are_working_days(self) -> None:
        assert timeline_factor(NOW + timedelta(days=8), now=NOW).reason == (
            "Faltam 8 dias, 6 úteis, para o fim das propostas."
        )

    @pytest.mark.parametrize(
        ("modalidade", "days", "short"),
        [
            (Modalidade.PREGAO_ELETRONICO, 9, True),  # 7 working days
            (Modalidade.PREGAO_ELETRONICO, 10, False),
            (Modalidade.CONCORRENCIA_ELETRONICA, 13, True),
            (Modalidade.CONCORRENCIA_ELETRONICA, 14, False),
            (Modalidade.DISPENSA, 2, True),
            (Modalidade.DISPENSA, 3, False),
            (Modalidade.CREDENCIAMENTO, 1, False),
        ],
    )
    def test_tells_a_notice_shorter_than_the_law_allows(self, modalidade: Modalidade, days: int, short: bool) -> None:
        factor = timeline_factor(NOW + timedelta(days=days), now=NOW, published=NOW, modalidade=modalidade)
        assert ("mínimo legal" in factor.reason) is short

    @given(st.timedeltas(timedelta(0), timedelta(days=730)), st.data())
    def test_never_falls_with_more_time_on_any_day_of_the_year(self, since: timedelta, data: st.DataObject) -> None:
        now = NOW + since
        left = data.draw(st.timedeltas(timedelta(0), timedelta(days=20)))
        more = data.draw(st.timedeltas(timedelta(0), timedelta(days=20)))
        assert timeline_factor(now + left, now=now).score <= timeline_factor(now + left + more, now=now).score

    @given(st.timedeltas(timedelta(days=-40), timedelta(days=40)), st.timedeltas(timedelta(0), timedelta(days=40)))
    def test_never_falls_with_more_time(self, left: timedelta, more: timedelta) -> None:
        assert timeline_factor(NOW + left, now=NOW).score <= timeline_factor(NOW + left + more, now=NOW).score


class TestValue:
    @pytest.mark.parametrize(
        ("value", "score"),
        [
            (50_000, 100), (2_000_000, 100), (49_999, 80), (25_000, 80), (24_999, 50), (10_000, 50), (9_999, 20),
            (4_000_000, 70), (4_000_001, 40), (10_000_000, 40), (10_000_001, 20),
        ],
    )  # fmt: skip
    def test_scores_as_the_table_says(self, value: int, score: int) -> None:
        assert value_factor(Decimal(value), value_range=RANGE).score == score

    def test_is_neutral_and_says_so_without_a_value_or_a_range(self) -> None:
        assert value_factor(None, value_range=RANGE).score == 50
        assert "sigiloso" in value_factor(None, value_range=RANGE).reason
        assert value_factor(Decimal(1), value_range=None).score == 50

    @given(st.decimals(1, 50_000, places=2), st.decimals(0, 50_000, places=2))
    def test_never_falls_towards_the_range_from_below(self, value: Decimal, more: Decimal) -> None:
        nearer = min(value + more, RANGE.min)
        assert value_factor(value, value_range=RANGE).score <= value_factor(nearer, value_range=RANGE).score

    @given(st.decimals(2_000_000, 90_000_000, places=2), st.decimals(0, 90_000_000, places=2))
    def test_never_rises_away_from_the_range_above(self, value: Decimal, more: Decimal) -> None:
        assert value_factor(value, value_range=RANGE).score >= value_factor(value + more, value_range=RANGE).score

    def test_names_the_range_in_reais(self) -> None:
        reason = value_factor(Decimal(60_000), value_range=RANGE).reason
        assert reason == "R$ 60.000,00 está na faixa usual do setor (R$ 50.000,00 a R$ 2.000.000,00)."


class TestGeography:
    @pytest.mark.parametrize(
        ("uf", "home", "score"),
        [(UF.SP, UF.SP, 100), (UF.RJ, UF.SP, 100), (UF.PR, UF.SP, 75), (UF.BA, UF.SP, 50), (UF.AC, UF.RS, 50)],
    )
    def test_scores_as_the_table_says(self, uf: UF, home: UF, score: int) -> None:
        assert geography_factor(uf, home_uf=home).score == score

    def test_is_symmetric_over_27_by_27(self) -> None:
        assert all(geography_score(a, b) == geography_score(b, a) for a in UFS for b in UFS)
        assert set(BORDERS) == set(UFS)
        assert all(a in BORDERS[b] for a in UFS for b in BORDERS[a])

    @pytest.mark.parametrize(("uf", "home"), [(UF.SP, None), (UF.XX, UF.SP)])
    def test_is_neutral_and_says_so_when_unknown(self, uf: UF, home: UF | None) -> None:
        factor = geography_factor(uf, home_uf=home)
        assert factor.score == 50
        assert "não informada" in factor.reason


class TestViability:
    def test_weighs_the_four_factors(self, make_bid: Any) -> None:
        bid = make_bid("uniformes", modalidade=Modalidade.DISPENSA, valor_estimado=None, uf=UF.BA).bid
        viability = viability_of(bid, value_range=RANGE, home_uf=UF.SP, now=NOW)
        assert [(f.name, f.weight, f.score) for f in viability.factors] == [
            ("modalidade", 30, 40), ("timeline", 25, 100), ("value", 25, 50), ("geography", 20, 50),
        ]  # fmt: skip
        assert viability.score == 60
        assert viability.level is ViabilityLevel.MEDIA
        assert sum(WEIGHTS.values()) == 100

    @given(data=st.data())
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_never_falls_when_one_factor_rises(self, make_bid: Any, data: st.DataObject) -> None:
        """Whatever the other three are, and over the whole of each table."""
        first, changed = (
            {
                "modalidade": data.draw(st.sampled_from(Modalidade)),
                "data_encerramento": data.draw(
                    st.none() | st.datetimes(DAY, DAY + timedelta(days=90), timezones=st.just(UTC))
                ),
                "valor_estimado": data.draw(st.none() | st.decimals(1, 20_000_000, places=2)),
                "uf": data.draw(st.sampled_from((*UFS, UF.XX))),
            }
            for _ in range(2)
        )
        home = data.draw(st.none() | st.sampled_from(UFS))
        field, number = data.draw(
            st.sampled_from([("modalidade", 0), ("data_encerramento", 1), ("valor_estimado", 2), ("uf", 3)])
        )
        judged = [
            viability_of(make_bid("x", **fields).bid, value_range=RANGE, home_uf=home, now=NOW)
            for fields in (first, {**first, field: changed[field]})
        ]
        others = [[factor.score for n, factor in enumerate(each.factors) if n != number] for each in judged]
        assert others[0] == others[1]
        low, high = sorted(judged, key=lambda each: each.factors[number].score)
        assert low.score <= high.score
        assert _LEVELS.index(low.level) <= _LEVELS.index(high.level)

    @pytest.mark.parametrize(
        ("score", "level"),
        [(71, ViabilityLevel.ALTA), (70, ViabilityLevel.MEDIA), (40, ViabilityLevel.MEDIA), (39, ViabilityLevel.BAIXA)],
    )
    def test_names_its_level(self, score: int, level: ViabilityLevel) -> None:
        assert level_of(score) is level

    def test_of_vestuario_is_between_fifty_thousand_and_two_millions(self, catalogue: Catalogue) -> None:
        assert catalogue.sectors["vestuario"].value_range == RANGE
