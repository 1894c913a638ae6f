"""Interface of connection observers, which count and log.

Connections and protocol handlers report to it what they do.
"""

from http import HTTPStatus
from typing import Final, Protocol

import msgspec

from app.http.errors import ProtocolError
from app.http.record import Answered
from app.http.request import WireRequest

# Rejection reasons that an HTTP status does not express, or not alone.
APPLICATION_FAILED: Final = "application_failed"
TOO_MANY_CONNECTIONS: Final = "too_many_connections"
OVER_MEMORY_BUDGET: Final = "over_memory_budget"
TLS: Final = "tls"

WEBSOCKET: Final = "websocket"  # protocol name

_REASONS: Final = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.REQUEST_TIMEOUT: "timeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "target_too_long",
    HTTPStatus.EXPECTATION_FAILED: "expectation",
    HTTPStatus.UPGRADE_REQUIRED: "websocket_version",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "head_too_large",
    HTTPStatus.NOT_IMPLEMENTED: "not_implemented",
    HTTPStatus.SERVICE_UNAVAILABLE: OVER_MEMORY_BUDGET,
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: "http_version",
}


class Gauges(msgspec.Struct):
    """Current values of a worker's gauges."""

    in_flight: int = 0
    websockets: int = 0
    connections: int = 0
    draining: int = 0
    serving: int = 0


class Watch(Protocol):
    """Observer of the connections of one listener."""

    def connected(self) -> None:
        """Record a new connection."""

    def received(self, size: int) -> None:
        """Record received bytes."""

    def sent(self, size: int) -> None:
        """Record sent bytes."""

    def refused(self, reason: str) -> None:
        """Record a rejection; the reason is one of a fixed list."""

    def answered(self, answered: Answered) -> None:
        """Record a finished request."""


class Unwatched:
    """Observer that does nothing."""

    def connected(self) -> None:
        """Do nothing."""

    def received(self, size: int) -> None:
        """Do nothing."""

    def sent(self, size: int) -> None:
        """Do nothing."""

    def refused(self, reason: str) -> None:
        """Do nothing."""

    def answered(self, answered: Answered) -> None:
        """Do nothing."""


UNWATCHED: Final[Watch] = Unwatched()


def unread(method: bytes = b"", version: str = "HTTP/1.1") -> WireRequest:
    """Return a placeholder for a request that could not be parsed, with its method if that is known."""
    return WireRequest(method, b"", version, ())


def reason_of(error: ProtocolError) -> str:
    """Return the rejection reason of an error, as one word."""
    return _REASONS.get(error.status, "other")
