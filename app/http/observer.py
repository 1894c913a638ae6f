"""Who watches: what a connection and its sessions tell of what they do, to be counted and logged."""

from http import HTTPStatus
from typing import Final, Protocol

import msgspec

from app.http.errors import ProtocolError
from app.http.record import Answered
from app.http.request import WireRequest

# Why something is refused where no status of HTTP, or not only that, says it.
APPLICATION_FAILED: Final = "application_failed"
TOO_MANY_CONNECTIONS: Final = "too_many_connections"
OVER_MEMORY_BUDGET: Final = "over_memory_budget"
TLS: Final = "tls"

WEBSOCKET: Final = "websocket"  # a protocol

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
    """What is so now."""

    in_flight: int = 0
    websockets: int = 0
    connections: int = 0
    draining: int = 0
    serving: int = 0


class Watch(Protocol):
    """Who watches the connections of one listener."""

    def connected(self) -> None:
        """Take notice of a connection."""

    def received(self, size: int) -> None:
        """Take notice of bytes that came."""

    def sent(self, size: int) -> None:
        """Take notice of bytes that were sent."""

    def refused(self, reason: str) -> None:
        """Take notice of a refusal, for a reason of which there are few."""

    def answered(self, answered: Answered) -> None:
        """Take notice of a request that was answered."""


class Unwatched:
    """Nobody watches."""

    def connected(self) -> None:
        """Take no notice."""

    def received(self, size: int) -> None:
        """Take no notice."""

    def sent(self, size: int) -> None:
        """Take no notice."""

    def refused(self, reason: str) -> None:
        """Take no notice."""

    def answered(self, answered: Answered) -> None:
        """Take no notice."""


UNWATCHED: Final[Watch] = Unwatched()


def unread(method: bytes = b"", version: str = "HTTP/1.1") -> WireRequest:
    """Give what stands for a request that could not be read, beyond its method at most."""
    return WireRequest(method, b"", version, ())


def reason_of(error: ProtocolError) -> str:
    """Give the reason of a refusal in a word."""
    return _REASONS.get(error.status, "other")
