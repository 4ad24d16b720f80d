"""Who may ask: what every gateway must hear at once."""

from contracts.base import Message
from contracts.when import UtcDatetime


class KeyRevoked(Message):
    """Fact on OPS: this key opens nothing from now on; the store of keys is the gateway's SQL."""

    key_id: str
    """The public part of the key."""
    at: UtcDatetime
