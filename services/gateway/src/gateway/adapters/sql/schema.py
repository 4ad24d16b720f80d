"""Where the gateway's tables live."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from servicekit.sql.database import Schema

SCHEMA: Final = Schema(
    "gateway",
    Path(__file__).parent / "migrations" / "versions",
    read_within=timedelta(seconds=5),
    write_within=timedelta(seconds=10),
)
"""Someone waits for each of them."""
