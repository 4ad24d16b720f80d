"""Standard output into a file of bounded size, so that a terminal shows only what a person asked for."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from farol.place import MAX_LOG_BYTES


class BoundedLog:
    """Text into a file; a full one becomes `<name>.1` and a new one begins."""

    def __init__(self, path: Path, *, most: int | None = MAX_LOG_BYTES) -> None:
        self._path, self._most = path, most
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def write(self, text: str) -> int:
        """As a text file does; a line is flushed when it ends."""
        written = self._file.write(text)
        if text.endswith("\n"):
            self._file.flush()
            if self._most is not None and self._file.tell() > self._most:
                self._turn()
        return written

    def flush(self) -> None:
        """As a text file does."""
        self._file.flush()

    def close(self) -> None:
        """Nothing is written afterwards."""
        self._file.close()

    def _turn(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._path.open("a", encoding="utf-8")


def turn_shared(path: Path, *, most: int = MAX_LOG_BYTES) -> bool:
    """Turn a file that several processes append to: its content becomes `<name>.1`; True when it was too large.

    They keep it open, so it is copied and emptied. What is written in between is lost.
    """
    if not path.exists() or path.stat().st_size <= most:
        return False
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


@contextmanager
def stdout_to(path: Path, *, turning: bool) -> Iterator[None]:
    """What this process's logger prints goes to the file, which turns unless other processes write to it as well."""
    terminal, kept = sys.stdout, BoundedLog(path, most=MAX_LOG_BYTES if turning else None)
    sys.stdout = kept
    try:
        yield
    finally:
        sys.stdout = terminal
        kept.close()
