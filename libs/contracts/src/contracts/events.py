"""What a listener is told is derived from the facts by a pure function; it is never stored.

| fact | events |
|---|---|
| requested, planned | `progress` |
| gathered | `progress`; and `uf_completed`, `partial_results` when it is the last thing that its UF waited for |
| judged | `uf_completed`, `partial_results` when it is the last thing that its UF waited for |
| completed | `completed`, `degraded` or `failed` by its status (`cancelled` is `completed`), |
| | after `refresh_available` where it takes the place of a stored answer |
| summary_ready | `llm_ready` |
| spreadsheet_ready, spreadsheet_failed | `excel_ready`; `progress` that says so in words |
| closed | `closed` |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contracts.answer import Result
from contracts.brasileiro import quantos
from contracts.classification import Judged
from contracts.fold import STORED_REVISION, SearchState
from contracts.memory import Gathered
from contracts.places import UF
from contracts.query import Sort
from contracts.ranking import ranked
from contracts.report import SpreadsheetFailed, SpreadsheetReady, SummaryReady
from contracts.search import Closed, Completed, Planned, Requested
from contracts.state import Status

PARTIAL_ROWS = 50
"""Rows of one UF that `partial_results` carries at most; the results route has them all."""


class EventName(StrEnum):
    """The names of the stream; `gap`, `reconnect` and `revalidated` are the gateway's own and carry no id."""

    PROGRESS = "progress"
    UF_COMPLETED = "uf_completed"
    PARTIAL_RESULTS = "partial_results"
    REFRESH_AVAILABLE = "refresh_available"
    REVALIDATED = "revalidated"
    COMPLETED = "completed"
    DEGRADED = "degraded"
    FAILED = "failed"
    LLM_READY = "llm_ready"
    EXCEL_READY = "excel_ready"
    GAP = "gap"
    RECONNECT = "reconnect"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a search's stream; its data is JSON-ready."""

    name: EventName
    data: dict[str, Any]


def events_of(before: SearchState, sequence: int, fact: Any) -> tuple[Event, ...]:
    """The events that one fact causes in the state before it; call it before `apply`.

    A repeated fact, an unknown one and a fact that comes too late to count cause none.
    """
    derive = _DERIVE.get(type(fact))
    return derive(before, sequence, fact) if derive is not None and before.closed is None else ()


def _stage(stage: str, progress: int, message: str, **detail: Any) -> dict[str, Any]:
    return {"stage": stage, "progress": progress, "message": message, "detail": detail}


def _progress(stage: str, progress: int, message: str, **detail: Any) -> Event:
    return Event(EventName.PROGRESS, _stage(stage, progress, message, **detail))


def _requested(before: SearchState, _: int, fact: Requested) -> tuple[Event, ...]:
    if before.requested:
        return ()
    said = "Busca recebida" if fact.stored is None else "Resposta guardada pronta"
    return (_progress("validate", 1, said, ufs=len(fact.query.ufs)),)


def _planned(before: SearchState, _: int, fact: Planned) -> tuple[Event, ...]:
    if before.planned or before.completed:
        return ()
    ufs = len({uf for each in fact.asked for uf in each.ufs})
    return (_progress("prepare", 5, f"Consultando {ufs} {'estado' if ufs == 1 else 'estados'}", ufs=ufs),)


def _judged(before: SearchState, sequence: int, fact: Judged) -> tuple[Event, ...]:
    return () if before.completed or before.judged(fact.batch) else _uf_events(before, fact.uf, sequence, fact)


def _summary_ready(before: SearchState, _: int, fact: SummaryReady) -> tuple[Event, ...]:
    if before.summary is not None and fact.revision <= before.summary.revision:
        return ()
    detail = {"summary": fact.summary.model_dump(mode="json"), "revision": fact.revision}
    return (Event(EventName.LLM_READY, _stage("llm_ready", 85, "Resumo pronto", **detail)),)


def _spreadsheet_ready(before: SearchState, _: int, fact: SpreadsheetReady) -> tuple[Event, ...]:
    if before.spreadsheet is not None and fact.revision <= before.spreadsheet.revision:
        return ()
    url = f"/v1/searches/{before.search_id}/spreadsheet"
    detail = {"download_url": url, "rows": fact.rows, "revision": fact.revision}
    return (Event(EventName.EXCEL_READY, _stage("excel_ready", 98, "Planilha pronta para download", **detail)),)


def _spreadsheet_failed(before: SearchState, _: int, fact: SpreadsheetFailed) -> tuple[Event, ...]:
    return () if before.spreadsheet_failed else (_progress("excel_failed", 98, fact.message),)


def _closed(_before: SearchState, _: int, _fact: Closed) -> tuple[Event, ...]:
    return (Event(EventName.CLOSED, _stage("closed", 100, "Busca encerrada")),)


