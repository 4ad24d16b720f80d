"""F03, case by case."""

import logging
from datetime import timedelta

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from servicekit.chain import Severity, TimeoutChain

DEFAULT = TimeoutChain()


def check(**seconds: str) -> tuple[TimeoutChain, list[tuple[Severity, str]]]:
    chain, findings = TimeoutChain.checked(dict(seconds))
    return chain, [(each.severity, each.text) for each in findings]


class TestTimeoutChain:
    def test_with_the_defaults_says_nothing(self) -> None:
        chain, said = check()
        assert said == []
        assert chain == DEFAULT
        assert [
            chain.pipeline,
            chain.consolidation,
            chain.per_source,
            chain.per_uf,
            chain.per_modality,
            chain.http,
        ] == [timedelta(seconds=each) for each in (360, 300, 180, 90, 60, 30)]

    def test_100_over_90_is_critical_and_falls_back(self) -> None:
        chain, said = check(per_modality="100", per_uf="90")
        text = (
            "TIMEOUT MISCONFIGURATION: PerModality(100s) >= PerUF(90s). "
            "Modality timeout must be strictly less than UF timeout. "
            "Falling back to safe defaults: PerModality=60s, PerUF=90s."
        )
        assert said == [(Severity.CRITICAL, text)]
        assert (chain.per_modality, chain.per_uf) == (timedelta(seconds=60), timedelta(seconds=90))

    def test_equal_values_are_critical_too(self) -> None:
        chain, [(severity, _)] = check(per_modality="90", per_uf="90")
        assert severity is Severity.CRITICAL
        assert chain == DEFAULT

    def test_80_over_90_is_a_warning_and_is_kept(self) -> None:
        chain, said = check(per_modality="80", per_uf="90")
        warning = "TIMEOUT NEAR-INVERSION: PerModality(80s) > 80% of PerUF(90s). "
        text = warning + "Recommend PerModality <= 60s for safe margin."
        assert said[0] == (Severity.WARNING, text)
        assert {severity for severity, _ in said} == {Severity.WARNING}
        assert chain.per_modality == timedelta(seconds=80)

    def test_60_over_90_is_silent(self) -> None:
        assert check(per_modality="60", per_uf="90")[1] == []

    def test_degraded_60_over_120_is_silent(self) -> None:
        assert check(per_modality="60", per_uf_degraded="120")[1] == []

    def test_warns_when_a_uf_leaves_less_than_30_s_beside_a_modality(self) -> None:
        _, said = check(per_modality="60", per_uf="85")
        assert said == [(Severity.WARNING, "TIMEOUT TIGHT MARGIN: PerUF(85s) - PerModality(60s) < 30s.")]

    def test_warns_when_a_source_is_less_than_twice_a_uf(self) -> None:
        _, said = check(per_source="170")
        assert said == [(Severity.WARNING, "TIMEOUT TIGHT MARGIN: PerSource(170s) < 2 x PerUF(90s).")]

    def test_an_inversion_higher_up_falls_back_for_the_whole_chain(self) -> None:
        chain, [(severity, text)] = check(pipeline="200")
        assert severity is Severity.CRITICAL
        assert text.startswith("TIMEOUT MISCONFIGURATION: Consolidation(300s) >= Pipeline(200s).")
        assert chain == DEFAULT

    @pytest.mark.parametrize("text", ["soon", "-1", "0", "nan", "inf"])
    def test_what_is_no_number_of_seconds_is_critical_and_falls_back(self, text: str) -> None:
        chain, [(severity, _)] = check(per_modality=text)
        assert severity is Severity.CRITICAL
        assert chain == DEFAULT

    def test_an_empty_value_is_none(self) -> None:
        assert check(per_modality="") == (DEFAULT, [])

    def test_takes_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PNCP_TIMEOUT_PER_MODALITY", "50")
        monkeypatch.setenv("PNCP_TIMEOUT_PER_UF", "85")
        chain = TimeoutChain.load()
        assert (chain.per_modality, chain.per_uf) == (timedelta(seconds=50), timedelta(seconds=85))

    def test_logs_at_the_severity_of_its_findings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PNCP_TIMEOUT_PER_MODALITY", "100")
        with structlog.testing.capture_logs() as lines:
            TimeoutChain.load()
        assert [logging.getLevelName(line["log_level"].upper()) for line in lines] == [logging.CRITICAL]

    @given(st.dictionaries(st.sampled_from(sorted(TimeoutChain.__slots__)), st.text(max_size=6) | st.floats().map(str)))
    def test_is_strictly_decreasing_whatever_is_given(self, given_values: dict[str, str]) -> None:
        chain, _ = check(**given_values)
        assert (
            chain.gateway > chain.pipeline > chain.consolidation > chain.per_source > chain.per_uf > chain.per_modality
        )
        assert chain.per_source > chain.per_uf_degraded > chain.per_modality > chain.http > timedelta(0)
