"""L3: finished answers as files of this machine, whole or not at all."""

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

from contracts.stored import STALE_FOR, EntryUnreadable, StoredAnswer, pack_entry, unpack_entry
from servicekit.errors import DependencyAway
from servicekit.logs import log

MOST_BYTES: Final = 512 * 1024 * 1024
_SAFE: Final = re.compile(r"[a-z0-9-]{1,80}")
_SUFFIX: Final = ".answer"
T = TypeVar("T")


class AnswerFiles:
    """One directory of packed answers; each call raises DependencyAway while the disk does not do its part."""

    def __init__(self, directory: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        # of its own: a disk that hangs must not take the threads that others need
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="answer-files")
        self.unreadable = 0
        """Entries dropped: torn, foreign or of another version."""

    async def get(self, key: str) -> tuple[StoredAnswer, bytes] | None:
        """Head and rows; None when there is no such file. One that cannot be read is removed and counted."""
        packed = await self._run(self._read, key)
        if packed is None:
            return None
        try:
            return unpack_entry(packed, key=key)
        except EntryUnreadable as exc:
            self.unreadable += 1
            log.warning("entry_dropped", level="local", key=key, reason=str(exc))
            await self.drop(key)
            return None

    async def put(self, stored: StoredAnswer, rows: bytes) -> None:
        """Keep it, unless what is held is better: a reader sees the old one or the new one, whole."""
        held = await self.get(stored.key)
        if held is None or not held[0].better_than(stored):
            await self._run(self._write, stored.key, pack_entry(stored, rows))

    async def drop(self, key: str) -> bool:
        """Forget one; False when there was none."""
        return await self._run(self._remove, self._path(key))

    async def clear(self) -> int:
        """Forget all; how many they were."""
        return await self._run(lambda: sum(self._remove(path) for path in self._files()))

    async def count(self) -> int:
        """How many there are."""
        return await self._run(lambda: len(self._files()))

    async def prune(self, *, now: datetime) -> int:
        """Remove what is older than 24 h, then the oldest until the rest fits; how many were removed."""
        return await self._run(self._prune, now)

    def close(self) -> None:
        """Wait for nothing: what hangs is left to the system."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)
        except OSError as exc:
            raise DependencyAway("files", f"files: {exc.strerror or exc!r}") from exc

    def _path(self, key: str) -> Path:
        if not _SAFE.fullmatch(key):
            raise ValueError(f"{key!r} is no key")
        return self._directory / f"{key}{_SUFFIX}"

    def _read(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, key: str, packed: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._path(key)
        torn = path.with_suffix(f".{uuid4().hex}.part")
        try:
            with torn.open("xb") as file:
                file.write(packed)
                file.flush()
                os.fsync(file.fileno())
            torn.replace(path)
        finally:
            torn.unlink(missing_ok=True)

    def _remove(self, path: Path) -> bool:
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _files(self) -> list[Path]:
        return list(self._directory.glob(f"*{_SUFFIX}"))

    def _prune(self, now: datetime) -> int:
        found = []
        for path in [*self._files(), *self._directory.glob("*.part")]:
            with suppress(FileNotFoundError):
                about = path.stat()
                found.append((about.st_mtime, about.st_size, path))
        gone, left = 0, sum(size for _, size, _ in found)
        for written, size, path in sorted(found):
            old = now - datetime.fromtimestamp(written, UTC) > STALE_FOR
            if old or left > self._most_bytes:
                gone, left = gone + self._remove(path), left - size
        return gone
