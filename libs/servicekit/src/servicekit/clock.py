"""Time comes in as a value, so that tests decide it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present moment, aware and in UTC."""


def utc_now() -> datetime:
    """The present moment by the machine's clock."""
    return datetime.now(UTC)
