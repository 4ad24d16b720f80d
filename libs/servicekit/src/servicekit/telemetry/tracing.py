"""One trace per search through every service, over OTLP/HTTP; without an endpoint nothing is imported and nothing made.

Only a request to the API begins a trace: whatever works on a message that carries none makes no spans.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanContext, SpanKind, Status, StatusCode

from servicekit.logs import clean, log
from servicekit.settings import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

_EXPORT_WITHIN: Final = 5
"""Seconds for one batch; what a collector does not take by then is lost, and nobody waits for it."""
_QUEUE: Final = 8192
"""Spans that wait for the collector; beyond it they are lost."""

Value = str | int | float | bool | Sequence[str]

_service: ContextVar[str] = ContextVar("traced_service", default="farol")
_exporting: "_Exporting | None" = None


class _Exporting:
    """A tracer per service, one way out for all of them."""

    def __init__(self, settings: TelemetrySettings) -> None:
        # Imported here: it brings requests and protobuf with it, half a second that only whoever traces pays.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        url = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
        self._settings = settings
        self._way_out: SpanProcessor = BatchSpanProcessor(
            OTLPSpanExporter(endpoint=url, timeout=_EXPORT_WITHIN), max_queue_size=_QUEUE
        )
        self._providers: dict[str, TracerProvider] = {}

    def tracer(self, service: str) -> trace.Tracer:
        """The tracer of one service."""
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

        provider = self._providers.get(service)
        if provider is None:
            name = f"{self._settings.otel_service_name}-{service}"
            provider = self._providers[service] = TracerProvider(
                sampler=ParentBasedTraceIdRatio(self._settings.sampling_rate),
                resource=Resource.create({"service.name": name, "service.namespace": "farol"}),
                shutdown_on_exit=False,
            )
            provider.add_span_processor(self._way_out)
        return provider.get_tracer("farol")

    def close(self) -> None:
        """Export what is left."""
        self._way_out.shutdown()


@asynccontextmanager
async def traced(settings: TelemetrySettings) -> AsyncIterator[None]:
    """Export spans until this is left; without an endpoint it does nothing."""
    global _exporting  # noqa: PLW0603 - traces are of the process, as its log is
    if not settings.otlp_endpoint or _exporting is not None:
        yield
        return
    _exporting = _Exporting(settings)
    log.info("tracing", sampling_rate=settings.sampling_rate)
    try:
        yield
    finally:
        leaving, _exporting = _exporting, None
        await asyncio.to_thread(leaving.close)


@contextmanager
def span(
    name: str, *, kind: SpanKind = SpanKind.INTERNAL, links: Sequence[SpanContext] = (), **attributes: Value
) -> Iterator[Span]:
    """A step of the trace that is under way; outside of one, and while nothing is exported, nothing.

    `search_id="..."` becomes `search.id`; on leaving it gets `duration_ms`. What is personal is hidden as in logs.
    """
    if _exporting is None or not trace.get_current_span().get_span_context().is_valid:
        yield INVALID_SPAN
        return
    with _started(name, kind=kind, links=links, attributes=attributes) as made:
        yield made


@contextmanager
def request_span(service: str, name: str, headers: Mapping[str, str], *, begins: bool) -> Iterator[Span]:
    """The span of a request from outside: it goes on with the asker's trace, or begins one where it may."""
    if _exporting is None:
        yield INVALID_SPAN
        return
    parent = propagate.extract(dict(headers))
    if not begins and not trace.get_current_span(parent).get_span_context().is_valid:
        yield INVALID_SPAN
        return
    with _inside(service, parent), _started(name, kind=SpanKind.SERVER) as made:
        yield made


@contextmanager
def message_span(
    service: str, name: str, headers: Mapping[str, str], *, kind: SpanKind = SpanKind.CONSUMER
) -> Iterator[Span]:
    """The span of a message from the bus, in the trace that it carries; of one that carries none, nothing."""
    if _exporting is None or "traceparent" not in headers:
        yield INVALID_SPAN
        return
    with _inside(service, propagate.extract(dict(headers))), _started(name, kind=kind) as made:
        yield made


@contextmanager
def carried(headers: Mapping[str, str]) -> Iterator[None]:
    """The trace that a bell carries is the current one inside, without a span of its own."""
    if _exporting is None or "traceparent" not in headers:
        yield
        return
    token = contexts.attach(propagate.extract(dict(headers)))
    try:
        yield
    finally:
        contexts.detach(token)


def link(from_span: Span) -> None:
    """Let this span point at the trace that is the current one here: it is served as well."""
    context = trace.get_current_span().get_span_context()
    if from_span.is_recording() and context.is_valid:
        from_span.add_link(context)


def trace_id() -> str | None:
    """The trace under way; None outside of one."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def about(made: Span, **attributes: Value) -> None:
    """Say more of a span; names as with `span`."""
    if made.is_recording():
        for name, value in attributes.items():
            made.set_attribute(_NAMES.get(name, name), clean(value))


_NAMES: Final = {
    "search_id": "search.id", "search_sector": "search.sector", "search_ufs": "search.ufs",
    "method": "http.request.method", "route": "http.route", "status": "http.response.status_code",
    "address": "server.address", "path": "url.path",
}  # fmt: skip


@contextmanager
def _inside(service: str, parent: contexts.Context) -> Iterator[None]:
    named, token = _service.set(service), contexts.attach(parent)
    try:
        yield
    finally:
        contexts.detach(token)
        _service.reset(named)


@contextmanager
def _started(
    name: str,
    *,
    kind: SpanKind,
    links: Sequence[SpanContext] = (),
    attributes: Mapping[str, Value] | None = None,
) -> Iterator[Span]:
    assert _exporting is not None  # noqa: S101 - every caller has looked
    made = _exporting.tracer(_service.get()).start_span(name, kind=kind, links=[Link(each) for each in links])
    about(made, **(attributes or {}))
    token = contexts.attach(trace.set_span_in_context(made))
    began = perf_counter()
    try:
        yield made
    except BaseException as exc:
        if isinstance(exc, Exception):
            # Its kind alone: words of an exception may hold what a source or a person has written.
            made.set_status(Status(StatusCode.ERROR, type(exc).__name__))
        raise
    finally:
        contexts.detach(token)
        made.set_attribute("duration_ms", round((perf_counter() - began) * 1000, 1))
        made.end()


def of_search(search_id: str, sector: str | None, ufs: Sequence[Any]) -> dict[str, Any]:
    """What every span of a search's stages says of it."""
    return {"search_id": search_id, "search_sector": sector or "", "search_ufs": [str(uf) for uf in ufs]}
