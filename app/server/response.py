"""Responses, and their encoding in HTTP/1.1 (RFC 9112, 4 and 6)."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from app.http.errors import ProtocolError, full
from app.http.request import NO_EFFECTS, Effects
from app.http.response import BODILESS, HARMLESS, TEXT

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Statuses whose responses have no content (RFC 9110, 6.4.1).
_NO_LENGTH: Final = frozenset({*map(str, range(100, 200)), "204"})  # nor do they have a Content-Length (8.6)
WITHOUT_CONTENT: Final = _NO_LENGTH | frozenset(map(str, BODILESS))

_CONTENT_LENGTH: Final = "content-length"
_LENGTH_OF_THE_NAME: Final = len(_CONTENT_LENGTH)  # comparing lengths is faster than lowercasing every name
_LENGTH_DIGITS: Final = 18  # larger numbers are beyond anything that is sent


class Response(msgspec.Struct, frozen=True, gc=False):
    """Response of the application: `status` is code and phrase, `body` is complete.

    If there are `pieces`, they follow the body and are generated while they are sent; whoever takes the response has to
    close them (PEP 3333). `effects` are options beyond the response's bytes, `about` is information for the observer.
    """

    status: str
    fields: Sequence[tuple[str, str]]
    body: bytes
    effects: Effects = NO_EFFECTS
    pieces: Iterable[bytes] | None = None
    about: object = None


def refusal(error: ProtocolError) -> Response:
    """Return the response to a request that can't be parsed: one line of plain text, for people."""
    body = f"{error.status.value} {error.status.phrase}: {error.reason}\n".encode()
    fields = (
        ("Content-Type", TEXT),
        *HARMLESS,
        *error.fields,
    )
    return Response(f"{error.status.value} {error.status.phrase}", fields, body)


FAILED: Final = refusal(ProtocolError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"))
FULL: Final = refusal(full())


def has_content(response: Response, *, with_body: bool) -> bool:
    """Return whether content follows the head: not if the status has none, nor for HEAD (not `with_body`)."""
    return with_body and response.status[:3] not in WITHOUT_CONTENT


def told_length(response: Response, *, with_body: bool = True) -> int | None:
    """Return the Content-Length to send, or None to send none (RFC 9110, 8.6; RFC 9112, 6.3).

    For a complete body it is the length of what is sent, whatever the application declares. For a streamed body, for
    the response to HEAD (not `with_body`) and for 304, only the application knows it.
    """
    code = response.status[:3]
    if code in WITHOUT_CONTENT and code != "304":
        return 0 if code == "205" else None
    if with_body and response.pieces is None and code != "304":
        return len(response.body)
    return _said_length(response.fields)


def _said_length(fields: Sequence[tuple[str, str]]) -> int | None:
    for name, value in fields:
        if name.lower() == _CONTENT_LENGTH:
            sound = value.isascii() and value.isdecimal() and len(value) <= _LENGTH_DIGITS
            return int(value) if sound else None
    return None


def encode(response: Response, *, date: str, connection: str, with_body: bool = True) -> bytes:
    """Encode a complete response in HTTP/1.1.

    `date` is an HTTP-date (RFC 9110, 5.6.7); `connection` is `close`, `keep-alive`, `Upgrade`, or empty for the
    version's default. The response to HEAD is the head of GET's, without the body (RFC 9110, 9.3.2).
    """
    if with_body and response.status[:3] not in WITHOUT_CONTENT:
        framing = f"Content-Length: {len(response.body)}\r\n"
        return encode_head(response, date, connection, framing) + response.body
    return encode_head(response, date, connection, length_line(told_length(response, with_body=with_body)))


def length_line(length: int | None) -> str:
    """Return the Content-Length header line, or an empty string for None."""
    return "" if length is None else f"Content-Length: {length}\r\n"


def encode_head(response: Response, date: str, connection: str, framing: str) -> bytes:
    """Encode a response's head in HTTP/1.1; `framing` are the header lines that say where the body ends."""
    lines = "".join(
        [
            f"{name}: {value}\r\n"
            for name, value in response.fields
            # The framing has the length.
            if len(name) != _LENGTH_OF_THE_NAME or name.lower() != _CONTENT_LENGTH
        ]
    )
    closing = f"Connection: {connection}\r\n" if connection else ""
    return f"HTTP/1.1 {response.status}\r\nDate: {date}\r\n{lines}{closing}{framing}\r\n".encode("latin-1")
