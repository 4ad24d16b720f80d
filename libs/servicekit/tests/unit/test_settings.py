"""Settings are read once, from the names that all services share."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class FetcherSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="FETCHER_", frozen=True)

    max_processes: int = 1


class TestServiceSettings:
    def test_have_defaults_for_one_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("NATS_URL", "FAROL_DATA_DIR", "LOG_LEVEL"):
            monkeypatch.delenv(name, raising=False)
        settings = ServiceSettings()
        assert (settings.nats_url, settings.data_dir) == ("nats://127.0.0.1:4222", Path(".farol"))

    def test_give_a_service_its_prefix_and_keep_the_shared_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NATS_URL", "nats://n:1")
        monkeypatch.setenv("FETCHER_MAX_PROCESSES", "3")
        settings = FetcherSettings()
        assert (settings.nats_url, settings.max_processes) == ("nats://n:1", 3)

    def test_may_be_given_by_name(self) -> None:
        assert FetcherSettings(nats_url="nats://n:2", max_processes=2).nats_url == "nats://n:2"

    def test_are_frozen(self) -> None:
        with pytest.raises(ValidationError):
            ServiceSettings().nats_url = "x"  # type: ignore[misc]
