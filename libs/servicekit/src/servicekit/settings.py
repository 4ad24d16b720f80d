"""What every service reads from its environment. A service's own settings inherit these."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """The names that all services share; a subclass gives its own a prefix (`FETCHER_`)."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    nats_url: str = Field("nats://127.0.0.1:4222", validation_alias="NATS_URL")
    nats_replicas: int = Field(1, ge=1, le=5, validation_alias="NATS_REPLICAS")
    """Copies of each stream: 3 on a cluster of three."""
    data_dir: Path = Field(Path(".farol"), validation_alias="FAROL_DATA_DIR")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="LOG_LEVEL")


class ChainSettings(BaseSettings):
    """The raw seconds of the timeout chain, as text: what cannot be read is judged by `servicekit.chain`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    pipeline: str | None = Field(None, validation_alias="PIPELINE_TIMEOUT")
    consolidation: str | None = Field(None, validation_alias="CONSOLIDATION_TIMEOUT")
    per_source: str | None = Field(None, validation_alias="CONSOLIDATION_TIMEOUT_PER_SOURCE")
    per_uf: str | None = Field(None, validation_alias="PNCP_TIMEOUT_PER_UF")
    per_uf_degraded: str | None = Field(None, validation_alias="PNCP_TIMEOUT_PER_UF_DEGRADED")
    per_modality: str | None = Field(None, validation_alias="PNCP_TIMEOUT_PER_MODALITY")
    http: str | None = Field(None, validation_alias="PNCP_TIMEOUT_HTTP")


class TelemetrySettings(BaseSettings):
    """What a process shows of itself, and to whom."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    otlp_endpoint: str = Field(default="", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """`http://collector:4318`; empty: no traces."""
    sampling_rate: float = Field(default=0.1, ge=0, le=1, validation_alias="OTEL_SAMPLING_RATE")
    otel_service_name: str = Field(default="farol", validation_alias="OTEL_SERVICE_NAME")
    """What the name of every service begins with in traces: `farol-gateway`."""
    metrics_enabled: bool = Field(default=True, validation_alias="METRICS_ENABLED")
    metrics_token: SecretStr = Field(default=SecretStr(""), validation_alias="METRICS_TOKEN")
    """What whoever asks for /metrics has to show; empty: nothing."""
    metrics_host: str = Field(default="127.0.0.1", validation_alias="METRICS_HOST")
    metrics_port: int | None = Field(default=None, ge=0, le=65535, validation_alias="METRICS_PORT")
    """Where a process answers /metrics, /health/live and /health/ready; None: nowhere (the gateway's own port does)."""
