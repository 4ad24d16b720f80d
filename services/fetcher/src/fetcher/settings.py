"""What the fetcher reads from its environment."""

from typing import Literal

from pydantic import Field

from servicekit.settings import ServiceSettings


class FetcherSettings(ServiceSettings):
    """The public bases of the sources, and the pace that they are asked at."""

    pncp_consulta_url: str = Field("https://pncp.gov.br/api/consulta", validation_alias="PNCP_CONSULTA_URL")
    pncp_api_url: str = Field("https://pncp.gov.br/api/pncp", validation_alias="PNCP_API_URL")
    """Items and documents; the lists come from the consulta base."""
    pcp_api_url: str = Field("https://compras.api.portaldecompraspublicas.com.br", validation_alias="PCP_API_URL")
    pncp_rate_per_second: float = Field(10, gt=0, le=1000, validation_alias="PNCP_RATE_PER_SECOND")
    pcp_rate_per_second: float = Field(10, gt=0, le=1000, validation_alias="PCP_RATE_PER_SECOND")
    fetcher_max_processes: int = Field(1, ge=1, le=1000, validation_alias="FETCHER_MAX_PROCESSES")
    """While Redis is away or not used, a source's rate is shared out among so many; each takes its part."""
    fetcher_items_timeout: float = Field(5, gt=0, le=60, validation_alias="FETCHER_ITEMS_TIMEOUT")
    """Seconds for the items, or the documents, of one bid, from its first request (D01)."""
    ingest: Literal["on", "off"] = Field("off", validation_alias="FAROL_INGEST")
    """Whether Farol asks the sources of itself, without a search."""
    canary: Literal["", "on", "off"] = Field("", validation_alias="FAROL_CANARY")
    """Whether each source is asked a known question every 15 min; empty: as FAROL_INGEST."""
    redis_url: str = Field("", validation_alias="REDIS_URL")
    """Empty: every process keeps rates and circuits by itself."""
    breaker_slow_call_rule: bool = Field(default=True, validation_alias="BREAKER_SLOW_CALL_RULE")
    """Off: timeouts never open a circuit; a black hole may then keep it closed for ever."""
    breaker_count_4xx: bool = Field(default=False, validation_alias="BREAKER_COUNT_4XX")
    """On: 400, 404 and 422 count as failures, too, which the sources also answer to healthy questions."""
    breaker_probes: int = Field(3, ge=1, le=100, validation_alias="BREAKER_PROBES")
    breaker_first_pause: float = Field(60, gt=0, le=3600, validation_alias="BREAKER_FIRST_PAUSE")
    breaker_longest_pause: float = Field(600, gt=0, le=86_400, validation_alias="BREAKER_LONGEST_PAUSE")
    """Seconds that a circuit stays open: the first, twice as long after each failed probe, up to the longest."""
