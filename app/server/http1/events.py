"""HTTP/1.1 event: a complete request head."""

from typing import Final

import msgspec

from app.http.request import WireRequest

CHUNKED: Final = -1  # length of a body with chunked transfer coding


class Head(msgspec.Struct, frozen=True, gc=False):
    """A request's head is complete: all of the request but its body and its trailers.

    `length`: bytes of the body, 0 if there is none, or `CHUNKED`; `keep_alive`: the client wants a persistent
    connection; `websocket`: the client requests an upgrade to WebSocket.
    """

    request: WireRequest
    length: int = 0
    keep_alive: bool = True
    expects_continue: bool = False
    websocket: bool = False

    @property
    def whole(self) -> bool:
        """Whether the request has no body, so that no `End` follows."""
        return not self.length

    @property
    def chunked(self) -> bool:
        """Whether the body has chunked transfer coding."""
        return self.length == CHUNKED
