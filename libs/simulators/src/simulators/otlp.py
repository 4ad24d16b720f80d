"""A collector of traces as OTLP/HTTP has it: keeps every span that it is sent and shows them as JSON.

`python -m simulators.otlp --port 4318`: POST /v1/traces (protobuf, gzip or not), GET and DELETE /spans.
"""

import argparse
import gzip
import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


class Collector(ThreadingHTTPServer):
    """Its spans, in the order in which they came."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Request)
        self.spans: list[dict[str, Any]] = []
        self.lock = threading.Lock()


class _Request(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path != "/v1/traces" or self.headers.get("Content-Type") != "application/x-protobuf":
            self._reply(b"", status=HTTPStatus.NOT_FOUND)
            return
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        spans = spans_of(ExportTraceServiceRequest.FromString(body))
        with self.server.lock:
            self.server.spans += spans
        self._reply(ExportTraceServiceResponse().SerializeToString(), kind="application/x-protobuf")

    def do_GET(self) -> None:
        with self.server.lock:
            self._reply(json.dumps(self.server.spans).encode())

    def do_DELETE(self) -> None:
        with self.server.lock:
            self.server.spans.clear()
        self._reply(b"[]")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Write nothing."""

    def _reply(self, body: bytes, *, status: HTTPStatus = HTTPStatus.OK, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def spans_of(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """Each span of one export, flat."""
    return [
        {
            "service": _attributes(resource.resource.attributes).get("service.name"),
            "name": span.name,
            "kind": int(span.kind),
            "trace_id": span.trace_id.hex(),
            "span_id": span.span_id.hex(),
            "parent_id": span.parent_span_id.hex() or None,
            "links": [link.trace_id.hex() for link in span.links],
            "start_ns": span.start_time_unix_nano,
            "end_ns": span.end_time_unix_nano,
            "attributes": _attributes(span.attributes),
            "error": span.status.message or None,
        }
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs if isinstance(pair, KeyValue)}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m simulators.otlp")
    parser.add_argument("--port", type=int, default=4318)
    with Collector(parser.parse_args().port) as collector:
        collector.serve_forever()


if __name__ == "__main__":
    main()
