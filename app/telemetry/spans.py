"""OpenTelemetry spans: one per request, recorded when it finishes.

Names and attributes follow the semantic conventions for HTTP servers
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/). The parent is the span in `traceparent`.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from app.http.grpc_record import Called
from app.http.record import Answered
from app.http.redaction import MASK
from app.http.request import WireRequest, shown, split_target
from app.http.text import shortened
from app.telemetry.log_fields import TARGET, Facts, about_of, method
from app.telemetry.metrics import METHODS

_NANO: Final = 1_000_000_000
_SERVER_ERROR: Final = 500
# gRPC status codes of server errors (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/).
_FAULTS: Final = frozenset(("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))
_PROTOCOL_VERSIONS: Final = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2"}
_USER_AGENT: Final = b"user-agent"
_PATH: Final = b":path"


class Spans:
    """Recorder of spans, from redacted request data."""

    def __init__(self, tracer: Any, facts: Facts, wall: Callable[[], float] = time.time) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - it is there only where spans are wanted
        from opentelemetry.context import Context  # noqa: PLC0415 - as above

        self._api: Any = trace
        self._nothing = Context()
        self._tracer = tracer
        self._facts = facts
        self._wall = wall

    def record(self, answered: Answered) -> None:
        """Record the span of a finished request."""
        end = self._wall()
        code = int(answered.status[:3])
        span = self._tracer.start_span(
            METHODS.get(answered.request.method, "HTTP"),
            context=self._parent(answered.request),
            kind=self._api.SpanKind.SERVER,
            attributes=dict(self._attributes(answered, code)),
            start_time=int((end - answered.seconds) * _NANO),
        )
        about = answered.about
        if code >= _SERVER_ERROR or (isinstance(about, Called) and about.ending.code in _FAULTS):
            span.set_status(self._api.StatusCode.ERROR)
        span.end(end_time=int(end * _NANO))

    def _attributes(self, answered: Answered, code: int) -> Iterator[tuple[str, str | int]]:
        request, connection, about = answered.request, answered.connection, about_of(answered)
        known = request.method in METHODS
        yield "http.request.method", METHODS.get(request.method, "_OTHER")
        if request.method and not known:
            yield "http.request.method_original", method(request)
        yield "http.response.status_code", code
        if code >= _SERVER_ERROR:
            yield "error.type", str(code)
        yield "url.scheme", "https" if connection.tls else "http"
        yield from self._target(request)
        yield "network.protocol.name", answered.protocol or "http"
        yield "network.protocol.version", _PROTOCOL_VERSIONS.get(request.version, "")
        yield "network.peer.address", connection.client.address
        yield "network.peer.port", connection.client.port
        yield "client.address", self._facts.client(answered)
        yield "server.address", connection.server.address
        yield "server.port", connection.server.port
        yield "http.request.body.size", answered.received
        yield "http.response.body.size", answered.sent
        agent = next((value for name, value in request.fields if name.lower() == _USER_AGENT), None)
        if agent is not None and not self._facts.hides(_USER_AGENT):
            yield "user_agent.original", shortened(shown(agent), TARGET)
        if about:
            yield "echo.request.id", self._facts.id(about)
            yield "echo.format", about.form
        if isinstance(about, Called):
            yield "rpc.system", "grpc"
            if not self._facts.hides(_PATH):
                yield "rpc.method", about.method
            yield "rpc.grpc.status_code", about.ending.number
        if answered.why:
            yield "echo.refusal", self._facts.why(answered)

    def _target(self, request: WireRequest) -> Iterator[tuple[str, str]]:
        target = self._facts.target(request)
        if target == MASK:
            yield "url.path", MASK
            return
        path, query = split_target(request.target)
        yield "url.path", shortened(shown(path), TARGET)
        if query:
            yield "url.query", shortened(shown(query), TARGET)

    def _parent(self, request: WireRequest) -> Any:
        """Return the context of the request's traceparent, or an empty one: no other span may become the parent."""
        trace = self._facts.trace(request)
        if not trace or not trace.traceparent:
            return self._nothing
        parent = trace.traceparent
        flags = self._api.TraceFlags(self._api.TraceFlags.SAMPLED if parent.sampled else self._api.TraceFlags.DEFAULT)
        ids = int(parent.trace_id, 16), int(parent.parent_id, 16)
        context = self._api.SpanContext(*ids, is_remote=True, trace_flags=flags)
        return self._api.set_span_in_context(self._api.NonRecordingSpan(context), self._nothing)
