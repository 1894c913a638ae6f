"""Responses, and their encoding in HTTP/1.1 (RFC 9112, 4 and 6)."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from app.http.errors import ProtocolError, over_budget
from app.http.request import NO_OPTIONS, ResponseOptions
from app.http.response import BODILESS_STATUSES, SECURITY_HEADERS, TEXT

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Statuses whose responses have no content (RFC 9110, 6.4.1).
_STATUSES_WITHOUT_LENGTH: Final = frozenset(
    {*map(str, range(100, 200)), "204"}
)  # nor do they have a Content-Length (8.6)
STATUSES_WITHOUT_CONTENT: Final = _STATUSES_WITHOUT_LENGTH | frozenset(map(str, BODILESS_STATUSES))

_CONTENT_LENGTH: Final = "content-length"
_MAX_LENGTH_DIGITS: Final = 18  # larger numbers are beyond anything that is sent


class WsgiResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of the application: `status` is code and phrase, `body` is complete.

    If there are `pieces`, they follow the body and are generated while they are sent; whoever takes the response has to
    close them (PEP 3333). `options` are options beyond the response's bytes, `info` is information for the observer.
    """

    status: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    options: ResponseOptions = NO_OPTIONS
    pieces: Iterable[bytes] | None = None
    info: object = None


def error_response(error: ProtocolError) -> WsgiResponse:
    """Return the response to a request that can't be parsed: one line of plain text, for people."""
    body = f"{error.status.value} {error.status.phrase}: {error.reason}\n".encode()
    headers = (
        ("Content-Type", TEXT),
        *SECURITY_HEADERS,
        *error.headers,
    )
    return WsgiResponse(f"{error.status.value} {error.status.phrase}", headers, body)


INTERNAL_ERROR_RESPONSE: Final = error_response(ProtocolError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"))
OVER_BUDGET_RESPONSE: Final = error_response(over_budget())


def has_content(response: WsgiResponse, *, with_body: bool) -> bool:
    """Return whether content follows the head: not if the status has none, nor for HEAD (not `with_body`)."""
    return with_body and response.status[:3] not in STATUSES_WITHOUT_CONTENT


def length_to_send(response: WsgiResponse, *, with_body: bool = True) -> int | None:
    """Return the Content-Length to send, or None to send none (RFC 9110, 8.6; RFC 9112, 6.3).

    For a complete body it is the length of what is sent, whatever the application declares. For a streamed body, for
    the response to HEAD (not `with_body`) and for 304, only the application knows it.
    """
    code = response.status[:3]
    if code in STATUSES_WITHOUT_CONTENT and code != "304":
        return 0 if code == "205" else None
    if with_body and response.pieces is None and code != "304":
        return len(response.body)
    return _declared_length(response.headers)


def _declared_length(headers: Sequence[tuple[str, str]]) -> int | None:
    for name, value in headers:
        if name.lower() == _CONTENT_LENGTH:
            is_valid = value.isascii() and value.isdecimal() and len(value) <= _MAX_LENGTH_DIGITS
            return int(value) if is_valid else None
    return None


def encode_response(response: WsgiResponse, *, date: str, connection: str, with_body: bool = True) -> bytes:
    """Encode a complete response in HTTP/1.1.

    `date` is an HTTP-date (RFC 9110, 5.6.7); `connection` is `close`, `keep-alive`, `Upgrade`, or empty for the
    version's default. The response to HEAD is the head of GET's, without the body (RFC 9110, 9.3.2).
    """
    if with_body and response.status[:3] not in STATUSES_WITHOUT_CONTENT:
        framing = f"Content-Length: {len(response.body)}\r\n"
        return encode_head(response, date, connection, framing) + response.body
    return encode_head(response, date, connection, content_length_line(length_to_send(response, with_body=with_body)))


def content_length_line(length: int | None) -> str:
    """Return the Content-Length header line, or an empty string for None."""
    return "" if length is None else f"Content-Length: {length}\r\n"


def encode_head(response: WsgiResponse, date: str, connection: str, framing: str) -> bytes:
    """Encode a response's head in HTTP/1.1; `framing` are the header lines that say where the body ends."""
    lines = "".join(
        [
            f"{name}: {value}\r\n"
            for name, value in response.headers
            # The framing has the length.
            if name.lower() != _CONTENT_LENGTH
        ]
    )
    connection_line = f"Connection: {connection}\r\n" if connection else ""
    return f"HTTP/1.1 {response.status}\r\nDate: {date}\r\n{lines}{connection_line}{framing}\r\n".encode("latin-1")
