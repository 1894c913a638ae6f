"""Interface of connection observers, which count and log.

Connections and protocol handlers report to it what they do.
"""

from http import HTTPStatus
from typing import Final, Protocol

import msgspec

from app.http.errors import ProtocolError
from app.http.record import RequestRecord
from app.http.request import HttpRequest

# Rejection reasons that an HTTP status does not express, or not alone.
APPLICATION_FAILED: Final = "application_failed"
TOO_MANY_CONNECTIONS: Final = "too_many_connections"
OVER_MEMORY_BUDGET: Final = "over_memory_budget"
TLS_FAILED: Final = "tls"

WEBSOCKET: Final = "websocket"  # protocol name

_REASON_BY_STATUS: Final = {
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


class ConnectionObserver(Protocol):
    """Observer of the connections of one listener."""

    def record_connection(self) -> None:
        """Record a new connection."""

    def record_received(self, size: int) -> None:
        """Record received bytes."""

    def record_sent(self, size: int) -> None:
        """Record sent bytes."""

    def record_rejection(self, reason: str) -> None:
        """Record a rejection; the reason is one of a fixed list."""

    def record_request(self, record: RequestRecord) -> None:
        """Record a finished request."""


class NullObserver:
    """Observer that does nothing."""

    def record_connection(self) -> None:
        """Do nothing."""

    def record_received(self, size: int) -> None:
        """Do nothing."""

    def record_sent(self, size: int) -> None:
        """Do nothing."""

    def record_rejection(self, reason: str) -> None:
        """Do nothing."""

    def record_request(self, record: RequestRecord) -> None:
        """Do nothing."""


NULL_OBSERVER: Final[ConnectionObserver] = NullObserver()


def unparsed_request(method: bytes = b"", version: str = "HTTP/1.1") -> HttpRequest:
    """Return a placeholder for a request that could not be parsed, with its method if that is known."""
    return HttpRequest(method, b"", version, ())


def reason_label(error: ProtocolError) -> str:
    """Return the rejection reason of an error, as one word."""
    return _REASON_BY_STATUS.get(error.status, "other")
