"""State of one HTTP/2 request and its response."""

from typing import Final

from app.http.body import BodyReader
from app.http.request import HeaderList, HttpRequest
from app.server.http2.grpc_stream import GrpcStream
from app.server.response import WsgiResponse
from app.server.response_body import ResponseBody
from app.server.websocket.echo import WebSocketEcho

NEVER: Final = float("inf")  # a deadline


class Exchange:
    """One request and its response."""

    __slots__ = (
        "admitted_before",
        "admitted_bytes",
        "body_reader",
        "buffered_request_bytes",
        "close_deadline",
        "close_reason",
        "deadline",
        "delayed_bytes",
        "ends_with_reset",
        "head_received_at",
        "is_fully_queued",
        "is_queued",
        "is_responding",
        "readable_since",
        "received_bytes",
        "request",
        "response",
        "response_body",
        "send_buffer",
        "sent_bytes",
        "started_at",
        "trailers",
        "unreturned_window",
        "unsent_head",
        "websocket",
    )  # fmt: skip

    def __init__(self, request: HttpRequest, now: float, head_received_at: float) -> None:
        self.request = request
        self.head_received_at = head_received_at  # when its head arrived, by the exact clock
        self.response: WsgiResponse | None = None  # once it is answered
        self.sent_bytes = 0  # bytes of the response's body
        self.body_reader: BodyReader | None = None
        self.started_at = now
        self.received_bytes = 0  # bytes of the request's body
        self.deadline = NEVER
        self.is_queued = False  # it is complete, and waits until the client has read other responses
        self.is_responding = False  # nothing more of the request is processed
        self.readable_since = now  # since when the client has had something to read
        self.admitted_bytes = 0  # bytes that the flow-control windows have admitted since then
        self.admitted_before = 0  # bytes admitted of all responses until then
        self.send_buffer = memoryview(b"")  # output buffer
        self.is_fully_queued = False  # after `send_buffer` come only the trailers
        self.ends_with_reset = False  # after `send_buffer` comes the reset of the stream
        self.trailers: HeaderList = ()
        self.response_body: ResponseBody | GrpcStream | None = None  # a response that takes time, or a call's output
        self.unsent_head: WsgiResponse | None = None  # its head, until it is sent
        self.delayed_bytes = 0  # bytes of its body, during its delay
        self.buffered_request_bytes = 0  # bytes counted of an unanswered request
        self.websocket: WebSocketEcho | None = None
        self.close_reason = ""  # reason for closing the WebSocket, once it is to be closed
        self.close_deadline = NEVER  # when it is dropped, even without a Close frame from the client
        self.unreturned_window = 0  # bytes received and not returned to the client's window


def http2_headers(response: WsgiResponse, *, date: str, length: int | None) -> HeaderList:
    """Return a response's headers for HTTP/2: `:status` first, names in lower case (RFC 9113, 8.2 and 8.3.2).

    `length` is the Content-Length, or None for none.
    """
    headers = [(b":status", response.status[:3].encode("ascii")), (b"date", date.encode("ascii"))]
    for name, value in response.headers:
        lower_name = name.lower()
        if lower_name != "content-length":
            headers.append((lower_name.encode("latin-1"), value.encode("latin-1")))
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    return tuple(headers)
