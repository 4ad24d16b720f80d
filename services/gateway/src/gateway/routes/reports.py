"""The summary and the spreadsheet of a search: jobs that were done elsewhere, served from where they lie."""

import re
from collections.abc import Iterator
from typing import Final, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from contracts.report import Summary
from contracts.state import JobStatus, SearchView
from contracts.summary import summarize
from contracts.values import SearchId
from contracts.when import day_of
from gateway.domain.problem import Problem
from gateway.routes.describing import links, problems
from gateway.routes.ports import AtDesk, Desk, InPath
from gateway.routes.searches import view_of

router = APIRouter(
    prefix="/v1/searches", tags=["relatórios"], responses=problems("key.missing", "key.wrong", "bus.unavailable")
)

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_CHUNK: Final = 64 * 1024
_UFS_IN_NAME: Final = 3
_AGAIN: Final = {"Retry-After": "1"}


class ReportStatus(BaseModel):
    """A report that is on its way."""

    search_id: SearchId
    revision: int
    status: Literal["processing"] = "processing"
    message: str
    links: dict[str, str] = Field(default_factory=dict)


class SummaryDocument(BaseModel):
    """The summary of the answer."""

    search_id: SearchId
    revision: int
    status: Literal["ready"] = "ready"
    summary: Summary


@router.get(
    "/{search_id}/summary",
    summary="Resumo do resultado",
    response_model=SummaryDocument,
    responses={
        202: {"model": ReportStatus, "description": "O resumo está em preparo."},
        **problems("search.not_found", "answer.none", "search.running"),
    },
)
async def summary(search_id: InPath, desk: AtDesk) -> SummaryDocument | Response:
    """What the answer says in a few sentences; in the plain words of the fallback if the search closed without one."""
    view = await _finished(search_id, desk)
    ready = await desk.searches.summary(search_id, view.revision)
    if ready is not None:
        return SummaryDocument(search_id=search_id, revision=ready.revision, summary=ready.summary)
    if view.llm_status is JobStatus.PROCESSING:
        return _on_its_way(view, view.llm_status, "Resumo em preparo.")
    answer = await desk.searches.answer(search_id)
    if answer is None:
        raise Problem("answer.none")
    return SummaryDocument(search_id=search_id, revision=answer.revision, summary=summarize(answer))


@router.get(
    "/{search_id}/spreadsheet",
    summary="Planilha do resultado",
    response_class=Response,
    responses={
        200: {
            "description": "A planilha.",
            "content": {XLSX: {"schema": {"type": "string", "contentMediaType": XLSX}}},
        },
        202: {"model": ReportStatus, "description": "A planilha está em preparo."},
        **problems("search.not_found", "answer.none", "search.running", "spreadsheet.failed"),
    },
)
async def spreadsheet(search_id: InPath, desk: AtDesk) -> Response:
    """The rows and the coverage as a workbook."""
    view = await _finished(search_id, desk)
    ready = await desk.searches.spreadsheet(search_id, view.revision)
    if ready is None:
        if view.excel_status is JobStatus.FAILED:
            raise Problem("spreadsheet.failed", detail=await desk.searches.failure(search_id))
        return _on_its_way(view, view.excel_status, "Planilha em preparo.")
    body = await desk.searches.file(ready.file)
    words = await desk.searches.query_words(search_id) or ("busca",)
    return StreamingResponse(
        _chunks(body),
        media_type=XLSX,
        headers={
            "Content-Disposition": f'attachment; filename="{file_name(words, view, "xlsx")}"',
            "Content-Length": str(len(body)),
            "ETag": f'"{ready.file.sha256}"',
        },
    )


async def _finished(search_id: SearchId, desk: Desk) -> SearchView:
    view = await view_of(search_id, desk)
    if not view.status.terminal:
        raise Problem("search.running", headers=_AGAIN)
    return view


def _on_its_way(view: SearchView, status: JobStatus, message: str) -> Response:
    if status is JobStatus.NONE:
        raise Problem("answer.none")
    document = ReportStatus(
        search_id=view.search_id, revision=view.revision, message=message, links=links(view.search_id)
    )
    return JSONResponse(document.model_dump(mode="json"), status_code=202, headers=_AGAIN)


def file_name(words: tuple[str, ...], view: SearchView, extension: str) -> str:
    """`farol-vestuario-SP-RJ-2026-11-22.xlsx`: plain ASCII, so that every browser writes it the same."""
    subject, *ufs = words
    places = ufs if len(ufs) <= _UFS_IN_NAME else [f"{len(ufs)}-UFs"]
    name = "-".join(("farol", subject, *places, f"{day_of(view.created_at)}"))
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) + f".{extension}"


def _chunks(body: bytes) -> Iterator[bytes]:
    return (body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK))
