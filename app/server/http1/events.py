"""A request's head, as HTTP/1.1 has it."""

from typing import Final

import msgspec

from app.http.request import WireRequest

CHUNKED: Final = -1  # a body's length when chunks carry it


class Head(msgspec.Struct, frozen=True, gc=False):
    """A request's head is complete: all of the request but its body and its trailers.

    `length`: the bytes of the body, 0 where there is none, or `CHUNKED`; `keep_alive`: the client wants the connection
    kept; `websocket`: it requests an upgrade to WebSocket.
    """

    request: WireRequest
    length: int = 0
    keep_alive: bool = True
    expects_continue: bool = False
    websocket: bool = False

    @property
    def whole(self) -> bool:
        """Whether it has no body, and no `End` comes."""
        return not self.length

    @property
    def chunked(self) -> bool:
        """Whether chunks carry the body."""
        return self.length == CHUNKED
