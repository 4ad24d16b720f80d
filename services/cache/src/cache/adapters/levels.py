"""The three levels as the cascade reads them."""

from collections.abc import Callable

from contracts.answers import AnswerPriority
from contracts.stored import StoredAnswer
from servicekit.answer_files import AnswerFiles
from servicekit.cascade import Entry
from servicekit.shared.answers import SharedAnswers


class MemoryLevel:
    """L2. `priority_of` says for how long an answer is kept there."""

    def __init__(self, shared: SharedAnswers, priority_of: Callable[[str], AnswerPriority]) -> None:
        self._shared = shared
        self._priority_of = priority_of

    @property
    def unreadable(self) -> int:
        """Entries dropped so far."""
        return self._shared.unreadable

    async def get(self, key: str) -> tuple[StoredAnswer, bytes | None] | None:
        """Head and rows."""
        return await self._shared.get(key)

    async def keep(self, entry: Entry) -> None:
        """Keep it for as long as it is worth."""
        await self._shared.put(entry.stored, entry.rows, self._priority_of(entry.stored.key))

    async def drop(self, key: str) -> bool:
        """Forget it."""
        return await self._shared.drop(key)

    async def clear(self) -> int:
        """Forget all."""
        return await self._shared.clear()

    async def count(self) -> int | None:
        """Redis would have to be read from end to end."""
        return None


class LocalLevel:
    """L3: only whole answers."""

    def __init__(self, files: AnswerFiles) -> None:
        self._files = files

    @property
    def unreadable(self) -> int:
        """Entries dropped so far."""
        return self._files.unreadable

    async def get(self, key: str) -> tuple[StoredAnswer, bytes | None] | None:
        """Head and rows."""
        return await self._files.get(key)

    async def keep(self, entry: Entry) -> None:
        """Keep it; a head without its rows is of no use when nothing else is left."""
        if entry.rows is not None:
            await self._files.put(entry.stored, entry.rows)

    async def drop(self, key: str) -> bool:
        """Forget it."""
        return await self._files.drop(key)

    async def clear(self) -> int:
        """Forget all."""
        return await self._files.clear()

    async def count(self) -> int | None:
        """How many files there are."""
        return await self._files.count()