def _gathered(before: SearchState, sequence: int, fact: Gathered) -> tuple[Event, ...]:
    if before.completed or (fact.source, fact.uf) in before.gathered:
        return ()
    reached = before.after(sequence, fact).progress_pct()
    progress = _progress("fetch", reached, _read(fact), uf=fact.uf, records=fact.records)
    return (progress, *_uf_events(before, fact.uf, sequence, fact))


def _read(fact: Gathered) -> str:
    if fact.records == 0:
        return f"{fact.uf.nome}: consulta concluída"
    return f"{fact.uf.nome}: {quantos(fact.records, 'licitação lida', 'licitações lidas')}"


def _uf_events(before: SearchState, uf: UF, sequence: int, fact: Gathered | Judged) -> tuple[Event, ...]:
    """`uf_completed` and `partial_results`, once per UF: when this fact is the last that it waited for."""
    ufs = _waiting_for(before, uf, fact)
    if not ufs:
        return ()
    after = before.after(sequence, fact)
    return tuple(event for each in sorted(ufs) if after.uf_done(each) for event in _uf_over(after, each))


def _waiting_for(before: SearchState, uf: UF, fact: Gathered | Judged) -> set[UF]:
    """The UFs that a fact can finish. Bids without a UF (`XX`) are listed by the `gathered` fact of another one."""
    asked = {place[1] for place in before.asked_places}
    if isinstance(fact, Gathered):
        return {uf} & asked
    naming = {place[1] for place, gathered in before.gathered.items() if fact.batch in gathered.batches}
    return {each for each in naming if each in asked and not before.uf_done(each)}


def _uf_over(after: SearchState, uf: UF) -> tuple[Event, Event]:
    rows = ranked((Result.of(bid) for bid in after.accepted() if bid.sighted.bid.uf is uf), Sort.RELEVANCE)
    status = next(each for each in after.coverage(over=True).ufs_status_detail if each.uf is uf)
    facts = [after.gathered[place] for place in after.asked_places if place[1] is uf]
    over = {
        **status.model_dump(mode="json"),
        "nome": uf.nome,
        "duration_ms": max(fact.duration_ms for fact in facts),
        "items_count": len(rows),
        "total_pages": sum(fact.pages for fact in facts),
        "total_items": sum(fact.records for fact in facts),
    }
    shown = [row.model_dump(mode="json") for row in rows[:PARTIAL_ROWS]]
    return (
        Event(EventName.UF_COMPLETED, over),
        Event(EventName.PARTIAL_RESULTS, {"uf": uf, "total": len(rows), "results": shown}),
    )


def _completed(before: SearchState, _: int, fact: Completed) -> tuple[Event, ...]:
    if before.completed:
        return ()
    name = {Status.DEGRADED: EventName.DEGRADED, Status.EMPTY_FAILURE: EventName.FAILED}.get(
        fact.status, EventName.COMPLETED
    )
    data = {
        "status": fact.status,
        "response_state": fact.response_state,
        "reason": fact.degraded.reason if fact.degraded else None,
        "cache_age_hours": fact.degraded.cache_age_hours if fact.degraded else None,
        "coverage_pct": fact.coverage.coverage_pct,
        "sources_failed": [str(source) for source in fact.degraded.sources_failed] if fact.degraded else [],
        "message": fact.message,
        "counts": fact.counts.model_dump(mode="json"),
        "coverage": fact.coverage.model_dump(mode="json"),
        "operational_state": fact.operational_state,
        "reliability": fact.reliability,
        "llm_pending": fact.llm_pending,
        "total": fact.total,
        "revision": fact.revision,
        "results": [row.model_dump(mode="json") for row in fact.first_rows],
        "links": {"results": f"/v1/searches/{before.search_id}/results"},
    }
    refreshed = before.requested is not None and before.requested.stored is not None and fact.revision > STORED_REVISION
    return (*((_refresh_available(before, fact),) if refreshed else ()), Event(name, data))


def _refresh_available(before: SearchState, fact: Completed) -> Event:
    """The stored answer that was shown has a newer one: what it brings, and why what it lacks is gone (A04)."""
    data = {
        "message": "Dados atualizados disponíveis",
        "revision": fact.revision,
        "total": fact.total,
        "added": fact.added,
        "gone": [each.model_dump(mode="json") for each in fact.gone],
        "coverage_pct": fact.coverage.coverage_pct,
        "links": {"results": f"/v1/searches/{before.search_id}/results"},
    }
    return Event(EventName.REFRESH_AVAILABLE, data)


_DERIVE: Mapping[type, Callable[[SearchState, int, Any], tuple[Event, ...]]] = {
    Requested: _requested,
    Planned: _planned,
    Gathered: _gathered,
    Judged: _judged,
    Completed: _completed,
    SummaryReady: _summary_ready,
    SpreadsheetReady: _spreadsheet_ready,
    SpreadsheetFailed: _spreadsheet_failed,
    Closed: _closed,
}
