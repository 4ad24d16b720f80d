"""The OpenAPI document: how to sign in, problems in place of FastAPI's own errors, examples made of real values."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.domain.problem import ProblemDocument
from gateway.edge import COOKIE
from gateway.examples import EXAMPLES
from gateway.routes.describing import problems

_DESCRIPTION = """
Busca em licitações públicas de todo o país, com relevância, viabilidade e a medida exata do que foi olhado.

1. `POST /v1/searches` aceita a busca e devolve onde acompanhá-la.
2. `GET .../events` conta cada passo ao vivo; quem cai retoma exatamente de onde parou com `Last-Event-ID`.
3. `GET .../results`, `.../summary` e `.../spreadsheet` são a resposta.

Todo erro é um documento de problema (RFC 9457) com um `code` estável. Toda resposta leva `X-Correlation-Id`.
""".strip()
_INVALID = problems("request.invalid")[422]
"""In place of FastAPI's own error, wherever something can be invalid."""
_OPEN_TAGS = frozenset({"saúde", "arquivos"})


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` tell the whole of it."""
    made: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not made:
            made.update(_made(app))
        return made

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _made(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas[ProblemDocument.__name__] = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schemas[ProblemDocument.__name__].pop("$defs", {}))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "bearerFormat": "farol_<id>_<segredo>"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    for path in made["paths"].values():
        for operation in path.values():
            _finish(operation)
    return made


def _finish(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        responses["422"] = _INVALID
    operation["security"] = [] if _OPEN_TAGS.intersection(operation.get("tags", ())) else [{"key": []}, {"session": []}]
