"""Whom a key stands for: read once a minute, forgotten at once when it is revoked, remembered while SQL is away."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from contracts.access import KeyRevoked
from contracts.subjects import KEY_REVOKED, Outgoing
from gateway.domain.keys import (
    Caller,
    KeyRecord,
    LocalKey,
    Scope,
    digest_of,
    holds,
    id_of,
    id_of_session,
    session_of,
)
from servicekit.errors import DependencyAway, Transient
from servicekit.logs import log

TRUSTED_FOR: Final = 60.0
"""Seconds; a revocation that the bus could not carry takes effect by then."""
UNKNOWN_FOR: Final = 1.0
"""Seconds that an id without a key is not looked up again."""
HELD: Final = 10_000


class KeyStore(Protocol):
    """Where keys are kept; each call raises DependencyAway."""

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key of this id."""

    async def add(self, record: KeyRecord) -> None:
        """Keep a new key."""

    async def revoke(self, key_id: str, *, at: datetime) -> bool:
        """End a key."""

    async def all(self) -> list[KeyRecord]:
        """Every key."""


class Herald(Protocol):
    """Tells the other gateways."""

    async def publish(self, outgoing: Outgoing) -> object:
        """Store and tell."""


class Keyring:
    """Opens with the local key and with every key of the store that is not revoked."""

    def __init__(
        self, *, local: LocalKey, store: KeyStore, secret: bytes, herald: Herald, clock: Callable[[], datetime]
    ) -> None:
        self._local = local
        self._store = store
        self._secret = secret
        self._herald = herald
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, KeyRecord | None]] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    async def caller(self, key: str) -> Caller | None:
        """Whom this key stands for; None when it opens nothing."""
        if self._local.opens_with(key):
            return self._local.caller
        record = await self._record(id_of(key))
        return record.caller if record and holds(record, key, secret=self._secret) else None

    async def caller_of_session(self, session: str) -> Caller | None:
        """Whom the cookie of a sign-in stands for."""
        if self._local.admits(session):
            return self._local.caller
        record = await self._record(id_of_session(session))
        if record is None or not secrets.compare_digest(session_of(record, secret=self._secret), session):
            return None
        return record.caller

    async def session(self, key: str) -> str | None:
        """What the cookie of this key carries; None when it opens nothing."""
        if self._local.opens_with(key):
            return self._local.session
        record = await self._record(id_of(key))
        return session_of(record, secret=self._secret) if record and holds(record, key, secret=self._secret) else None

    async def create(self, *, tenant: str, name: str, scopes: frozenset[Scope]) -> tuple[str, KeyRecord]:
        """A new key; it is shown this once, and only its digest is kept."""
        key_id = secrets.token_hex(4)
        key = f"farol_{key_id}_{secrets.token_urlsafe(32)}"
        record = KeyRecord(
            id=key_id,
            tenant=tenant,
            name=name,
            scopes=scopes,
            digest=digest_of(key, secret=self._secret),
            created_at=self._clock(),
        )
        await self._store.add(record)
        log.info("key_created", key_id=key_id, tenant=tenant, scopes=sorted(scopes))
        return key, record

    async def revoke(self, key_id: str) -> bool:
        """End a key here and, by the bus, in every other gateway; False when there is none."""
        now = self._clock()
        if not await self._store.revoke(key_id, at=now):
            return False
        self._end(key_id)
        revoked = KeyRevoked(key_id=key_id, at=now)
        try:
            await self._herald.publish(KEY_REVOKED.message(revoked, dedup=key_id))
        except Transient as exc:
            log.warning("revocation_not_told", key_id=key_id, why=exc.code)
        log.info("key_revoked", key_id=key_id)
        return True

    async def all(self) -> list[KeyRecord]:
        """Every key as it is kept."""
        return await self._store.all()

    async def heard(self, revoked: KeyRevoked) -> None:
        """Another gateway ended this key."""
        self._end(revoked.key_id)

    def _end(self, key_id: str) -> None:
        self._held.pop(key_id, None)
        self._ended[key_id] = None
        while len(self._ended) > HELD:
            self._ended.popitem(last=False)

    async def _record(self, key_id: str | None) -> KeyRecord | None:
        if key_id is None or key_id in self._ended:
            return None
        now = asyncio.get_running_loop().time()
        held = self._held.get(key_id)
        if held is not None and now - held[0] < (UNKNOWN_FOR if held[1] is None else TRUSTED_FOR):
            return held[1]
        try:
            record = await self._store.find(key_id)
        except DependencyAway:
            if held is None or held[1] is None:
                raise
            return held[1]
        if record is not None and record.revoked_at is not None:
            record = None
        if key_id in self._ended:
            return None
        self._held[key_id] = (now, record)
        self._held.move_to_end(key_id)
        while len(self._held) > HELD:
            self._held.popitem(last=False)
        return record


def secret_in(directory: Path) -> bytes:
    """The server's secret of this machine, made at the first start; a cluster is given one by GATEWAY_KEYS_SECRET."""
    path = directory / "gateway.secret"
    directory.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    kept = path.read_bytes().strip()
    if not kept:
        kept = secrets.token_urlsafe(48).encode()
        path.write_bytes(kept)
    return kept
