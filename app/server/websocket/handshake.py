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
from app.http.request import HttpRequest
from app.server.response import WsgiResponse
from app.server.websocket.deflate import DeflateFactory

_VERSION: Final = "13"  # RFC 6455, 4.1
_SUPPORTED_VERSION: Final = ("Sec-WebSocket-Version", _VERSION)
_EXTENSIONS: Final = (DeflateFactory(),)
_EXCERPT: Final = 200  # maximum characters of an error in a handshake that are reported


class AcceptedHandshake(msgspec.Struct, frozen=True):
    """An accepted handshake: its response, and the negotiated extensions."""

    response: WsgiResponse
    extensions: Sequence[Extension]


def accept_upgrade(request: HttpRequest) -> AcceptedHandshake:
    """Accept an HTTP/1.1 opening handshake for WebSocket (RFC 6455, 4.2).

    Raise `ProtocolError` for an invalid one, with the reason.
    """
    if request.method != b"GET":  # RFC 6455, 4.2.1; not 405: without an upgrade to WebSocket, any method is allowed
        raise bad_request("invalid WebSocket handshake: the method must be GET")
    protocol, headers = _server_protocol(), _library_headers(request)
    version = _requested_version(headers)
    if version != _VERSION:  # RFC 6455, 4.2.2 and 4.4; RFC 9110, 15.5.22
        raise ProtocolError(
            HTTPStatus.UPGRADE_REQUIRED, _version_error(version), (("Upgrade", "websocket"), _SUPPORTED_VERSION)
        )
    # Both were checked before (RFC 9110, 7.8), and the library accepts no list of protocols.
    for name in ("Connection", "Upgrade"):
        del headers[name]
    headers["Connection"], headers["Upgrade"] = "Upgrade", "websocket"
    library_response = protocol.accept(Request("/", headers))
    if library_response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        raise _handshake_error(protocol.handshake_exc)
    response_headers = [
        (name, value) for name, value in library_response.headers.raw_items() if name not in {"Date", "Connection"}
    ]
    return AcceptedHandshake(WsgiResponse("101 Switching Protocols", response_headers, b""), protocol.extensions)


def accept_extended_connect(request: HttpRequest) -> AcceptedHandshake:
    """Accept an HTTP/2 opening handshake (RFC 8441, 5), which has no key. Raise `ProtocolError`."""
    protocol, headers = _server_protocol(), _library_headers(request)
    version = _requested_version(headers)
    if version != _VERSION:  # not 426, which requires a header that HTTP/2 does not have (RFC 9113, 8.2.2)
        raise ProtocolError(HTTPStatus.BAD_REQUEST, _version_error(version), (_SUPPORTED_VERSION,))
    try:
        extension_header, extensions = protocol.process_extensions(headers)
        subprotocol = protocol.process_subprotocol(headers)
    except InvalidHandshake as error:
        raise _handshake_error(error) from error
    response_headers = (("sec-websocket-extensions", extension_header), ("sec-websocket-protocol", subprotocol))
    return AcceptedHandshake(
        WsgiResponse("200 OK", [(name, value) for name, value in response_headers if value], b""), extensions
    )


def _server_protocol() -> ServerProtocol:
    return ServerProtocol(extensions=_EXTENSIONS, select_subprotocol=_select_subprotocol)


def _select_subprotocol(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Return the client's preferred subprotocol: a browser fails a connection if none of its offers is selected."""
    return next(iter(offered), None)


def _library_headers(request: HttpRequest) -> Headers:
    return Headers((name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers)


def _requested_version(headers: Headers) -> str:
    versions = headers.get_all("Sec-WebSocket-Version")
    if len(versions) != 1:
        raise bad_request(f"invalid WebSocket handshake: {len(versions)} Sec-WebSocket-Version headers; must be one")
    return versions[0]


def _version_error(version: str) -> str:
    return f"unsupported WebSocket version {version[:_EXCERPT]!a}; must be {_VERSION}"


def _handshake_error(error: Exception | None) -> ProtocolError:
    return bad_request(f"invalid WebSocket handshake: {error}"[:_EXCERPT])
