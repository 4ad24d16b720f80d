"""The event stream of a search, and its history as JSON."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from gateway.domain.events import Frame, encode
from gateway.domain.problem import Problem
from gateway.routes.describing import problems
from gateway.routes.ports import AtDesk, Desk, InPath, TheCaller

router = APIRouter(
    prefix="/v1/searches", tags=["buscas"], responses=problems("key.missing", "key.wrong", "bus.unavailable")
)

STREAM = "text/event-stream"

_EXAMPLE = """retry: 1000

id: 18f0c2d9a1b3-41
event: progress
data: {"stage":"prepare","progress":5,"message":"Consultando 2 estados","detail":{"ufs":2}}

"""


@router.get(
    "/{search_id}/events",
    summary="Acompanhar uma busca (SSE)",
    response_class=Response,
    responses={
        200: {
            "description": (
                "O fluxo de eventos, do começo ou de onde `Last-Event-ID` parou, até `closed`. "
                "Com `Accept: application/json`, o histórico."
            ),
            "content": {
                STREAM: {"schema": {"type": "string"}, "example": _EXAMPLE},
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["search_id", "closed", "events"],
                        "properties": {
                            "search_id": {"type": "string"},
                            "closed": {"type": "boolean", "description": "Nada mais virá."},
                            "events": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["id", "event", "data"],
                                    "properties": {
                                        "id": {"type": "string"},
                                        "event": {"type": "string"},
                                        "data": {"type": "object"},
                                    },
                                },
                            },
                        },
                    }
                },
            },
        },
        204: {"description": "Já se viu tudo: não há por que reconectar."},
        **problems("search.not_found", "streams.full", "streams.too_many"),
    },
)
async def events(
    search_id: InPath,
    request: Request,
    desk: AtDesk,
    caller: TheCaller,
    last_event_id: Annotated[str | None, Header(max_length=80)] = None,
    after: Annotated[str | None, Query(max_length=80, description="O mesmo que `Last-Event-ID`.")] = None,
) -> Response:
    """Every event, resumed exactly after the one last seen."""
    last_seen = last_event_id or after
    if _wants_history(request.headers.get("accept", "")):
        return await _history(search_id, last_seen, desk)
    if desk.searches.streams >= desk.max_streams:
        raise Problem("streams.full", headers={"Retry-After": "5"})
    if desk.streams_of[caller.tenant] >= desk.max_streams_per_tenant:
        raise Problem("streams.too_many", headers={"Retry-After": "5"})
    if await desk.searches.nothing_left(search_id, last_seen):
        return Response(status_code=204)
    followed = await desk.searches.follow(search_id, last_seen)
    if followed is None:
        raise Problem("search.not_found")
    return StreamingResponse(
        _counted(followed, desk, caller.tenant),
        media_type=STREAM,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _counted(followed: AsyncIterator[bytes], desk: Desk, tenant: str) -> AsyncIterator[bytes]:
    desk.searches.streams += 1
    desk.streams_of[tenant] += 1
    try:
        async for chunk in followed:
            yield chunk
    finally:
        desk.searches.streams -= 1
        desk.streams_of[tenant] -= 1
        if not desk.streams_of[tenant]:
            del desk.streams_of[tenant]


async def _history(search_id: InPath, last_seen: str | None, desk: Desk) -> Response:
    found = await desk.searches.frames(search_id, last_seen)
    if found is None:
        raise Problem("search.not_found")
    frames, closed = found
    head = b'{"search_id":%b,"closed":%b,"events":[' % (encode(search_id), b"true" if closed else b"false")
    return Response(head + b",".join(map(_as_json, frames)) + b"]}", media_type="application/json")


def _as_json(frame: Frame) -> bytes:
    return b'{"id":%b,"event":%b,"data":%b}' % (encode(frame.id), encode(frame.name), frame.data)


def _wants_history(accept: str) -> bool:
    return "application/json" in accept and STREAM not in accept
