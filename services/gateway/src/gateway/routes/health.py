"""Whether this process lives, and whether it can serve."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.routes.ports import AtDesk

router = APIRouter(prefix="/v1/health", tags=["saúde"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Whether new work can be taken."""

    status: Literal["ready", "not_ready"]
    checks: dict[str, Literal["ok", "away"]]


class Health(BaseModel):
    """The short word on the whole."""

    status: Literal["healthy", "unhealthy"]
    service: Literal["gateway"] = "gateway"
    queue: Literal["healthy", "unavailable"]
    streams: int
    """Event streams open now."""


@router.get("", summary="Saúde")
async def health(desk: AtDesk) -> Health:
    """Always 200: it says what is wrong in its body."""
    connected = desk.publisher.connected
    return Health(
        status="healthy" if connected else "unhealthy",
        queue="healthy" if connected else "unavailable",
        streams=desk.searches.streams,
    )


@router.get("/live", summary="O processo responde")
async def live() -> Live:
    """Depends on nothing."""
    return Live()


@router.get(
    "/ready",
    summary="O serviço pode atender",
    responses={503: {"model": Ready, "description": "Uma dependência necessária está fora."}},
)
async def ready(desk: AtDesk, response: Response) -> Ready:
    """503 while the bus is away: new searches would be refused."""
    connected = desk.publisher.connected
    response.status_code = 200 if connected else 503
    return Ready(status="ready" if connected else "not_ready", checks={"bus": "ok" if connected else "away"})
