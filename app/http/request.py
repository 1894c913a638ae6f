"""Requests as on the wire, and their keys in the WSGI environ.

The environ carries the request under one key. Nothing is decoded, folded, merged or reordered here; only
`decode_lossless` decides how bytes are converted to text.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from app.http.body import BODY_PREFIX_SIZE, EMPTY_BODY, Body, BodyReader, parse_content_headers
from app.http.call import StreamingCall
from app.http.connection_info import Endpoint, ProxyProtocol
from app.http.tls_info import TlsInfo

Derived = TypeVar("Derived")

HeaderList = tuple[tuple[bytes, bytes], ...]
Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

# Keys set by the server: the `HttpRequest`, the `ConnectionInfo`, whether the worker is shutting down, whether the
# response becomes a WebSocket's first message, whether the request is a gRPC call.
REQUEST_KEY: Final = "echo.wire"
CONNECTION_KEY: Final = "echo.connection"
DRAINING_KEY: Final = "echo.draining"
WEBSOCKET_KEY: Final = "echo.websocket"
CALL_KEY: Final = "echo.call"
# Keys set by the application: the `ResponseOptions`, and information about the response for observers.
RESPONSE_OPTIONS_KEY: Final = "echo.effects"
RESPONSE_INFO_KEY: Final = "echo.about"

# Scheme and authority of an absolute-form target (RFC 9112, 3.2.2).
_SCHEME_AND_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")

# A backslash sent by the client that would read as the start of `\xHH` in the result of `decode_lossless`.
_ESCAPE_LOOKALIKE = re.compile(rb"\\(?=x[0-9A-Fa-f]{2})")


class ConnectionInfo(msgspec.Struct, frozen=True):
    """Connection that carried a request: its two ends, TLS and PROXY protocol header.

    `client` and `server` are the addresses in the PROXY protocol header if there is one, else those of the socket.
    """

    client: Endpoint
    server: Endpoint
    tls: TlsInfo | None = None
    proxy: ProxyProtocol | None = None


class ResponseOptions(msgspec.Struct, frozen=True):
    """Effects of a response beyond its bytes, which the server carries out.

    `delay` is the number of seconds before the first byte. The pieces of a `is_streamed` body are requested one by one,
    as the client reads them, and `interval` seconds apart; its length is in Content-Length, or unknown without that
    header. An `is_endless` body is complete after any piece, and ends when the server shuts down. A streamed body
    buffers `buffered_bytes` bytes until its end. `abort` closes the connection, or the stream over HTTP/2: `before` the
    response head, or in the `middle`, after the application's last piece. `trailers` are sent after the body. If there
    is a `call`, the response headers are those of the call, and everything after them comes from it.
    """

    trailers: HeaderList = ()
    delay: float = 0.0
    is_streamed: bool = False
    interval: float = 0.0
    is_endless: bool = False
    buffered_bytes: int = 0
    abort: Literal["", "before", "middle"] = ""
    call: StreamingCall | None = None


NO_OPTIONS: Final = ResponseOptions()


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """Request as on the wire: `headers` are (name, value) in the order and case received, duplicates separate.

    So are `trailers`. `head` is the request head with its final empty line, byte for byte; it is empty if unknown, and
    in HTTP/2, which has no such text. In HTTP/2, `pseudo` are the pseudo-headers as received (RFC 9113, 8.3),
    `authority` is one of them, and `target` is `:path`, or `:authority` for a CONNECT without `:path`.

    `memo` caches values derived from a request head that is received again, by the object that derives them; requests
    with the same head share it. It is None otherwise, and must not be copied to a request with a changed head.
    """

    method: bytes
    target: bytes
    version: str
    headers: HeaderList
    body: Body = EMPTY_BODY
    trailers: HeaderList = ()
    head: bytes = b""
    pseudo: HeaderList = ()
    authority: bytes = b""
    memo: dict[object, Any] | None = None


def memoize(request: HttpRequest, key: object, compute: Callable[..., Derived], *arguments: object) -> Derived:
    """Return `make(request, *more)`, a value derived from the request head only.

    For a request head that is received again, the result is cached under the key `key`.
    """
    if request.memo is None:
        return compute(request, *arguments)
    value: Derived | None = request.memo.get(key)
    if value is None:
        value = request.memo[key] = compute(request, *arguments)
    return value


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request target, both as sent, without the `?` (RFC 9112, 3.2).

    Scheme and authority of an absolute-form target are removed; authority-form and asterisk-form are entirely path.
    """
    if not target.startswith(b"/"):
        absolute = _SCHEME_AND_AUTHORITY.match(target)
        if absolute:
            target = target[absolute.end() :]
            target = target if target.startswith(b"/") else b"/" + target
    path, _, query = target.partition(b"?")
    return path, query


