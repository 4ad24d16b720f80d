"""The rows of a search as files: CSV for people, JSON Lines for programs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from contracts.answer import Result
from contracts.values import SearchId
from gateway.domain.export import as_csv, as_json_lines
from gateway.domain.problem import Problem
from gateway.domain.results import chosen
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Desk, InPath
from gateway.routes.reports import file_name
from gateway.routes.searches import Selection, view_of

router = APIRouter(
    prefix="/v1/searches", tags=["resultados"], responses=problems("key.missing", "key.wrong", "bus.unavailable")
)

CSV: Final = "text/csv; charset=utf-8"
JSON_LINES: Final = "application/jsonl"
_AGAIN: Final = {"Retry-After": "1"}


def _described(media_type: str, what: str) -> dict[int | str, dict[str, Any]]:
    file = {"description": what, "content": {media_type.partition(";")[0]: {"schema": {"type": "string"}}}}
    return {200: file, **problems("search.not_found", "search.running", "request.invalid")}


@router.get(
    "/{search_id}/results.csv",
    summary="Resultados em CSV",
    response_class=Response,
    responses=_described(CSV, "Uma linha por licitação, separada por ponto e vírgula; nenhuma célula é uma fórmula."),
)
async def csv_file(search_id: InPath, desk: AtDesk, wanted: Annotated[Selection, Query()]) -> Response:
    """The rows that the filters leave, as a spreadsheet program in Brazil reads them."""
    return await _file(search_id, desk, wanted, write=as_csv, media_type=CSV, extension="csv")


@router.get(
    "/{search_id}/results.jsonl",
    summary="Resultados em JSON Lines",
    response_class=Response,
    responses=_described(JSON_LINES, "Um resultado por linha, como nas páginas de resultados."),
)
async def json_lines_file(search_id: InPath, desk: AtDesk, wanted: Annotated[Selection, Query()]) -> Response:
    """The rows that the filters leave, for programs."""
    return await _file(search_id, desk, wanted, write=as_json_lines, media_type=JSON_LINES, extension="jsonl")


async def _file(
    search_id: SearchId,
    desk: Desk,
    wanted: Selection,
    *,
    write: Callable[[Sequence[Result]], Iterator[bytes]],
    media_type: str,
    extension: str,
) -> Response:
    view = await view_of(search_id, desk)
    rows = await desk.searches.rows(search_id)
    if rows is None:
        raise Problem("search.not_found")
    if not rows.final:
        raise Problem("search.running", headers=_AGAIN)
    words = await desk.searches.query_words(search_id) or ("busca",)
    return StreamingResponse(
        _in_turns(write(chosen(rows, wanted=wanted.filter, sort=wanted.sort))),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{file_name(words, view, extension)}"'},
    )


async def _in_turns(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each chunk is a few milliseconds of work; other requests get their turn between them."""
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)
