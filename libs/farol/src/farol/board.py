"""What is known of a running search, folded from its events: the model behind the live display."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from contracts.places import UF
from contracts.state import UfStatusKind
from farol.sse import ServerEvent

TERMINAL_EVENTS: Final = frozenset({"completed", "degraded", "failed"})


class JobState(StrEnum):
    """Of the summary and the spreadsheet, as the events tell."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


@dataclass
class UfLine:
    """One UF of the display."""

    uf: UF
    status: UfStatusKind = UfStatusKind.PENDING
    read: int = 0
    found: int | None = None
    coverage_pct: int | None = None


@dataclass
class Board:
    """The progress of one search; every event is applied once, in order."""

    ufs: dict[UF, UfLine]
    progress: int = 0
    message: str = "Enviando a busca"
    outcome: dict[str, Any] | None = None
    """The data of the terminal event."""
    summary: JobState = JobState.WAITING
    spreadsheet: JobState = JobState.WAITING
    spreadsheet_message: str | None = None
    closed: bool = False
    events: int = field(default=0)

    @classmethod
    def of(cls, ufs: list[UF]) -> "Board":
        """The board before the first event."""
        return cls(ufs={uf: UfLine(uf) for uf in sorted(set(ufs))})

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to wait for."""
        jobs_over = JobState.WAITING not in {self.summary, self.spreadsheet}
        return self.closed or (self.outcome is not None and jobs_over)

    def apply(self, event: ServerEvent) -> None:
        """Fold one event; unknown ones change nothing."""
        self.events += 1
        data = event.data
        if isinstance(data.get("progress"), int):
            self.progress = max(self.progress, data["progress"])
        if event.name == "progress":
            self._stage(data)
        elif event.name == "uf_completed":
            self._uf_completed(data)
        elif event.name in TERMINAL_EVENTS:
            self.outcome = data
            self.progress = max(self.progress, 80)
            self.message = data.get("message") or data.get("reason") or "Busca concluída; preparando resumo e planilha"
        elif event.name == "llm_ready":
            self.summary = JobState.READY
        elif event.name == "excel_ready":
            self.spreadsheet = JobState.READY
        elif event.name == "closed":
            self.closed = True
            self.progress = 100

    def _stage(self, data: dict[str, Any]) -> None:
        self.message = str(data.get("message") or self.message)
        if data.get("stage") == "excel_failed":
            self.spreadsheet, self.spreadsheet_message = JobState.FAILED, self.message
        detail = data.get("detail") or {}
        line = self.ufs.get(detail.get("uf", UF.XX))
        if line is not None:
            line.read += int(detail.get("records") or 0)

    def _uf_completed(self, data: dict[str, Any]) -> None:
        line = self.ufs.get(data["uf"])
        if line is None:
            return
        line.status = UfStatusKind(data["status"])
        line.found = data.get("items_count")
        line.read = data.get("total_items", line.read)
        line.coverage_pct = data.get("coverage_pct")
        found = "licitação encontrada" if line.found == 1 else "licitações encontradas"
        self.message = f"{line.uf.nome}: {line.found} {found}"
