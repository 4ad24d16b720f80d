"""The data directory: what one start of Farol leaves for the other commands to find, and for the next start."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from farol.settings import Sources

MAX_LOG_BYTES: Final = 10 * 1024 * 1024
"""A larger log becomes `farol.log.1` at the next start."""


class Endpoint(BaseModel):
    """Where Farol runs: `endpoint.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    nats_url: str
    pid: int
    sources: Sources
    simulator_url: str | None = None
    """Where faults of the recorded sources are switched; None with live sources."""


class AlreadyRunningError(Exception):
    """Another `farol up` holds this data directory."""


class Place:
    """The files of one data directory. What others may not read has mode 0600."""

    def __init__(self, root: Path) -> None:
        self.root = root = root.resolve()
        self.log = root / "farol.log"
        self._endpoint = root / "endpoint.json"
        self._api_key = root / "api_key"
        self._pids = root / "pids.json"

    def state(self, sources: Sources, today: date) -> Path:
        """Where services keep their data. Recorded bids are dated anew each day, so each day begins from nothing."""
        return self.root / "live" if sources == "live" else self.root / "recorded" / today.isoformat()

    def prepare(self, sources: Sources, today: date) -> Path:
        """Make the directories, forget the recorded data of other days and put a long log aside."""
        state = self.state(sources, today)
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sources == "recorded":
            for old in state.parent.iterdir():
                if old != state and old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return state

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory for one `farol up`; raises AlreadyRunningError when another one does."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / "up.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise AlreadyRunningError(str(self.root)) from exc
            try:
                yield
            finally:
                self._endpoint.unlink(missing_ok=True)
                self._pids.unlink(missing_ok=True)

    def write_key(self, key: str) -> None:
        """Keep the key of this start where `farol search` finds it."""
        _write_private(self._api_key, key)

    def read_key(self) -> str | None:
        """The key of the last start."""
        try:
            return self._api_key.read_text().strip() or None
        except FileNotFoundError:
            return None

    def write_endpoint(self, endpoint: Endpoint) -> None:
        """Tell the other commands where Farol runs."""
        _write_private(self._endpoint, endpoint.model_dump_json())

    def read_endpoint(self) -> Endpoint | None:
        """Where Farol runs; None when it does not, or the note is broken."""
        try:
            return Endpoint.model_validate_json(self._endpoint.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write_pids(self, pids: Mapping[str, int]) -> None:
        """Who is who among the processes of this start."""
        _write_private(self._pids, json.dumps(dict(pids)))

    def files(self) -> Path:
        """Where downloaded spreadsheets go."""
        return self.root / "planilhas"


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others in between."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)
