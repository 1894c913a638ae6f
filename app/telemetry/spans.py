"""OpenTelemetry spans: one per request, recorded when it finishes.

Names and attributes follow the semantic conventions for HTTP servers
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/). The parent is the span in `traceparent`.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from app.http.record import GrpcResponseInfo, RequestRecord
from app.http.redaction import MASK
from app.http.request import HttpRequest, decode_lossless, split_target
from app.http.text import shorten
from app.telemetry.log_fields import MAX_TARGET, LogFields, method_text, response_info
from app.telemetry.metrics import METHODS

_NANO: Final = 1_000_000_000
_SERVER_ERROR: Final = 500
# gRPC status codes of server errors (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/).
_GRPC_SERVER_ERRORS: Final = frozenset(
    ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
)
_PROTOCOL_VERSIONS: Final = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2"}
_USER_AGENT: Final = b"user-agent"
_PATH: Final = b":path"


class SpanRecorder:
    """Recorder of spans, from redacted request data."""

    def __init__(self, tracer: Any, log_fields: LogFields, wall_time: Callable[[], float] = time.time) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - it is there only where spans are wanted
        from opentelemetry.context import Context  # noqa: PLC0415 - as above

        self._api: Any = trace
        self._empty_context = Context()
        self._tracer = tracer
        self._log_fields = log_fields
        self._wall_time = wall_time

    def record_span(self, record: RequestRecord) -> None:
        """Record the span of a finished request."""
        end = self._wall_time()
        code = int(record.status[:3])
        span = self._tracer.start_span(
            METHODS.get(record.request.method, "HTTP"),
            context=self._parent(record.request),
            kind=self._api.SpanKind.SERVER,
            attributes=dict(self._attributes(record, code)),
            start_time=int((end - record.seconds) * _NANO),
        )
        info = record.response_info
        if code >= _SERVER_ERROR or (
            isinstance(info, GrpcResponseInfo) and info.call_status.code in _GRPC_SERVER_ERRORS
        ):
            span.set_status(self._api.StatusCode.ERROR)
        span.end(end_time=int(end * _NANO))

    def _attributes(self, record: RequestRecord, code: int) -> Iterator[tuple[str, str | int]]:
        request, connection, info = record.request, record.connection, response_info(record)
        is_known_method = request.method in METHODS
        yield "http.request.method", METHODS.get(request.method, "_OTHER")
        if request.method and not is_known_method:
            yield "http.request.method_original", method_text(request)
        yield "http.response.status_code", code
        if code >= _SERVER_ERROR:
            yield "error.type", str(code)
        yield "url.scheme", "https" if connection.tls else "http"
        yield from self._target(request)
        yield "network.protocol.name", record.protocol or "http"
        yield "network.protocol.version", _PROTOCOL_VERSIONS.get(request.version, "")
        yield "network.peer.address", connection.client.address
        yield "network.peer.port", connection.client.port
        yield "client.address", self._log_fields.client(record)
        yield "server.address", connection.server.address
        yield "server.port", connection.server.port
        yield "http.request.body.size", record.received_bytes
        yield "http.response.body.size", record.sent_bytes
        user_agent = next((value for name, value in request.headers if name.lower() == _USER_AGENT), None)
        if user_agent is not None and not self._log_fields.is_redacted(_USER_AGENT):
            yield "user_agent.original", shorten(decode_lossless(user_agent), MAX_TARGET)
        if info:
            yield "echo.request.id", self._log_fields.id(info)
            yield "echo.format", info.format
        if isinstance(info, GrpcResponseInfo):
            yield "rpc.system", "grpc"
            if not self._log_fields.is_redacted(_PATH):
                yield "rpc.method", info.method
            yield "rpc.grpc.status_code", info.call_status.number
        if record.error:
            yield "echo.refusal", self._log_fields.error_text(record)

    def _target(self, request: HttpRequest) -> Iterator[tuple[str, str]]:
        target = self._log_fields.target(request)
        if target == MASK:
            yield "url.path", MASK
            return
        path, query = split_target(request.target)
        yield "url.path", shorten(decode_lossless(path), MAX_TARGET)
        if query:
            yield "url.query", shorten(decode_lossless(query), MAX_TARGET)

    def _parent(self, request: HttpRequest) -> Any:
        """Return the context of the request's traceparent, or an empty one: no other span may become the parent."""
        trace = self._log_fields.trace(request)
        if not trace or not trace.traceparent:
            return self._empty_context
        parent = trace.traceparent
        flags = self._api.TraceFlags(self._api.TraceFlags.SAMPLED if parent.sampled else self._api.TraceFlags.DEFAULT)
        ids = int(parent.trace_id, 16), int(parent.parent_id, 16)
        context = self._api.SpanContext(*ids, is_remote=True, trace_flags=flags)
        return self._api.set_span_in_context(self._api.NonRecordingSpan(context), self._empty_context)
