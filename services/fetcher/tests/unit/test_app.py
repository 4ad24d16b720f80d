from datetime import timedelta

import pytest
from pydantic import ValidationError

from contracts.values import Source
from fetcher.app import build, limits_of
from fetcher.settings import FetcherSettings
from servicekit.chain import TimeoutChain
from servicekit.every import Every


class TestLimitsOf:
    def test_nests_uf_over_modalidade_over_http(self) -> None:
        limits = limits_of(Source.PNCP, TimeoutChain())
        assert (limits.claim, limits.modalidade, limits.attempt) == (
            timedelta(seconds=90),
            timedelta(seconds=60),
            timedelta(seconds=30),
        )

    def test_gives_a_national_listing_the_time_of_its_source(self) -> None:
        limits = limits_of(Source.PCP, TimeoutChain())
        assert (limits.claim, limits.claim_code) == (timedelta(seconds=180), "timeout.source")


class TestSettings:
    def test_ask_the_real_sources_unless_told_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("PNCP_CONSULTA_URL", "PCP_API_URL", "PNCP_RATE_PER_SECOND"):
            monkeypatch.delenv(name, raising=False)
        settings = FetcherSettings()
        assert settings.pncp_consulta_url == "https://pncp.gov.br/api/consulta"
        assert settings.pcp_api_url == "https://compras.api.portaldecompraspublicas.com.br"
        assert settings.pncp_rate_per_second == 10

    def test_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PNCP_CONSULTA_URL", "http://127.0.0.1:9100/api/consulta")
        monkeypatch.setenv("PNCP_RATE_PER_SECOND", "2.5")
        monkeypatch.setenv("FETCHER_MAX_PROCESSES", "4")
        settings = FetcherSettings()
        assert settings.pncp_consulta_url == "http://127.0.0.1:9100/api/consulta"
        assert (settings.pncp_rate_per_second, settings.fetcher_max_processes) == (2.5, 4)

    @pytest.mark.parametrize("rate", ["0", "-1", "fast"])
    def test_refuse_a_rate_that_cannot_be(self, monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
        monkeypatch.setenv("PCP_RATE_PER_SECOND", rate)
        with pytest.raises(ValidationError):
            FetcherSettings()


class TestBuild:
    async def test_opens_nothing_before_it_is_started(self) -> None:
        service = build(FetcherSettings())
        assert service.name == "fetcher"
        assert not service.bus.connected

    @pytest.mark.parametrize(
        ("ingest", "canary", "sings"),
        [("off", "", False), ("on", "", True), ("off", "on", True), ("on", "off", False)],
    )
    async def test_has_a_canary_where_it_asks_of_itself_or_is_told_to(
        self, ingest: str, canary: str, sings: bool
    ) -> None:
        service = build(FetcherSettings.model_validate({"FAROL_INGEST": ingest, "FAROL_CANARY": canary}))
        assert ("canary" in {part.name for part in service.parts if isinstance(part, Every)}) is sings
