"""What the memory reads from the environment."""

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from contracts.ledger import MOST_DAYS
from contracts.query import DEFAULT_MODALIDADES
from contracts.query import MAX_DAYS as MOST_WINDOW
from contracts.values import Modalidade
from servicekit.settings import ServiceSettings


class CacheSettings(ServiceSettings):
    """Where the memory keeps its tables, for how long, and whether it fetches of itself."""

    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    """`postgresql://...`; None or empty: a SQLite file `cache.db` in the data directory."""
    ingest: Literal["on", "off"] = Field(default="off", validation_alias="FAROL_INGEST")
    """Whether this process keeps the hot window fresh with what the searches leave of the rate."""
    ingest_days: int = Field(default=10, ge=1, le=MOST_DAYS, validation_alias="FAROL_INGEST_DAYS")
    """Publication days of the hot window, today included."""
    ingest_modalidades: Annotated[tuple[Modalidade, ...], NoDecode] = Field(
        default=DEFAULT_MODALIDADES, validation_alias="FAROL_INGEST_MODALIDADES"
    )
    """Their codes, separated by commas."""
    keep_bids_days: int = Field(default=400, ge=MOST_WINDOW, validation_alias="CACHE_KEEP_BIDS_DAYS")
    """A bid, its history and its slice are let go so long after its publication, unless it still takes proposals."""
    keep_answers_days: int = Field(default=90, ge=1, validation_alias="CACHE_KEEP_ANSWERS_DAYS")
    most_megabytes: int = Field(default=20_000, ge=100, validation_alias="CACHE_MAX_MB")
    """Above it the oldest days are let go early, but never the last month."""

    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL")
    """None or empty: L2 is this process's own."""
    most_refreshes: int = Field(default=3, ge=1, validation_alias="MAX_CONCURRENT_REVALIDATIONS")
    """Answers that are made anew at once, over all processes while Redis is there (B01)."""
    refresh_timeout: int = Field(default=180, ge=1, validation_alias="REVALIDATION_TIMEOUT")
    """Seconds of one of them."""
    mixpanel_token: SecretStr | None = Field(default=None, validation_alias="MIXPANEL_TOKEN")
    """None or empty: analytics events are debug lines."""
    mixpanel_url: str = Field(default="https://api.mixpanel.com/track", validation_alias="MIXPANEL_URL")

    @field_validator("ingest_modalidades", mode="before")
    @classmethod
    def _by_commas(cls, value: Any) -> Any:
        return tuple(int(code) for code in value.split(",")) if isinstance(value, str) else value
