"""What the streams of a connection have to tell."""

import msgspec

from app.http.errors import ProtocolError
from app.http.request import Fields
from app.server.http2.request_parser import Requested


class Head(msgspec.Struct, frozen=True, gc=False):
    """A stream has begun: what it asks for, or why it can't be answered so.

    `bodiless` tells of a refused HEAD request, whose answer has no body either (RFC 9110, 9.3.2).
    """

    stream: int
    what: Requested | ProtocolError
    bodiless: bool = False


class Data(msgspec.Struct, frozen=True, gc=False):
    """A piece of a stream's body, never empty."""

    stream: int
    piece: bytes


class End(msgspec.Struct, frozen=True, gc=False):
    """The client has sent all of a stream, with its trailers."""

    stream: int
    trailers: Fields


class Reset(msgspec.Struct, frozen=True, gc=False):
    """A stream is over, and there is nobody to answer."""

    stream: int


class MoreRoom(msgspec.Struct, frozen=True, gc=False):
    """The client lets more be sent than before."""


Event = Head | Data | End | Reset | MoreRoom
Events = tuple[Event, ...]
