"""How one is let in to NATS: an NKEY whose seed stands in the URL as the user, and an inbox that is one's own."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

SEED: Final = "SU"
"""Of the seed of a user's NKEY: `nats://SU...@host:4222`. Names and passwords are let through as they are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The options with which a client of NATS connects."""

    servers: tuple[str, ...]
    seed: str | None
    inbox: str
    """Replies come below it, where nobody else may listen."""

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `nats.connect` and of `NatsBroker`, beside the servers."""
        return {"inbox_prefix": self.inbox} | ({"nkeys_seed_str": self.seed} if self.seed else {})


def entry(url: str, *, user: str) -> Entry:
    """The servers without the secret, the seed, and the inbox of this user."""
    parts = [urlsplit(each.strip()) for each in url.split(",")]
    seeds = [part.username for part in parts if part.username and part.username.startswith(SEED) and not part.password]
    servers = tuple(
        urlunsplit(part._replace(netloc=part.netloc.rpartition("@")[2])) if part.username in seeds else part.geturl()
        for part in parts
    )
    return Entry(servers=servers, seed=seeds[0] if seeds else None, inbox=f"_INBOX.{user}")
