"""What the command line is told by its environment, and what it tells the services by theirs."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Sources = Literal["live", "recorded"]


class FarolSettings(BaseSettings):
    """Every option of the command line wins over these."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    sources: Sources = Field(default="live", validation_alias="FAROL_SOURCES")
    data_dir: Path = Field(default=Path(".farol"), validation_alias="FAROL_DATA_DIR")
    http_port: int = Field(default=8000, ge=0, le=65535, validation_alias="FAROL_HTTP_PORT")
    """0 takes a free one."""
    api_key: SecretStr | None = Field(default=None, validation_alias="FAROL_API_KEY")
    """None: `farol up` makes one for this start."""
    nats_url: str | None = Field(default=None, validation_alias="NATS_URL")
    """None: `farol up` starts a NATS server of its own."""
    redis_url: str = Field(default="", validation_alias="REDIS_URL")
    database_url: str = Field(default="", validation_alias="DATABASE_URL")
    """Both only for `farol doctor`: the services read their own."""
    pncp_consulta_url: str = Field(default="https://pncp.gov.br/api/consulta", validation_alias="PNCP_CONSULTA_URL")
    pcp_api_url: str = Field(
        default="https://compras.api.portaldecompraspublicas.com.br", validation_alias="PCP_API_URL"
    )


def new_api_key() -> str:
    """`farol_<id>_<secret>`, the secret of 256 random bits."""
    return f"farol_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


def tell_services(values: Mapping[str, str]) -> None:
    """Put these into this process's environment, from which the settings of services in one process are built."""
    os.environ.update(values)  # noqa: TID251 - this is settings.py


def environment_of_children(values: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these on top, for services in processes of their own."""
    return {**os.environ, **values}  # noqa: TID251 - this is settings.py
