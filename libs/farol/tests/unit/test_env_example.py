import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from cache.settings import CacheSettings
from classifier.settings import ClassifierSettings
from coordinator.settings import CoordinatorSettings
from farol.settings import FarolSettings
from fetcher.settings import FetcherSettings
from gateway.settings import GatewaySettings
from reporter.settings import ReporterSettings
from servicekit.chain import TimeoutChain
from servicekit.settings import ChainSettings, TelemetrySettings

EXAMPLE = Path(__file__).parents[4] / ".env.example"
READERS: tuple[type[BaseSettings], ...] = (
    CacheSettings, ChainSettings, ClassifierSettings, CoordinatorSettings, FarolSettings, FetcherSettings,
    GatewaySettings, ReporterSettings, TelemetrySettings,
)  # fmt: skip


def read_by(settings: type[BaseSettings]) -> set[str]:
    prefix = settings.model_config.get("env_prefix", "").upper()
    return {
        str(field.validation_alias) if field.validation_alias else f"{prefix}{name.upper()}"
        for name, field in settings.model_fields.items()
    }


class TestEnvExample:
    def test_documents_every_variable_that_is_read_and_no_other(self) -> None:
        documented = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", EXAMPLE.read_text(), flags=re.MULTILINE))
        assert documented == {name for settings in READERS for name in read_by(settings)}

    @pytest.mark.parametrize("settings", [each for each in READERS if each is not ChainSettings])
    def test_names_the_defaults_that_are_used(
        self, monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings]
    ) -> None:
        for name in read_by(settings):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("FAROL_API_KEY", "farol_abcd_0123456789abcdef")
        by_default = settings().model_dump()
        for name, value in re.findall(r"^([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE.read_text(), flags=re.MULTILINE):
            if name in read_by(settings) and value:
                monkeypatch.setenv(name, value)
        assert settings().model_dump() == by_default

    def test_names_the_defaults_of_the_timeout_chain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in read_by(ChainSettings):
            monkeypatch.delenv(name, raising=False)
        by_default = TimeoutChain.load()
        for name, value in re.findall(r"^([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE.read_text(), flags=re.MULTILINE):
            if name in read_by(ChainSettings):
                monkeypatch.setenv(name, value)
        assert TimeoutChain.load() == by_default
