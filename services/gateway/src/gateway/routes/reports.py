"""The summary and the spreadsheet of a search: jobs done elsewhere; what nobody did in time is done here."""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Response
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

files = APIRouter(prefix="/v1/files", tags=["arquivos"])
router = APIRouter(
    prefix="/v1/searches", tags=["relatórios"], responses=problems("key.missing", "key.wrong", "bus.unavailable")
)

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_CHUNK: Final = 64 * 1024
_UFS_IN_NAME: Final = 3
_REPORTED_WITHIN: Final = timedelta(seconds=15)
"""F01: from the end of a search to its summary and spreadsheet."""
_AGAIN: Final = {"Retry-After": "1"}


class ReportStatus(BaseModel):
    """A report that is on its way."""

    search_id: SearchId
    revision: int
    status: Literal["processing"] = "processing"
    message: str
    links: dict[str, str] = Field(default_factory=dict)


class SignedLink(BaseModel):
    """An address that opens without a key until it expires."""

    excel_url: str = Field(
        examples=["/v1/files/9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c/1.xlsx?expires=1795363200&signature=5d41402abc4b2a76..."]
    )
    expires_at: datetime


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
    if view.llm_status is JobStatus.PROCESSING and not _overdue(view, desk):
        return _on_its_way(view, view.llm_status, "Resumo em preparo.")
    answer = await desk.searches.answer(search_id)
    if answer is None:
        raise Problem("answer.none")
    return SummaryDocument(search_id=search_id, revision=answer.revision, summary=summarize(answer))


_XLSX_RESPONSE: Final[dict[str, Any]] = {
    "description": "A planilha.",
    "content": {XLSX: {"schema": {"type": "string", "contentMediaType": XLSX}}},
}


@router.get(
    "/{search_id}/spreadsheet",
    summary="Planilha do resultado",
    response_class=Response,
    responses={
        200: _XLSX_RESPONSE,
        202: {"model": ReportStatus, "description": "A planilha está em preparo."},
        **problems("search.not_found", "answer.none", "search.running", "spreadsheet.failed"),
    },
)
async def spreadsheet(search_id: InPath, desk: AtDesk) -> Response:
    """The rows and the coverage as a workbook: as the reporter made it or, where it has not in time, made now."""
    return await _workbook(await _finished(search_id, desk), desk)


@router.post(
    "/{search_id}/spreadsheet/link",
    summary="Um endereço da planilha que abre sem chave, por um tempo",
    responses=problems("search.not_found", "answer.none", "search.running"),
)
async def link(search_id: InPath, desk: AtDesk) -> SignedLink:
    """For whoever is to have the file and no key; it opens this one revision until it expires."""
    view = await _finished(search_id, desk)
    if view.excel_status is JobStatus.NONE:
        raise Problem("answer.none")
    now = desk.clock()
    return SignedLink(
        excel_url=desk.signer.link(search_id, view.revision, now=now), expires_at=desk.signer.expires_at(now=now)
    )


@files.get(
    "/{search_id}/{revision}.xlsx",
    summary="A planilha, por um endereço assinado",
    response_class=Response,
    responses={
        200: _XLSX_RESPONSE,
        202: {"model": ReportStatus, "description": "A planilha está em preparo."},
        **problems("file.not_found", "answer.none", "spreadsheet.failed", "request.invalid", "bus.unavailable"),
    },
)
async def signed(
    search_id: Annotated[str, Path(examples=["9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"])],
    revision: Annotated[int, Path(ge=1, le=10_000, examples=[1])],
    desk: AtDesk,
    expires: Annotated[int, Query(ge=0, le=2**40, description="Segundos desde 1970.")],
    signature: Annotated[str, Query(max_length=64)],
) -> Response:
    """Without a key: the link itself is the permission. What is wrong, forged or expired is not there."""
    if not desk.signer.opens(search_id, revision, expires=expires, signature=signature, now=desk.clock()):
        raise Problem("file.not_found")
    view = await view_of(search_id, desk)
    if view.revision != revision:
        raise Problem("file.not_found")
    return await _workbook(view, desk)


async def _workbook(view: SearchView, desk: Desk) -> Response:
    search_id = view.search_id
    ready = await desk.searches.spreadsheet(search_id, view.revision)
    if ready is not None:
        return await _attached(await desk.searches.file(ready.file), view, desk)
    if view.excel_status is JobStatus.PROCESSING and not _overdue(view, desk):
        return _on_its_way(view, view.excel_status, "Planilha em preparo.")
    answer = await desk.searches.answer(search_id)
    if answer is None:
        raise Problem("answer.none")
    made = await desk.sheets.make(answer) if desk.sheets else None
    if made is None:
        if view.excel_status is JobStatus.PROCESSING:
            return _on_its_way(view, view.excel_status, "Planilha em preparo.")
        raise Problem(
            "spreadsheet.failed", detail=await desk.searches.failure(search_id), headers={"Retry-After": "10"}
        )
    return await _attached(made, view, desk)


async def _attached(body: bytes, view: SearchView, desk: Desk) -> Response:
    words = await desk.searches.query_words(view.search_id) or ("busca",)
    return StreamingResponse(
        _chunks(body),
        media_type=XLSX,
        headers={
            "Content-Disposition": f'attachment; filename="{file_name(words, view, "xlsx")}"',
            "Content-Length": str(len(body)),
            "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
        },
    )


def _overdue(view: SearchView, desk: Desk) -> bool:
    """Whether no reporter seems to live: nobody waits longer than F01 grants it."""
    return view.finished_at is not None and desk.clock() - view.finished_at > _REPORTED_WITHIN


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
