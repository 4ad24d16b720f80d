"""Where people are told: a Slack-compatible webhook, or the log alone."""

from collections import deque
from datetime import timedelta
from typing import Final

import httpx
from pydantic import SecretStr

from servicekit.logs import log

_WITHIN: Final = timedelta(seconds=5)
_WAITING: Final = 50
"""Texts that wait for a webhook that is away; the oldest go first."""


class Webhook:
    """Posts texts one after the other; what could not be posted is tried again at the next one or the next `flush`."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url.get_secret_value()
        self._waiting: deque[str] = deque(maxlen=_WAITING)
        self._failing = False

    async def post(self, text: str) -> None:
        """Tell people, now or as soon as it can be."""
        self._waiting.append(text)
        await self.flush()

    async def flush(self) -> None:
        """Post what waits."""
        if not self._waiting or not self._url:
            self._waiting.clear()
            return
        async with httpx.AsyncClient(timeout=_WITHIN.total_seconds(), follow_redirects=False) as http:
            while self._waiting:
                try:
                    (await http.post(self._url, json={"text": self._waiting[0]})).raise_for_status()
                except httpx.HTTPError as exc:
                    if not self._failing:
                        # The address is a secret: whoever has it may write into the channel.
                        log.warning("webhook.failed", reason=type(exc).__name__, waiting=len(self._waiting))
                    self._failing = True
                    return
                self._failing = False
                self._waiting.popleft()
