"""The grpc.health.v1.Health service.

It reports whether the server, or one of its services, accepts calls.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from app.grpc import messages
from app.grpc.context import Asked
from app.grpc.status import CallError, Code
from app.http.text import quoted

_REQUEST = messages.message("grpc.health.v1.HealthCheckRequest")
_RESPONSE = messages.message("grpc.health.v1.HealthCheckResponse")


def check(asked: Asked, raw: bytes) -> bytes:
    """Return the status of the requested service. Raise `CallError` if it is unknown."""
    name = messages.parsed(_REQUEST, raw).service
    if name and name not in asked.services:
        raise CallError(Code.NOT_FOUND, f"unknown service {quoted(name)}; available: {', '.join(asked.services)}")
    return _told(_serving(asked))


def watch(asked: Asked, raw: bytes) -> bytes:
    """Return the first status of a Watch; called again when the server stops, return the last one."""
    name = messages.parsed(_REQUEST, raw).service
    return _told("SERVICE_UNKNOWN" if name and name not in asked.services else _serving(asked))


def _serving(asked: Asked) -> str:
    return "NOT_SERVING" if asked.draining else "SERVING"


def _told(status: str) -> bytes:
    told: bytes = _RESPONSE(status=status).SerializeToString()
    return told
