"""Protocol errors: rejected requests, with status and reason."""

from collections.abc import Sequence
from http import HTTPStatus
from traceback import format_exception


class ProtocolError(Exception):
    """Rejected request: an error status, a one-line reason, and additional response headers.

    The connection is closed after it: if one request could not be parsed, the start of the next one is unknown
    (RFC 9112, 9.6).
    """

    def __init__(self, status: HTTPStatus, reason: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


def bad_request(reason: str) -> ProtocolError:
    """Return a 400 error with its reason."""
    return ProtocolError(HTTPStatus.BAD_REQUEST, reason)


def over_budget() -> ProtocolError:
    """Return a 503 error for a request that would exceed the worker's memory budget."""
    return ProtocolError(HTTPStatus.SERVICE_UNAVAILABLE, "memory budget exhausted (ECHO_MEMORY_BUDGET); retry later")


def format_app_error(error: Exception) -> str:
    """Return the log message for an exception that the application raised."""
    return "request failed: unhandled exception in the application\n" + "".join(format_exception(error))