def decode_path(target: bytes) -> bytes:
    """Return the path of a request target, percent-decoded once, without its leading slash."""
    return unquote_to_bytes(split_target(target)[0].removeprefix(b"/"))


def raw_head(request: HttpRequest) -> bytes:
    """Return the request head as on the wire, or a reconstruction if it is unknown.

    For an HTTP/2 request it is one line per header, pseudo-headers first, since HTTP/2 has no text form.
    """
    if request.head:
        return request.head
    if request.pseudo:
        return b"\r\n".join((*(b"%s: %s" % field for field in request.pseudo + request.headers), b"", b""))
    line = b" ".join((request.method, request.target, request.version.encode("ascii")))
    return b"\r\n".join((line, *(b"%s: %s" % field for field in request.headers), b"", b""))


def decode_lossless(raw: bytes) -> str:
    r"""Convert bytes to lossless text: UTF-8, with each byte that is not UTF-8 as `\xff`, in two hexadecimal digits.

    The conversion is reversible: if the input itself contains such an escape, its backslash becomes `\x5c`. So `\xHH`
    always stands for the byte HH, and every other character for itself.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return _ESCAPE_LOOKALIKE.sub(rb"\\x5c", raw).decode("utf-8", "backslashreplace")
    return _ESCAPE_LOOKALIKE.sub(rb"\\x5c", raw).decode() if "\\" in text else text


def decode_lossless_pairs(pairs: HeaderList) -> list[tuple[str, str]]:
    """Convert pairs of bytes to lossless text, in their order."""
    return [(decode_lossless(name), decode_lossless(value)) for name, value in pairs]


def is_plain_ascii(head: bytes) -> bool:
    """Return whether `decode_lossless` keeps a request head unchanged: it is ASCII, without backslashes."""
    return head.isascii() and b"\\" not in head and bool(head)


def request_from_environ(environ: Environ, max_decoded: int) -> HttpRequest:
    """Return the wire request of an environ.

    Under another WSGI server it is reconstructed from CGI variables: order, case and number of headers are lost, and so
    are names with `_`. Content codings are decoded up to `max_decoded` bytes.
    """
    request = environ.get(REQUEST_KEY)
    return request if isinstance(request, HttpRequest) else _request_from_cgi(environ, max_decoded)


def connection_from_environ(environ: Environ) -> ConnectionInfo:
    """Return information about the connection; under another WSGI server, from CGI variables."""
    info = environ.get(CONNECTION_KEY)
    if isinstance(info, ConnectionInfo):
        return info
    return ConnectionInfo(
        client=Endpoint(environ.get("REMOTE_ADDR", ""), _parse_port(environ.get("REMOTE_PORT", ""))),
        server=Endpoint(environ.get("SERVER_NAME", ""), _parse_port(environ.get("SERVER_PORT", ""))),
    )


def _parse_port(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _request_from_cgi(environ: Environ, max_decoded: int) -> HttpRequest:
    variables = {key.removeprefix("HTTP_"): value for key, value in environ.items() if key.startswith("HTTP_")}
    variables |= {key: environ[key] for key in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(key)}
    path = quote_from_bytes(environ.get("PATH_INFO", "").encode("latin-1"))
    query = environ.get("QUERY_STRING", "")
    headers = tuple(
        (name.replace("_", "-").title().encode("latin-1"), str(value).encode("latin-1"))
        for name, value in variables.items()
    )
    return HttpRequest(
        method=environ["REQUEST_METHOD"].encode("ascii"),
        target=(path + ("?" + query if query else "")).encode("latin-1"),
        version=environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
        body=_read_body(environ, headers, max_decoded),
        headers=headers,
    )


def _read_body(environ: Environ, headers: HeaderList, max_decoded: int) -> Body:
    length = environ.get("CONTENT_LENGTH") or "0"
    remaining = int(length) if length.isdecimal() else 0
    reader = BodyReader(parse_content_headers(headers), max_decoded)
    while remaining and (piece := environ["wsgi.input"].read(min(remaining, BODY_PREFIX_SIZE))):
        reader.add_piece(piece)
        while reader.has_work:
            reader.step()
        remaining -= len(piece)
    return reader.finish(chunked=False)


def parse_query(query: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Parse the pairs of a query: percent-decoded once, `+` as space, in order, with empty values.

    https://url.spec.whatwg.org/#urlencoded-parsing
    """
    if not query:
        return ()
    pairs = [pair.partition(b"=") for pair in query.replace(b"+", b" ").split(b"&") if pair]
    return tuple([(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs])
