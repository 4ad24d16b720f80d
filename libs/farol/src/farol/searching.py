"""`farol search`: ask, follow, show, download."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from rich.console import Console
from rich.live import Live
from rich.text import Text

from contracts.places import UF, UFS
from contracts.report import Summary
from contracts.state import SearchView, Status
from farol import show
from farol.board import Board
from farol.client import FarolClient, Outcome
from farol.sse import ServerEvent

SEARCH_LIMIT: Final = timedelta(seconds=490)
"""A search is closed at the latest 480 s after it was asked."""
REPORTS_LIMIT: Final = timedelta(seconds=60)
"""Waited for the summary and the spreadsheet once the result is there."""
OK, ERROR, NOTHING_LOOKED_AT = 0, 1, 3
_EVERY: Final = 0.1


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked on the command line."""

    ufs: tuple[UF, ...]
    sector: str | None = None
    terms: tuple[str, ...] = ()
    days: int = 10
    modalidades: tuple[int, ...] = ()
    value_min: str | None = None
    value_max: str | None = None
    home_uf: UF | None = None
    sort: str | None = None
    force_refresh: bool = False
    still_open: bool = False
    """Everything that takes proposals today, whenever it was published; the days say nothing then."""

    def body(self, *, today: date) -> dict[str, Any]:
        """The request; what was not said is left to the gateway's defaults."""
        fields: dict[str, Any] = {
            "ufs": list(self.ufs),
            "sector": self.sector,
            "terms": list(self.terms) or None,
            "date_from": (today - timedelta(days=self.days - 1)).isoformat(),
            "date_to": today.isoformat(),
            "modalidades": list(self.modalidades) or None,
            "value_min": self.value_min,
            "value_max": self.value_max,
            "home_uf": self.home_uf,
            "sort": self.sort,
            "force_refresh": self.force_refresh or None,
        }
        if self.still_open:
            fields |= {"scope": "open", "date_from": None, "date_to": None}
        return {name: value for name, value in fields.items() if value is not None}


def parse_ufs(words: Sequence[str]) -> tuple[UF, ...]:
    """`SP`, `sp,rj` and `todas`; raises ValueError that names the first unknown one."""
    ufs: list[UF] = []
    for word in re.split(r"[,;\s]+", " ".join(words).strip()):
        if word.casefold() in {"todas", "todos", "br"}:
            ufs.extend(UFS)
            continue
        try:
            uf = UF(word.upper())
        except ValueError:
            uf = UF.XX
        if uf is UF.XX:
            raise ValueError(f"UF desconhecida: {word!r}")
        ufs.append(uf)
    return tuple(dict.fromkeys(ufs))


class Reporting(Protocol):
    """How the course of a search is told."""

    def asked(self, view: SearchView) -> None:
        """The search was accepted."""

    def happened(self, event: ServerEvent, board: Board) -> None:
        """One event came in."""

    def ended(self, ended: "Ended") -> None:
        """The search is over; everything that will be shown is here."""


@dataclass(frozen=True, slots=True)
class Ended:
    """All that is shown at the end."""

    view: SearchView
    outcome: Outcome
    summary: Summary | None
    file: Path | None
    spreadsheet_message: str | None = None


async def run_search(
    client: FarolClient,
    wish: Wish,
    reporting: Reporting,
    *,
    out: Path,
    limit: int,
    clock: Callable[[], datetime],
    today: date,
) -> int:
    """Ask and follow one search to its end; the exit code says how it ended."""
    view = await client.ask(wish.body(today=today))
    reporting.asked(view)
    board = Board.of(list(wish.ufs))
    await _follow(client, view.search_id, board, reporting, clock=clock)
    view = await client.view(view.search_id)
    if view.status in {Status.EMPTY_FAILURE, Status.CANCELLED}:
        reporting.ended(Ended(view, Outcome((), 0), None, None))
        return NOTHING_LOOKED_AT if view.status is Status.EMPTY_FAILURE else ERROR
    outcome = await client.rows(view.search_id, limit=limit)
    summary = await client.summary(view.search_id)
    file = await _download(client, view.search_id, out)
    reporting.ended(Ended(view, outcome, summary, file, board.spreadsheet_message))
    return OK if view.status.terminal else ERROR


