"""The bids that a person has read, where this machine has them: beside the sources of a checkout, not in an image."""

import gzip
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import classifier
from classifier.domain.scoring import Labelled

DEV = Path("tests/fixtures/bids_dev.jsonl.gz")
"""4,000 real bids, read and labelled one by one."""


def dev_file() -> Path | None:
    """Where they lie; None in an installation without them."""
    file = Path(str(classifier.__file__)).parents[2] / DEV
    return file if file.exists() else None


def read_labelled(file: Path) -> list[Labelled]:
    """JSON Lines with `id, objeto, sectors, sure`, plain or gzipped; raises ValueError, KeyError or TypeError."""
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    rows: Iterator[dict[str, Any]] = (json.loads(line) for line in raw.decode("utf-8").splitlines() if line.strip())
    return [
        Labelled(str(row["id"]), row["objeto"], frozenset(row["sectors"]), sure=row.get("sure", True)) for row in rows
    ]


class LabelledBids(Sequence[Labelled]):
    """Read when first looked at: most processes never are asked for patterns."""

    @cached_property
    def _bids(self) -> list[Labelled]:
        file = dev_file()
        return read_labelled(file) if file is not None else []

    def __getitem__(self, index: Any) -> Any:
        """One bid, or some."""
        return self._bids[index]

    def __len__(self) -> int:
        return len(self._bids)


labelled = LabelledBids()
