"""The seam between the carrier and the application: the request as it was on the wire.

It travels in the WSGI environ under one key of ours. Nothing is decoded, folded, merged or reordered here; how bytes
are shown to people is decided in one function, `shown`.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from app.http.body import KEPT, NONE, Body, Meter, content_of
from app.http.call import Call
from app.http.connection_info import Endpoint, ProxyProtocol
from app.http.tls_info import TLS

Made = TypeVar("Made")

Fields = tuple[tuple[bytes, bytes], ...]
Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

# What the carrier tells the application: the `WireRequest`, the `ConnectionInfo`, whether the worker has begun to stop,
# whether the answer becomes a WebSocket's first message, whether the request asks for a call.
REQUEST_KEY: Final = "echo.wire"
CONNECTION_KEY: Final = "echo.connection"
DRAINING_KEY: Final = "echo.draining"
WEBSOCKET_KEY: Final = "echo.websocket"
CALL_KEY: Final = "echo.call"
# What the application tells the carrier: the `Effects`; and what it has to tell of the answer to who watches.
EFFECTS_KEY: Final = "echo.effects"
ABOUT_KEY: Final = "echo.about"

# The authority that an absolute-form target begins with (RFC 9112, 3.2.2).
_SCHEME_AND_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")

PERCENT: Final = 0x25  # as numbers, they are looked for eight times as fast
_PLUS: Final = 0x2B
_BACKSLASH: Final = 0x5C
# A backslash of the client's own that would read as the beginning of `\xHH` in what `shown` gives.
_LIKE_AN_ESCAPE = re.compile(rb"\\(?=x[0-9A-Fa-f]{2})")


class ConnectionInfo(msgspec.Struct, frozen=True):
    """What is known of the connection that carried a request.

    `client` and `server` are its two ends: those that the PROXY protocol tells, where it is spoken.
    """

    client: Endpoint
    server: Endpoint
    tls: TLS | None = None
    proxy: ProxyProtocol | None = None


class Effects(msgspec.Struct, frozen=True):
    """What an answer does beyond its bytes; the carrier carries it out.

    `delay` seconds pass before the first byte. The pieces of a `streamed` body are asked for one by one, as the client
    reads them, and `interval` seconds apart; its length is what Content-Length says, unknown without one. One that is
    `endless` is whole behind any piece, and ends when the echo stops. Until its end a streamed body keeps `held` bytes.
    `abort` closes the connection, in HTTP/2 the stream: `before` the head, or in the `middle`, behind the last piece
    that the application gives. `trailers` are sent behind the body. Of a `call`, the fields of the answer are its
    head's, and all that is behind it is the call's to say.
    """

    trailers: Fields = ()
    delay: float = 0.0
    streamed: bool = False
    interval: float = 0.0
    endless: bool = False
    held: int = 0
    abort: Literal["", "before", "middle"] = ""
    call: Call | None = None


NO_EFFECTS: Final = Effects()


class WireRequest(msgspec.Struct, frozen=True, gc=False):
    """One request: `fields` are (name, value) in the order and case in which they came, duplicates apart.

    So are `trailers`, the fields behind the body. `head` is all of it before the body, the empty line too, byte for
    byte; empty where the wire is not known, and in HTTP/2, which has no such text. There, `pseudo` are the
    pseudo-fields as they came (RFC 9113, 8.3), `authority` is one of them, and `target` is `:path`, or, of a CONNECT
    that has none, `:authority`.

    Of a head that comes again `made` has what follows from it alone, by who has made it: it is there with the next
    request whose head has the same bytes. None elsewhere. Who gives a request another head leaves it out.
    """

    method: bytes
    target: bytes
    version: str
    fields: Fields
    body: Body = NONE
    trailers: Fields = ()
    head: bytes = b""
    pseudo: Fields = ()
    authority: bytes = b""
    made: dict[object, Any] | None = None


def once(request: WireRequest, by: object, make: Callable[..., Made], *more: object) -> Made:
    """Give what follows from a request's head, which `make` makes of it and `more`, and is known `by`.

    It is made once, where the head comes again.
    """
    if request.made is None:
        return make(request, *more)
    made: Made | None = request.made.get(by)
    if made is None:
        made = request.made[by] = make(request, *more)
    return made


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Give a request target's path and query, both as sent, without the `?` (RFC 9112, 3.2).

    An absolute-form target loses its scheme and authority; authority-form and asterisk-form are all path.
    """
    if not target.startswith(b"/"):
        absolute = _SCHEME_AND_AUTHORITY.match(target)
        if absolute:
            target = target[absolute.end() :]
            target = target if target.startswith(b"/") else b"/" + target
    path, _, query = target.partition(b"?")
    return path, query


