"""The grpc.health.v1.Health service.

It reports whether the server, or one of its services, accepts calls.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from app.grpc import messages
from app.grpc.context import CallContext
from app.grpc.status import CallError, StatusCode
from app.http.text import quote_excerpt

_REQUEST = messages.message_class("grpc.health.v1.HealthCheckRequest")
_RESPONSE = messages.message_class("grpc.health.v1.HealthCheckResponse")


def check(context: CallContext, raw: bytes) -> bytes:
    """Return the status of the requested service. Raise `CallError` if it is unknown."""
    name = messages.parse_message(_REQUEST, raw).service
    if name and name not in context.services:
        raise CallError(
            StatusCode.NOT_FOUND, f"unknown service {quote_excerpt(name)}; available: {', '.join(context.services)}"
        )
    return _encode_status(_serving_status(context))


def watch(context: CallContext, raw: bytes) -> bytes:
    """Return the first status of a Watch; called again when the server stops, return the last one."""
    name = messages.parse_message(_REQUEST, raw).service
    return _encode_status("SERVICE_UNKNOWN" if name and name not in context.services else _serving_status(context))


def _serving_status(context: CallContext) -> str:
    return "NOT_SERVING" if context.draining else "SERVING"


def _encode_status(status: str) -> bytes:
    payload: bytes = _RESPONSE(status=status).SerializeToString()
    return payload
