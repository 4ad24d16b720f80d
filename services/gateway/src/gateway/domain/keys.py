"""The one key of a machine: compared in constant time, kept only as digests."""

import hashlib
import hmac


class LocalKey:
    """Whether a caller holds the key, by header or by the cookie that signing in left."""

    TENANT = "local"

    def __init__(self, key: str) -> None:
        self._digest = _digest(key)
        self.session = hmac.new(key.encode(), b"farol.session.v1", hashlib.sha256).hexdigest()
        """What the cookie carries: proof of the key, from which the key cannot be had."""

    def opens_with(self, key: str) -> bool:
        """Whether this is the key."""
        return hmac.compare_digest(self._digest, _digest(key))

    def admits(self, session: str) -> bool:
        """Whether this cookie was given to someone who held the key."""
        return hmac.compare_digest(self.session.encode(), session.encode())


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
