"""The log of every request that reached a simulator, so that a test can count them and find none made twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulators.faults import Asked, Endpoint, Kind, Source


@dataclass(slots=True)
class Hit:
    """One request: `status` is 0 until something was answered, and stays 0 when nothing was (hang, reset)."""

    at: float  # monotonic seconds of the server's loop
    asked: Asked
    params: dict[str, str]
    status: int = 0
    took: float = 0.0
    client_gone: bool = False
    faults: tuple[Kind, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The row of `GET /_sim/hits`."""
        return {
            "at": self.at,
            **self.asked.model_dump(mode="json"),
            "params": self.params,
            "status": self.status,
            "took": self.took,
            "client_gone": self.client_gone,
            "faults": list(self.faults),
        }


class HitLog:
    """The latest hits, oldest first; `total` also counts those that the bound let go."""

    def __init__(self, limit: int) -> None:
        self._hits: deque[Hit] = deque(maxlen=limit)
        self.total = 0

    def add(self, hit: Hit) -> None:
        """Append a hit; its status follows when it is answered."""
        self._hits.append(hit)
        self.total += 1

    def clear(self) -> None:
        """Forget every hit."""
        self._hits.clear()
        self.total = 0

    def __iter__(self) -> Iterator[Hit]:
        return iter(tuple(self._hits))

    def __len__(self) -> int:
        return len(self._hits)

    def of(
        self,
        source: Source | str | None = None,
        endpoint: Endpoint | str | None = None,
        *,
        uf: str | None = None,
        modalidade: int | None = None,
        status: int | None = None,
    ) -> list[Hit]:
        """The hits that match every filter given."""
        return [
            hit
            for hit in self
            if (source is None or hit.asked.source == source)
            and (endpoint is None or hit.asked.endpoint == endpoint)
            and (uf is None or hit.asked.uf == uf)
            and (modalidade is None or hit.asked.modalidade == modalidade)
            and (status is None or hit.status == status)
        ]

    def answered_twice(self) -> list[str]:
        """The URLs answered 200 more than once: empty when no page was fetched twice."""
        seen: dict[str, int] = {}
        for hit in self.of(status=200):
            seen[f"{hit.asked.source}:{hit.asked.url}"] = seen.get(f"{hit.asked.source}:{hit.asked.url}", 0) + 1
        return [url for url, count in seen.items() if count > 1]
