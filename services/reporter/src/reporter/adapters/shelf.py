"""The bus as the reporter uses it: answers in, files out, and what the log already says."""

from typing import Any

from contracts.report import ObjectRef
from contracts.search import Completed
from contracts.subjects import COMPLETED, FILES_BUCKET, Topic
from servicekit.bus import Bus


class BusShelf:
    """Objects and facts over the service's own bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def packed_answer(self, ref: ObjectRef) -> bytes:
        """The encoded answer."""
        return await self._bus.get_object(ref)

    async def keep_spreadsheet(self, content: bytes, *, search_id: str, revision: int) -> ObjectRef:
        """Store the file; a second try writes the same name again."""
        return await self._bus.put_object(FILES_BUCKET, f"files/{search_id}/{revision}.xlsx", content)

    async def said(self, *topics: Topic[Any], search_id: str, revision: int) -> bool:
        """Whether any of these facts is in the log."""
        for topic in topics:
            if await self._bus.last(topic.subject(search_id=search_id, revision=revision)) is not None:
                return True
        return False

    async def completed(self, search_id: str) -> Completed | None:
        """The terminal fact; None when the log has none."""
        stored = await self._bus.last(COMPLETED.subject(search_id=search_id))
        return COMPLETED.decode(stored.body) if stored else None
