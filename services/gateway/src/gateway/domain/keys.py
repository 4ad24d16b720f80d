"""Keys and whom they stand for: compared in constant time, kept only as digests."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

KEY_PATTERN: Final = r"farol_(?P<id>[A-Za-z0-9]{4,32})_(?P<secret>[A-Za-z0-9_-]{16,128})"
TENANT_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,39}$"
_KEY: Final = re.compile(KEY_PATTERN)
_SESSION: Final = re.compile(r"(?P<id>[A-Za-z0-9]{4,32})\.(?P<proof>[0-9a-f]{64})")


class Scope(StrEnum):
    """What a key opens."""

    SEARCH = "search"
    ADMIN = "admin"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: what a search belongs to, and what may be asked."""

    key_id: str
    tenant: str
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is kept: nothing here opens anything."""

    id: str
    tenant: str
    name: str
    scopes: frozenset[Scope]
    digest: str
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def caller(self) -> Caller:
        """Whom it stands for."""
        return Caller(key_id=self.id, tenant=self.tenant, scopes=self.scopes)


class LocalKey:
    """The key of this machine (FAROL_API_KEY): it opens everything of the tenant `local`."""

    TENANT = "local"

    def __init__(self, key: str) -> None:
        self._digest = _digest(key)
        self.session = hmac.new(key.encode(), b"farol.session.v1", hashlib.sha256).hexdigest()
        """What the cookie carries: proof of the key, from which the key cannot be had."""
        self.caller = Caller(key_id=id_of(key) or "local", tenant=self.TENANT, scopes=frozenset(Scope))

    def opens_with(self, key: str) -> bool:
        """Whether this is the key."""
        return hmac.compare_digest(self._digest, _digest(key))

    def admits(self, session: str) -> bool:
        """Whether this cookie was given to someone who held the key."""
        return hmac.compare_digest(self.session.encode(), session.encode())


def id_of(key: str) -> str | None:
    """The part of a key that may be shown; None for what is no key."""
    match = _KEY.fullmatch(key)
    return match["id"] if match else None


def digest_of(key: str, *, secret: bytes) -> str:
    """What is kept of a key: without the server's secret a stolen table opens nothing, and proves nothing."""
    return hmac.new(secret, key.encode(), hashlib.sha256).hexdigest()


def holds(record: KeyRecord, key: str, *, secret: bytes) -> bool:
    """Whether this is the key of the record."""
    return hmac.compare_digest(record.digest, digest_of(key, secret=secret))


def session_of(record: KeyRecord, *, secret: bytes) -> str:
    """What the cookie of this key carries; it dies with the key."""
    proof = hmac.new(secret, b"farol.session.v1:" + record.digest.encode(), hashlib.sha256).hexdigest()
    return f"{record.id}.{proof}"


def id_of_session(session: str) -> str | None:
    """Whose session this claims to be; None for what is none."""
    match = _SESSION.fullmatch(session)
    return match["id"] if match else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
