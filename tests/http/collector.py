"""A receiver of OTLP over HTTP that stores spans like a collector.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.http.process import DEADLINE


class Collector:
    """The received spans and the resource attributes of their sender."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.resource: dict[str, Any] = {}
        self._spans: list[Span] = []
        self._came = threading.Condition()

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Store the spans of an export request."""
        with self._came:
            for of_resource in request.resource_spans:
                self.resource = attributes(of_resource.resource)
                for of_scope in of_resource.scope_spans:
                    self._spans += of_scope.spans
            self._came.notify_all()

    def spans(self, count: int) -> list[Span]:
        """Wait for at least `count` spans and return all of them, sorted by start time."""
        with self._came:
            assert self._came.wait_for(lambda: len(self._spans) >= count, DEADLINE), self._spans
            return sorted(self._spans, key=lambda span: span.start_time_unix_nano)


def attributes(of: Any) -> dict[str, Any]:
    """Return the attributes of a span or a resource."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join(DEADLINE)
