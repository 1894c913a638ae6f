"""Events of an HTTP/2 connection."""

import msgspec

from app.http.errors import ProtocolError
from app.http.request import Fields
from app.server.http2.request_parser import Requested


class Head(msgspec.Struct, frozen=True, gc=False):
    """A stream has begun: its parsed request, or why it is rejected.

    `bodiless` marks a rejected HEAD request, whose response has no body either (RFC 9110, 9.3.2).
    """

    stream: int
    what: Requested | ProtocolError
    bodiless: bool = False


class Data(msgspec.Struct, frozen=True, gc=False):
    """A piece of a stream's body, never empty."""

    stream: int
    piece: bytes


class End(msgspec.Struct, frozen=True, gc=False):
    """The client has ended its side of a stream; the trailers."""

    stream: int
    trailers: Fields


class Reset(msgspec.Struct, frozen=True, gc=False):
    """A stream is closed, and no response can be sent."""

    stream: int


class MoreRoom(msgspec.Struct, frozen=True, gc=False):
    """The client has raised a flow-control window."""


Event = Head | Data | End | Reset | MoreRoom
Events = tuple[Event, ...]
