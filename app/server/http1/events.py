"""HTTP/1.1 event: a complete request head."""

from typing import Final

import msgspec

from app.http.request import HttpRequest

CHUNKED: Final = -1  # length of a body with chunked transfer coding


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """A request's head is complete: all of the request but its body and its trailers.

    `body_length`: bytes of the body, 0 if there is none, or `CHUNKED`; `keep_alive`: the client wants a persistent
    connection; `upgrades_to_websocket`: the client requests an upgrade to WebSocket.
    """

    request: HttpRequest
    body_length: int = 0
    keep_alive: bool = True
    expects_continue: bool = False
    upgrades_to_websocket: bool = False

    @property
    def has_no_body(self) -> bool:
        """Whether the request has no body, so that no `RequestEnd` follows."""
        return not self.body_length

    @property
    def is_chunked(self) -> bool:
        """Whether the body has chunked transfer coding."""
        return self.body_length == CHUNKED
