"""WebSocket opening handshake, in HTTP/1.1 and HTTP/2.

RFC 6455, 4 and RFC 8441.
https://websockets.readthedocs.io/en/stable/reference/sansio/server.html
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.extensions import Extension
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from app.http.errors import ProtocolError, bad_request
from app.http.request import WireRequest
from app.server.response import Response
from app.server.websocket.deflate import DeflateFactory

_VERSION: Final = "13"  # RFC 6455, 4.1
_SPOKEN: Final = ("Sec-WebSocket-Version", _VERSION)
_EXTENSIONS: Final = (DeflateFactory(),)
_EXCERPT: Final = 200  # maximum characters of an error in a handshake that are reported


class Accepted(msgspec.Struct, frozen=True):
    """An accepted handshake: its response, and the negotiated extensions."""

    response: Response
    extensions: Sequence[Extension]


def accept(request: WireRequest) -> Accepted:
    """Accept an HTTP/1.1 opening handshake for WebSocket (RFC 6455, 4.2).

    Raise `ProtocolError` for an invalid one, with the reason.
    """
    if request.method != b"GET":  # RFC 6455, 4.2.1; not 405: without an upgrade to WebSocket, any method is allowed
        raise bad_request("invalid WebSocket handshake: the method must be GET")
    protocol, headers = _negotiator(), _headers(request)
    version = _version(headers)
    if version != _VERSION:  # RFC 6455, 4.2.2 and 4.4; RFC 9110, 15.5.22
        raise ProtocolError(HTTPStatus.UPGRADE_REQUIRED, _other_version(version), (("Upgrade", "websocket"), _SPOKEN))
    # Both were checked before (RFC 9110, 7.8), and the library accepts no list of protocols.
    for name in ("Connection", "Upgrade"):
        del headers[name]
    headers["Connection"], headers["Upgrade"] = "Upgrade", "websocket"
    answer = protocol.accept(Request("/", headers))
    if answer.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        raise _not_a_handshake(protocol.handshake_exc)
    fields = [(name, value) for name, value in answer.headers.raw_items() if name not in {"Date", "Connection"}]
    return Accepted(Response("101 Switching Protocols", fields, b""), protocol.extensions)


def accept_extended_connect(request: WireRequest) -> Accepted:
    """Accept an HTTP/2 opening handshake (RFC 8441, 5), which has no key. Raise `ProtocolError`."""
    protocol, headers = _negotiator(), _headers(request)
    version = _version(headers)
    if version != _VERSION:  # not 426, which requires a header that HTTP/2 does not have (RFC 9113, 8.2.2)
        raise ProtocolError(HTTPStatus.BAD_REQUEST, _other_version(version), (_SPOKEN,))
    try:
        agreed, extensions = protocol.process_extensions(headers)
        subprotocol = protocol.process_subprotocol(headers)
    except InvalidHandshake as error:
        raise _not_a_handshake(error) from error
    offered = (("sec-websocket-extensions", agreed), ("sec-websocket-protocol", subprotocol))
    return Accepted(Response("200 OK", [(name, value) for name, value in offered if value], b""), extensions)


def _negotiator() -> ServerProtocol:
    return ServerProtocol(extensions=_EXTENSIONS, select_subprotocol=_first)


def _first(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Return the client's preferred subprotocol: a browser fails a connection if none of its offers is selected."""
    return next(iter(offered), None)


def _headers(request: WireRequest) -> Headers:
    return Headers((name.decode("ascii"), value.decode("latin-1")) for name, value in request.fields)


def _version(headers: Headers) -> str:
    versions = headers.get_all("Sec-WebSocket-Version")
    if len(versions) != 1:
        raise bad_request(f"invalid WebSocket handshake: {len(versions)} Sec-WebSocket-Version headers; must be one")
    return versions[0]


def _other_version(version: str) -> str:
    return f"unsupported WebSocket version {version[:_EXCERPT]!a}; must be {_VERSION}"


def _not_a_handshake(error: Exception | None) -> ProtocolError:
    return bad_request(f"invalid WebSocket handshake: {error}"[:_EXCERPT])
