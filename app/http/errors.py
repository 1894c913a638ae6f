"""What the carrier refuses, and how it says so."""

from collections.abc import Sequence
from http import HTTPStatus
from traceback import format_exception
from typing import Final

_EXCERPT: Final = 40  # bytes of what was wrong that are shown


class ProtocolError(Exception):
    """A request that can't be answered as asked: a status, one line that says what was wrong, fields that go with it.

    The connection is closed after it: where one request was not understood, the next one's beginning is not
    known (RFC 9112, 9.6).
    """

    def __init__(self, status: HTTPStatus, reason: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.fields = fields


def bad_request(reason: str) -> ProtocolError:
    """Give a 400 with its reason."""
    return ProtocolError(HTTPStatus.BAD_REQUEST, reason)


def full() -> ProtocolError:
    """Give a 503 for what would make the worker hold too much memory at once."""
    return ProtocolError(HTTPStatus.SERVICE_UNAVAILABLE, "memory budget exhausted (ECHO_MEMORY_BUDGET); retry later")


def excerpt(raw: bytes) -> str:
    """Show the beginning of what was wrong, in one line of ASCII."""
    return ascii(raw[:_EXCERPT] + (b"..." if len(raw) > _EXCERPT else b""))[1:]


def failure(error: Exception) -> str:
    """Tell what the application has raised, for the log."""
    return "request failed: unhandled exception in the application\n" + "".join(format_exception(error))
