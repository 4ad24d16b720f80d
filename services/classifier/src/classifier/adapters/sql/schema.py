"""Where the classifier's tables live."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from servicekit.sql.database import Schema

SCHEMA: Final = Schema(
    "classifier",
    Path(__file__).parent / "migrations" / "versions",
    read_within=timedelta(seconds=2),
    write_within=timedelta(seconds=4),
)
"""Someone waits for feedback, and a search for an opinion: neither waits long for a slow database."""