async def _follow(
    client: FarolClient, search_id: str, board: Board, reporting: Reporting, *, clock: Callable[[], datetime]
) -> None:
    """Until everything is there; the reports are not waited for longer than they are worth."""
    until = clock() + SEARCH_LIMIT
    events = client.follow(search_id, until=until, now=clock)
    limit = SEARCH_LIMIT
    try:
        async with asyncio.timeout(limit.total_seconds()) as patience:
            async for event in events:
                over_before = board.outcome is not None
                board.apply(event)
                reporting.happened(event, board)
                if board.finished:
                    return
                if board.outcome is not None and not over_before:
                    patience.reschedule(asyncio.get_running_loop().time() + REPORTS_LIMIT.total_seconds())
    except TimeoutError:
        return
    finally:
        await events.aclose()


async def _download(client: FarolClient, search_id: str, out: Path) -> Path | None:
    download = await client.spreadsheet(search_id)
    if download is None:
        return None

    def write() -> Path:
        out.mkdir(parents=True, exist_ok=True)
        path = out / download.name
        if path.exists():
            path = out / f"{path.stem}-{search_id[:8]}{path.suffix}"
        path.write_bytes(download.content)
        return path.resolve()

    return await asyncio.to_thread(write)


class JsonLines:
    """One JSON object a line: every event as it comes, then `result`."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def asked(self, view: SearchView) -> None:
        """The first line carries the id of the search."""
        self._line({"event": "asked", "data": {"search_id": view.search_id, "status": view.status}})

    def happened(self, event: ServerEvent, board: Board) -> None:  # noqa: ARG002 - fits Reporting
        """One line an event."""
        self._line({"event": event.name, "id": event.id, "data": event.data})

    def ended(self, ended: Ended) -> None:
        """The last line carries everything."""
        data = {
            "search": ended.view.model_dump(mode="json"),
            "total": ended.outcome.total,
            "results": [row.model_dump(mode="json") for row in ended.outcome.rows],
            "summary": ended.summary.model_dump(mode="json") if ended.summary else None,
            "spreadsheet": str(ended.file) if ended.file else None,
        }
        self._line({"event": "result", "data": data})

    def _line(self, fields: dict[str, Any]) -> None:
        self._write(orjson.dumps(fields, default=str).decode())


class OnTerminal:
    """A live board while it runs (plain lines where the output is no terminal), then the table."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._board: Board | None = None
        self._began = datetime.now(UTC)
        self._told = ""

    def asked(self, view: SearchView) -> None:
        """Begin."""
        self._console.print(Text(f"Busca {view.search_id}", style="bright_black"))
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=1 / _EVERY)
            self._live.start()

    def happened(self, event: ServerEvent, board: Board) -> None:  # noqa: ARG002 - fits Reporting
        """Show the newest state."""
        self._board = board
        if self._live is None and board.message != self._told:
            self._told = board.message
            self._console.print(Text(f"{board.progress:3d}%  {board.message}"))

    def stop(self) -> None:
        """Leave the last picture standing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def ended(self, ended: Ended) -> None:
        """The table, the coverage, the summary, the file."""
        self.stop()
        rows = ended.outcome.rows
        self._console.print()
        self._console.print(show.headline(ended.view, shown=len(rows), total=ended.outcome.total))
        if rows:
            self._console.print(show.table_of(rows, width=self._console.width))
        self._console.print(show.coverage_line(ended.view.coverage))
        if ended.summary:
            self._console.print()
            self._console.print(show.summary_of(ended.summary))
        self._console.print()
        if ended.file:
            self._console.print(Text(f"Planilha: {ended.file}"), soft_wrap=True)
        elif ended.view.status is not Status.EMPTY_FAILURE:
            self._console.print(Text(ended.spreadsheet_message or "A planilha ainda não está pronta."))

    def _render(self) -> Any:
        seconds = (datetime.now(UTC) - self._began).total_seconds()
        return show.board_of(self._board, seconds=seconds) if self._board else Text("Enviando a busca…")
