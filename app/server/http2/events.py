"""Events of an HTTP/2 connection."""

import msgspec

from app.http.errors import ProtocolError
from app.http.request import HeaderList
from app.server.http2.request_parser import ParsedRequest


class RequestReceived(msgspec.Struct, frozen=True, gc=False):
    """A stream has begun: its parsed request, or why it is rejected.

    `is_head_request` marks a rejected HEAD request, whose response has no body either (RFC 9110, 9.3.2).
    """

    stream_id: int
    result: ParsedRequest | ProtocolError
    is_head_request: bool = False


class DataReceived(msgspec.Struct, frozen=True, gc=False):
    """A piece of a stream's body, never empty."""

    stream_id: int
    piece: bytes


class StreamEnded(msgspec.Struct, frozen=True, gc=False):
    """The client has ended its side of a stream; the trailers."""

    stream_id: int
    trailers: HeaderList


class StreamReset(msgspec.Struct, frozen=True, gc=False):
    """A stream is closed, and no response can be sent."""

    stream_id: int


class WindowUpdated(msgspec.Struct, frozen=True, gc=False):
    """The client has raised a flow-control window."""


Http2Event = RequestReceived | DataReceived | StreamEnded | StreamReset | WindowUpdated
EventBatch = tuple[Http2Event, ...]
