"""One request of a stream and its answer, on their way."""

from typing import Final

from app.http.body import Meter
from app.http.request import Fields, WireRequest
from app.server.http2.grpc_stream import Calling
from app.server.response import Response
from app.server.response_body import Outgoing
from app.server.websocket.echo import WebSocketEcho

NEVER: Final = float("inf")  # a deadline


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "answered", "begun", "broken", "closes", "deadline", "done", "goodbye", "head", "held", "kept", "meter", "out",
        "outgoing", "queued", "read", "read_before", "reads", "received", "request", "response", "sent", "since",
        "trailers", "untaken", "websocket",
    )  # fmt: skip

    def __init__(self, request: WireRequest, now: float, since: float) -> None:
        self.request = request
        self.since = since  # when its head had come, by the exact clock
        self.response: Response | None = None  # once it is answered
        self.sent = 0  # bytes of the answer's body
        self.meter: Meter | None = None
        self.begun = now
        self.received = 0  # bytes of body
        self.deadline = NEVER
        self.queued = False  # it is whole, and waits until the client has read others' answers
        self.answered = False  # nothing more of it is taken
        self.reads = now  # since when the client has had something to read
        self.read = 0  # bytes that it has let through since then
        self.read_before = 0  # bytes that it had let through of all answers by then
        self.out = memoryview(b"")  # what is still to be sent
        self.done = False  # nothing comes behind `out` but the trailers
        self.broken = False  # what comes behind `out` is the reset of the stream
        self.trailers: Fields = ()
        self.outgoing: Outgoing | Calling | None = None  # an answer that takes time, or what a call says
        self.head: Response | None = None  # of that, until it is sent
        self.held = 0  # bytes of its body, while its time has not come
        self.kept = 0  # bytes of a request that is not answered, as far as they are counted
        self.websocket: WebSocketEcho | None = None
        self.goodbye = ""  # why the WebSocket is closed from here, once it is to be
        self.closes = NEVER  # when it is dropped, whether the client has answered to that or not
        self.untaken = 0  # bytes that came and are not given back to the client's window


def fields_of(response: Response, *, date: str, length: int | None) -> Fields:
    """Give an answer's fields as HTTP/2 has them: `:status` first, names in lower case (RFC 9113, 8.2 and 8.3.2).

    `length` is what is told of the content, None for nothing.
    """
    fields = [(b":status", response.status[:3].encode("ascii")), (b"date", date.encode("ascii"))]
    for name, value in response.fields:
        lower = name.lower()
        if lower != "content-length":
            fields.append((lower.encode("latin-1"), value.encode("latin-1")))
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    return tuple(fields)
