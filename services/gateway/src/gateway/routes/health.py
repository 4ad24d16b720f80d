"""Whether this process lives, and whether it can serve."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.routes.ports import AtDesk
from servicekit.health import HealthStatus

router = APIRouter(prefix="/v1/health", tags=["saúde"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Whether new work can be taken."""

    status: Literal["ready", "not_ready"]
    checks: dict[str, Literal["ok", "away"]]
    """What is needed; what only helps makes nobody unready."""


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
    """503 while something needed is away: new searches would be refused."""
    checks: dict[str, Literal["ok", "away"]] = {"bus": "ok" if desk.publisher.connected else "away"}
    if desk.health is not None and desk.publisher.connected:
        found = (await desk.health()).checks
        checks |= {
            name: "away" if check.status is HealthStatus.UNHEALTHY else "ok"
            for name, check in found.items()
            if check.status is not HealthStatus.DEGRADED
        }
    well = "away" not in checks.values()
    response.status_code = 200 if well else 503
    return Ready(status="ready" if well else "not_ready", checks=checks)
