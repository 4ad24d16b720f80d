"""What the OpenAPI document says of problems and links."""

from typing import Any

from contracts.state import SearchView
from gateway.domain.problem import KINDS, ProblemDocument


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, one example per code."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = KINDS[code]
        response = responses.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {
                    "application/problem+json": {
                        "schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"},
                        "examples": {},
                    }
                },
            },
        )
        response["content"]["application/problem+json"]["examples"][code] = {
            "value": {
                "type": f"urn:farol:problem:{code}",
                "title": kind.title,
                "status": kind.status,
                "detail": kind.detail,
                "code": code,
                "instance": "/v1/searches",
                "correlation_id": "6f1b3e0c9d2a4f7e8b5c1d0e9f8a7b6c",
            }
        }
    return responses


def links(search_id: str) -> dict[str, str]:
    """Where the parts of a search are."""
    base = f"/v1/searches/{search_id}"
    return {
        "self": base,
        "results": f"{base}/results",
        "events": f"{base}/events",
        "summary": f"{base}/summary",
        "spreadsheet": f"{base}/spreadsheet",
    }


def linked(view: SearchView) -> SearchView:
    """The state with its links."""
    return view.model_copy(update={"links": links(view.search_id)})
