"""An answer, and its bytes on the wire (RFC 9112, 4 and 6)."""

from collections.abc import Sequence

import msgspec

from app.carrier.errors import ProtocolError
from app.wire import Fields

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Response(msgspec.Struct, frozen=True, gc=False):
    """What the application answered: `status` is code and phrase, `body` is whole, `trailers` come behind it."""

    status: str
    fields: Sequence[tuple[str, str]]
    body: bytes
    trailers: Fields = ()


def refusal(error: ProtocolError) -> Response:
    """Give the answer to a request that can't be read: one line of plain text, for people."""
    body = f"{error.status.value} {error.status.phrase}: {error.reason}\n".encode()
    fields = (
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        *error.fields,
    )
    return Response(f"{error.status.value} {error.status.phrase}", fields, body)


def encode(
    response: Response, *, date: str, connection: str, with_body: bool = True, with_trailers: bool = True
) -> bytes:
    """Give an answer's bytes in HTTP/1.1.

    `date` is an HTTP-date (RFC 9110, 5.6.7); `connection` is `close`, `keep-alive`, `Upgrade` or empty for the
    version's default. A HEAD request's answer is the head of GET's, without the body (RFC 9110, 9.3.2). Only chunks can
    have trailers behind them (RFC 9112, 7.1.2): HTTP/1.0 knows neither.
    """
    chunked = bool(response.trailers) and with_body and with_trailers
    lines = [f"HTTP/1.1 {response.status}\r\nDate: {date}\r\n"]
    for name, value in response.fields:
        # An application empties the body of a HEAD request's answer itself, and then only it knows the length.
        if not with_body or name.lower() != "content-length":
            lines.append(f"{name}: {value}\r\n")
    if connection:
        lines.append(f"Connection: {connection}\r\n")
    if chunked:
        lines.append(f"Trailer: {', '.join(sorted({name.decode('ascii') for name, _ in response.trailers}))}\r\n")
        lines.append("Transfer-Encoding: chunked\r\n")
    elif with_body:
        lines.append(f"Content-Length: {len(response.body)}\r\n")
    lines.append("\r\n")
    head = "".join(lines).encode("latin-1")
    if chunked:
        return head + _chunks(response.body, response.trailers)
    return head + response.body if with_body else head


def _chunks(body: bytes, trailers: Fields) -> bytes:
    data = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    return b"".join((data, b"0\r\n", *(b"%s: %s\r\n" % field for field in trailers), b"\r\n"))
