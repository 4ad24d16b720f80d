"""What goes back on the wire, and the bodies of the menu's failures as they were recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from simulators.faults import Fault, Kind, Source

JSON: Final = "application/json"
HTML: Final = "text/html; charset=UTF-8"
REVERSED: Final = "Data Inicial deve ser anterior ou igual à Data Final"
TOO_LONG: Final = "Período inicial e final maior que 365 dias."
NO_PAGE: Final = "Página inexistente para a consulta."
RATE_LIMITED: Final = (
    '<html><head><meta charset="UTF-8"><title>Limite de Requisições Excedido</title></head><body>'
    "<h2>Limite de requisições excedido</h2><p>Aguarde alguns instantes e tente novamente.</p></body></html>"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; an empty content type sends none."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One request as an endpoint sees it: its parameters, the path's, and the faults that distort the answer."""

    params: dict[str, str]
    path: dict[str, str]
    faults: Sequence[Fault] = ()
    needs_modalidade: bool = True

    def fault(self, kind: Kind) -> Fault | None:
        """The first fault of this kind that struck."""
        return next((fault for fault in self.faults if fault.kind is kind), None)


def json_reply(body: Any, status: int = 200) -> Reply:
    """An answer in JSON."""
    return Reply(status, orjson.dumps(body))


def bad_request(message: str) -> Reply:
    """PNCP's 400."""
    return json_reply({"status": 400, "message": message}, 400)


def not_found(message: str, path: str) -> Reply:
    """PNCP's 404."""
    return json_reply({"status": 404, "error": "Not Found", "message": message, "path": path}, 404)


def unprocessable(message: str) -> Reply:
    """PNCP's 422."""
    return json_reply({"message": message, "error": "422 UNPROCESSABLE_ENTITY"}, 422)


def rate_limited(retry_after: int | None) -> Reply:
    """The 429 page; the real one comes both with and without Retry-After."""
    headers = (("retry-after", str(retry_after)),) if retry_after is not None else ()
    return Reply(429, RATE_LIMITED.encode(), HTML, headers)


def failure(fault: Fault, source: Source) -> Reply | None:
    """The answer that a fault gives in place of the right one; None when it only delays or distorts."""
    if fault.kind is Kind.RATE_LIMITED:
        return rate_limited(fault.retry_after)
    if fault.kind is Kind.SPURIOUS_422:
        return unprocessable(TOO_LONG if fault.count % 2 else REVERSED)
    if fault.kind is Kind.BAD_REQUEST:
        return bad_request("Bad Request") if source is Source.PNCP else json_reply({"message": "Bad Request"}, 400)
    return FAILURES.get(fault.kind)


def _page(status: int, title: str, text: str) -> Reply:
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1>{text}</body></html>"
    return Reply(status, body.encode(), HTML)


FAILURES: Final = {
    Kind.HTML_200: _page(200, "Acesso negado", "A sua requisição foi bloqueada. Request Rejected."),
    Kind.NO_CONTENT: Reply(204, b"", ""),
    Kind.EMPTY_200: Reply(200),
    Kind.JSON_500: json_reply(
        {
            "timestamp": "2026-06-16T01:06:00.000+00:00",
            "status": 500,
            "error": "Internal Server Error",
            "message": "Failed to obtain JDBC Connection; nested exception is java.sql.SQLTransientConnectionException",
        },
        500,
    ),
    Kind.TEXT_500: Reply(500, "Erro na comunicação com o banco de dados.".encode()),
    Kind.HTML_503: _page(503, "503 Service Unavailable", "No server is available to handle this request."),
    Kind.HTML_504: _page(504, "504 Gateway Time-out", "The server didn't respond in time."),
}
