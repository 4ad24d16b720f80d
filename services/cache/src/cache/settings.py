"""What the memory reads from the environment."""

from pydantic import Field

from servicekit.settings import ServiceSettings


class CacheSettings(ServiceSettings):
    """Where the memory keeps its tables."""

    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    """`postgresql://...`; None or empty: a SQLite file `cache.db` in the data directory."""
