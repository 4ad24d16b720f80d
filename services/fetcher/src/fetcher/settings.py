"""What the fetcher reads from its environment."""

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
    """Among so many processes a source's rate is shared out; each takes its part."""
