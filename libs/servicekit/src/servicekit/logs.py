"""One JSON line per event on standard output, with nothing personal in it."""

import logging
import re
import sys
from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

log: structlog.stdlib.BoundLogger = structlog.get_logger()

HIDDEN = "[redacted]"
_ERRORS: Counter[tuple[str, str]] = Counter()
_KINDS_OF_ERRORS = 200
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:authorization|api_?key|token|secret|password|senha|cookie|phone|telefone|celular|whatsapp|e?_?mail|cpf)$",
    re.IGNORECASE,
)
_PERSONAL = re.compile(
    r"""
      [\w.+-]+@[\w-]+(?:\.[\w-]+)+                                   # e-mail
    | (?<![\w-])\+\d{2}[\s(]*\d{2}[\s)-]*9?\d{4}[\s-]?\d{4}(?![\w-])  # +55 (11) 91234-5678
    | (?<![\w-])\(\d{2}\)\s?9?\d{4}[\s-]?\d{4}(?![\w-])              # (11) 91234-5678
    | (?<![\w-])\d{2}\s9?\d{4}-\d{4}(?![\w-])                        # 11 91234-5678
    | (?<![\w-])55\d{2}9\d{8}(?![\w-])                               # 5511912345678
    | (?<![\w-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])                   # CPF
    | \b(?:sk|pk|key|farol)[-_][A-Za-z0-9_-]{16,}                    # API keys
    | (?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                                # user:password in a URL
    """,
    re.VERBOSE,
)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide keys, phones, e-mails and CPFs wherever they stand in a line."""
    return {name: HIDDEN if _SECRET_NAME.search(name) and value else clean(value) for name, value in event.items()}


def errors_of(service: str) -> dict[str, int]:
    """Error lines that this service has written in this process, by event."""
    return {event: count for (whose, event), count in _ERRORS.items() if whose == service}


def _count_errors(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if method in {"error", "exception", "critical"}:
        key = str(event.get("service", "")), str(event.get("event", ""))[:80]
        if key in _ERRORS or len(_ERRORS) < _KINDS_OF_ERRORS:
            _ERRORS[key] += 1
    return event


def configure(level: str, service: str) -> None:
    """Send our lines and those of libraries to standard output as JSON; called once, by the process's entry."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _ServiceName(service),
        _count_errors,
        # Without the frames' variables, which hold what people and sources have written.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        redact,
    ]
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_StdoutFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(_CurrentStdout())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.WARNING))


class _ServiceName:
    """Names the service in each line that does not say one itself."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
        event.setdefault("service", self._service)
        return event


class _CurrentStdout:
    """Whatever sys.stdout is at the moment of writing."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


class _StdoutFactory:
    """Makes loggers that write one line at a time."""

    def __call__(self, *_args: Any) -> structlog.PrintLogger:
        return structlog.PrintLogger(sys.stdout)


def _to_json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def clean(value: Any) -> Any:
    """The value without what is personal or secret in its texts."""
    if isinstance(value, str):
        return _PERSONAL.sub(HIDDEN, value)
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if _SECRET_NAME.search(str(name)) and inner else clean(inner) for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(inner) for inner in value]
    return value
