"""Links that open one file for a while, for whoever has the link and no key."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from contracts.values import SearchId


class Signer:
    """Signs and checks; gateways of one secret trust each other's links."""

    def __init__(self, secret: bytes, *, life: timedelta) -> None:
        self._secret = secret
        self._life = life

    def link(self, search_id: SearchId, revision: int, *, now: datetime) -> str:
        """The address of one revision's spreadsheet, good until `life` from now."""
        expires = int((now + self._life).timestamp())
        signature = self._signature(search_id, revision, expires)
        return f"/v1/files/{search_id}/{revision}.xlsx?expires={expires}&signature={signature}"

    def opens(self, search_id: str, revision: int, *, expires: int, signature: str, now: datetime) -> bool:
        """Whether we signed this, for this file, and it has not expired."""
        expected = self._signature(search_id, revision, expires)
        return hmac.compare_digest(expected.encode(), signature.encode()) and now.timestamp() < expires

    def expires_at(self, *, now: datetime) -> datetime:
        """Until when a link made now is good."""
        return datetime.fromtimestamp(int((now + self._life).timestamp()), UTC)

    def _signature(self, search_id: str, revision: int, expires: int) -> str:
        told = f"farol.file.v1:{search_id}:{revision}:{expires}".encode()
        return hmac.new(self._secret, told, hashlib.sha256).hexdigest()
