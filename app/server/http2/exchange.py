"""State of one HTTP/2 request and its response."""

from typing import Final

from app.http.body import Meter
from app.http.request import Fields, WireRequest
from app.server.http2.grpc_stream import Calling
from app.server.response import Response
from app.server.response_body import Outgoing
from app.server.websocket.echo import WebSocketEcho

NEVER: Final = float("inf")  # a deadline


class Exchange:
    """One request and its response."""

    __slots__ = (
        "answered", "begun", "broken", "closes", "deadline", "done", "goodbye", "head", "held", "kept", "meter", "out",
        "outgoing", "queued", "read", "read_before", "reads", "received", "request", "response", "sent", "since",
        "trailers", "untaken", "websocket",
    )  # fmt: skip

    def __init__(self, request: WireRequest, now: float, since: float) -> None:
        self.request = request
        self.since = since  # when its head arrived, by the exact clock
        self.response: Response | None = None  # once it is answered
        self.sent = 0  # bytes of the response's body
        self.meter: Meter | None = None
        self.begun = now
        self.received = 0  # bytes of the request's body
        self.deadline = NEVER
        self.queued = False  # it is complete, and waits until the client has read other responses
        self.answered = False  # nothing more of the request is processed
        self.reads = now  # since when the client has had something to read
        self.read = 0  # bytes that the flow-control windows have admitted since then
        self.read_before = 0  # bytes admitted of all responses until then
        self.out = memoryview(b"")  # output buffer
        self.done = False  # after `out` come only the trailers
        self.broken = False  # after `out` comes the reset of the stream
        self.trailers: Fields = ()
        self.outgoing: Outgoing | Calling | None = None  # a response that takes time, or a call's output
        self.head: Response | None = None  # its head, until it is sent
        self.held = 0  # bytes of its body, during its delay
        self.kept = 0  # bytes counted of an unanswered request
        self.websocket: WebSocketEcho | None = None
        self.goodbye = ""  # reason for closing the WebSocket, once it is to be closed
        self.closes = NEVER  # when it is dropped, even without a Close frame from the client
        self.untaken = 0  # bytes received and not returned to the client's window


def fields_of(response: Response, *, date: str, length: int | None) -> Fields:
    """Return a response's headers for HTTP/2: `:status` first, names in lower case (RFC 9113, 8.2 and 8.3.2).

    `length` is the Content-Length, or None for none.
    """
    fields = [(b":status", response.status[:3].encode("ascii")), (b"date", date.encode("ascii"))]
    for name, value in response.fields:
        lower = name.lower()
        if lower != "content-length":
            fields.append((lower.encode("latin-1"), value.encode("latin-1")))
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    return tuple(fields)