def unquoted(raw: bytes) -> bytes:
    """Give bytes percent-decoded once. Most have no percent sign, which costs less to see than to go through them."""
    return unquote_to_bytes(raw) if PERCENT in raw else raw


def decoded_path(target: bytes) -> bytes:
    """Give a request target's path, percent-decoded once, without its leading slash."""
    return unquoted(split_target(target)[0].removeprefix(b"/"))


def wire_head(request: WireRequest) -> bytes:
    """Give a request's head as it was on the wire, or, where the wire is not known, as it may have been.

    One that came by HTTP/2 is given as its fields, one a line, the pseudo-fields first: the wire had no text.
    """
    if request.head:
        return request.head
    if request.pseudo:
        return b"\r\n".join((*(b"%s: %s" % field for field in request.pseudo + request.fields), b"", b""))
    line = b" ".join((request.method, request.target, request.version.encode("ascii")))
    return b"\r\n".join((line, *(b"%s: %s" % field for field in request.fields), b"", b""))


def shown(raw: bytes) -> str:
    r"""Show bytes of the wire as a string: UTF-8, and each byte that is not as `\xff`, by its two hexadecimal digits.

    Reversible: where what was sent would itself read as such an escape, its backslash is shown as `\x5c`. So
    `\xHH` always stands for the byte HH, and everything else for itself.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return _LIKE_AN_ESCAPE.sub(rb"\\x5c", raw).decode("utf-8", "backslashreplace")
    return _LIKE_AN_ESCAPE.sub(rb"\\x5c", raw).decode() if "\\" in text else text


def shown_pairs(pairs: Fields) -> list[tuple[str, str]]:
    """Show pairs of bytes, in their order."""
    return [(shown(name), shown(value)) for name, value in pairs]


def is_plain(head: bytes) -> bool:
    """Tell whether `shown` gives just the characters of each part of a head: it is ASCII, and has no backslash."""
    return head.isascii() and _BACKSLASH not in head and bool(head)


def request_of(environ: Environ, max_decoded: int) -> WireRequest:
    """Give the wire request of an environ.

    Under another WSGI server than ours it is pieced together from what CGI names keep: the order, case and number
    of fields are lost, and so are names with `_`. Content codings are undone to `max_decoded` bytes.
    """
    request = environ.get(REQUEST_KEY)
    return request if isinstance(request, WireRequest) else _from_cgi(environ, max_decoded)


def connection_of(environ: Environ) -> ConnectionInfo:
    """Give what is known of the connection; under another WSGI server than ours, what CGI names tell."""
    info = environ.get(CONNECTION_KEY)
    if isinstance(info, ConnectionInfo):
        return info
    return ConnectionInfo(
        client=Endpoint(environ.get("REMOTE_ADDR", ""), _port(environ.get("REMOTE_PORT", ""))),
        server=Endpoint(environ.get("SERVER_NAME", ""), _port(environ.get("SERVER_PORT", ""))),
    )


def _port(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _from_cgi(environ: Environ, max_decoded: int) -> WireRequest:
    named = {key.removeprefix("HTTP_"): value for key, value in environ.items() if key.startswith("HTTP_")}
    named |= {key: environ[key] for key in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(key)}
    path = quote_from_bytes(environ.get("PATH_INFO", "").encode("latin-1"))
    query = environ.get("QUERY_STRING", "")
    fields = tuple(
        (name.replace("_", "-").title().encode("latin-1"), str(value).encode("latin-1"))
        for name, value in named.items()
    )
    return WireRequest(
        method=environ["REQUEST_METHOD"].encode("ascii"),
        target=(path + ("?" + query if query else "")).encode("latin-1"),
        version=environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
        body=_read_body(environ, fields, max_decoded),
        fields=fields,
    )


def _read_body(environ: Environ, fields: Fields, max_decoded: int) -> Body:
    length = environ.get("CONTENT_LENGTH") or "0"
    rest = int(length) if length.isdecimal() else 0
    meter = Meter(content_of(fields), max_decoded)
    while rest and (piece := environ["wsgi.input"].read(min(rest, KEPT))):
        meter.take(piece)
        while meter.pending:
            meter.work()
        rest -= len(piece)
    return meter.body(chunked=False)


def query_pairs(query: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Give a query's pairs, percent-decoded once, `+` as space, in order, empty values kept.

    https://url.spec.whatwg.org/#urlencoded-parsing
    """
    if not query:
        return ()
    if _PLUS in query:
        query = query.replace(b"+", b" ")
    pairs = [pair.partition(b"=") for pair in query.split(b"&") if pair]
    if PERCENT not in query:
        return tuple([(name, value) for name, _, value in pairs])
    return tuple([(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs])
