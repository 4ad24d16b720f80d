"""What the reporter is told by its environment."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class ReporterSettings(ServiceSettings):
    """Names begin with `REPORTER_`, but for those that all services share."""

    model_config = SettingsConfigDict(env_prefix="REPORTER_", frozen=True, extra="ignore")

    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    """None: every summary is the computed one."""
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    openai_model: str = Field(default="gpt-4.1-nano", validation_alias="OPENAI_MODEL")
    llm_timeout_s: float = Field(default=8, gt=0)
    """A call; three of them and the pauses between fit F01's 30 s a summary."""
    workers: int = Field(default=2, ge=1, le=10)
    """Worker processes for spreadsheets; each is started when first needed and takes some 90 MB."""
    spreadsheet_limit_s: float = Field(default=60, gt=0)
    """F01: 60 s a spreadsheet."""
    retry_delay_s: float = Field(default=2, gt=0)
    """F01: tries lie 2 s apart."""
