"""One request of a stream and its answer, on their way."""

from typing import Final

from app.bodies import Meter
from app.carrier.response import Response
from app.carrier.websocket.echo import WebSocketEcho
from app.wire import Fields, WireRequest

NEVER: Final = float("inf")  # a deadline


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "begun", "closes", "deadline", "done", "goodbye", "meter", "out", "received", "request", "trailers", "untaken",
        "websocket",
    )  # fmt: skip

    def __init__(self, request: WireRequest, now: float) -> None:
        self.request = request
        self.meter: Meter | None = None
        self.begun = now
        self.received = 0  # bytes of body
        self.deadline = NEVER
        self.out = memoryview(b"")  # what is still to be sent
        self.done = False  # nothing comes behind `out` but the trailers
        self.trailers: Fields = ()
        self.websocket: WebSocketEcho | None = None
        self.goodbye = ""  # why the WebSocket is closed from here, once it is to be
        self.closes = NEVER  # when it is dropped, whether the client has answered to that or not
        self.untaken = 0  # bytes that came and are not given back to the client's window


def fields_of(response: Response, *, date: str, with_body: bool = True) -> Fields:
    """Give an answer's fields as HTTP/2 has them: `:status` first, names in lower case (RFC 9113, 8.2 and 8.3.2)."""
    fields = [(b":status", response.status[:3].encode("ascii")), (b"date", date.encode("ascii"))]
    length = b"%d" % len(response.body)
    for name, value in response.fields:
        if name.lower() == "content-length":
            # Of a HEAD request's answer only the application knows it.
            length = value.encode("ascii") if not with_body else length
        else:
            fields.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    if response.body or not with_body:
        fields.append((b"content-length", length))
    return tuple(fields)
