"""What this process has counted, for Prometheus."""

from fastapi import APIRouter, Request, Response
from pydantic import SecretStr

from servicekit.telemetry.meters import exposition
from servicekit.telemetry.port import opens


def router(token: SecretStr) -> APIRouter:
    """`/metrics`, which has a token of its own and is no part of the API's document."""
    made = APIRouter()

    @made.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        counted = exposition()
        if counted is None:
            return Response(status_code=404)
        if not opens(token, request.headers.get("authorization", "")):
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        body, media_type = counted.text(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": media_type})

    return made
