"""An answer, and its bytes on the wire (RFC 9112, 4 and 6)."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from app.http.errors import ProtocolError, full
from app.http.request import NO_EFFECTS, Effects
from app.http.response import BODILESS, HARMLESS, TEXT

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Statuses whose answers have no content (RFC 9110, 6.4.1).
_NO_LENGTH: Final = frozenset({*map(str, range(100, 200)), "204"})  # nor do they tell a length (8.6)
WITHOUT_CONTENT: Final = _NO_LENGTH | frozenset(map(str, BODILESS))

_CONTENT_LENGTH: Final = "content-length"
_LENGTH_OF_THE_NAME: Final = len(_CONTENT_LENGTH)  # to compare it is faster than to make every name lower case
_LENGTH_DIGITS: Final = 18  # more are beyond anything that is sent


class Response(msgspec.Struct, frozen=True, gc=False):
    """What the application answered: `status` is code and phrase, `body` is whole.

    Where there are `pieces`, they come behind it, made while they are sent; whoever takes them has to close them
    (PEP 3333). `effects` is what the answer does beyond its bytes, `about` what the application tells who watches.
    """

    status: str
    fields: Sequence[tuple[str, str]]
    body: bytes
    effects: Effects = NO_EFFECTS
    pieces: Iterable[bytes] | None = None
    about: object = None


def refusal(error: ProtocolError) -> Response:
    """Give the answer to a request that can't be read: one line of plain text, for people."""
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
    """Tell whether content follows the head: none does where the status has none, or to HEAD (not `with_body`)."""
    return with_body and response.status[:3] not in WITHOUT_CONTENT


def told_length(response: Response, *, with_body: bool = True) -> int | None:
    """Give the Content-Length that an answer tells, or None for one that tells none (RFC 9110, 8.6; RFC 9112, 6.3).

    Of a whole body it is what is sent, whatever the application says. Of one that is made while it is sent, of the
    answer to a HEAD request (not `with_body`) and of 304, only the application knows it.
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
    """Give the bytes of a whole answer in HTTP/1.1.

    `date` is an HTTP-date (RFC 9110, 5.6.7); `connection` is `close`, `keep-alive`, `Upgrade` or empty for the
    version's default. A HEAD request's answer is the head of GET's, without the body (RFC 9110, 9.3.2).
    """
    if with_body and response.status[:3] not in WITHOUT_CONTENT:
        framing = f"Content-Length: {len(response.body)}\r\n"
        return encode_head(response, date, connection, framing) + response.body
    return encode_head(response, date, connection, length_line(told_length(response, with_body=with_body)))


def length_line(length: int | None) -> str:
    """Give the field line that tells a length, or nothing for None."""
    return "" if length is None else f"Content-Length: {length}\r\n"


def encode_head(response: Response, date: str, connection: str, framing: str) -> bytes:
    """Give the bytes of an answer's head in HTTP/1.1; `framing` are the field lines that say where the body ends."""
    lines = "".join(
        [
            f"{name}: {value}\r\n"
            for name, value in response.fields
            # The framing tells the length.
            if len(name) != _LENGTH_OF_THE_NAME or name.lower() != _CONTENT_LENGTH
        ]
    )
    closing = f"Connection: {connection}\r\n" if connection else ""
    return f"HTTP/1.1 {response.status}\r\nDate: {date}\r\n{lines}{closing}{framing}\r\n".encode("latin-1")
