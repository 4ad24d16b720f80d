"""What the gateway is told from outside; the one place that reads the environment."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from servicekit.settings import ServiceSettings


def _a_key(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"farol_[A-Za-z0-9]{4,32}_[A-Za-z0-9_-]{16,128}", key.get_secret_value()):
        raise ValueError("FAROL_API_KEY must look like farol_<id>_<secret>, the secret of 16 characters or more")
    return key


class GatewaySettings(ServiceSettings):
    """Without a key the gateway does not start: `farol up` makes one and hands it over."""

    http_host: str = Field(default="127.0.0.1", validation_alias="FAROL_HTTP_HOST")
    http_port: int = Field(default=8000, ge=0, le=65535, validation_alias="FAROL_HTTP_PORT")
    """0 takes a free one."""
    api_key: Annotated[SecretStr, AfterValidator(_a_key)] = Field(validation_alias="FAROL_API_KEY")
    watched_searches: int = Field(default=256, ge=1, validation_alias="GATEWAY_WATCHED_SEARCHES")
    """Live folds kept for searches that nobody streams; streamed ones are always kept."""
    max_streams: int = Field(default=4000, ge=1, validation_alias="GATEWAY_MAX_STREAMS")
    stream_ping: timedelta = Field(default=timedelta(seconds=15), validation_alias="GATEWAY_STREAM_PING")
    stream_life: timedelta = Field(default=timedelta(minutes=10), validation_alias="GATEWAY_STREAM_LIFE")
    prefer_wait_max: timedelta = Field(default=timedelta(seconds=60), validation_alias="GATEWAY_PREFER_WAIT_MAX")
    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL")
    """Where stored answers are looked for first; None or empty: this process alone, then the memory's word."""
    most_refreshes: int = Field(default=3, ge=1, validation_alias="MAX_CONCURRENT_REVALIDATIONS")
    refresh_timeout: int = Field(default=180, ge=1, validation_alias="REVALIDATION_TIMEOUT")
    """Seconds."""
    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    """`postgresql://...`; None or empty: a SQLite file `gateway.db` in the data directory."""
    keys_secret: SecretStr | None = Field(default=None, min_length=32, validation_alias="GATEWAY_KEYS_SECRET")
    """What keys are hashed with; None: made at the first start. Gateways of one database share it."""
    link_life: timedelta = Field(default=timedelta(hours=1), validation_alias="GATEWAY_LINK_LIFE")
    """How long a signed link to a file opens it."""
    running_searches: int = Field(default=5, ge=1, validation_alias="GATEWAY_RUNNING_SEARCHES")
    """Of one tenant at once."""
    longest_wait: timedelta = Field(default=timedelta(seconds=1), validation_alias="GATEWAY_LONGEST_WAIT")
    """A request that nobody has taken for longer keeps new searches out."""
    requests_per_minute: int = Field(default=6000, ge=1, validation_alias="GATEWAY_REQUESTS_PER_MINUTE")
    """Of one tenant, in this process."""
    streams_per_tenant: int = Field(default=2000, ge=1, validation_alias="GATEWAY_STREAMS_PER_TENANT")
    headers_within: timedelta = Field(default=timedelta(seconds=10), validation_alias="GATEWAY_HEADERS_WITHIN")
    """A connection that has not sent a request's headers by then is closed."""
    daily_searches: int = Field(default=0, ge=0, validation_alias="GATEWAY_DAILY_SEARCHES")
    """Of one tenant and day, in Brasília; above it new searches get 429 until midnight. 0: no cap."""
    daily_llm_brl: Decimal = Field(default=Decimal(0), ge=0, validation_alias="GATEWAY_DAILY_LLM_BRL")
    """Of one tenant and day, in reais; above it rules alone judge its searches. 0: no cap."""
    brl_per_usd: Decimal = Field(default=Decimal("5.50"), gt=0, validation_alias="GATEWAY_BRL_PER_USD")
    slack_webhook_url: SecretStr = Field(default=SecretStr(""), validation_alias="SLACK_WEBHOOK_URL")
    """Where the watcher tells people what is wrong; empty: in the log alone."""
    cors_origins: tuple[str, ...] = Field(default=(), validation_alias="GATEWAY_CORS_ORIGINS")
    """A JSON list of the origins whose pages may call the API with a key; empty: none."""
