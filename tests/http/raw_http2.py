"""An HTTP/2 client that sends any frame it is given (RFC 9113).

It validates nothing, and has its own framing, so that no library's checks stand between a test and the wire.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import hpack

from tests.http.corpus import Http2Case, Pairs, RawFrame, pairs, wire

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TYPES: Final = (
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
)
FLAGS: Final = {"END_STREAM": 0x1, "ACK": 0x1, "END_HEADERS": 0x4, "PADDED": 0x8, "PRIORITY": 0x20}
ERRORS: Final = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)
_FRAME: Final = 16_384  # maximum frame size in bytes that every peer accepts: 4.2
_WINDOW: Final = 1 << 24  # bytes accepted before another WINDOW_UPDATE is needed
_INITIAL_WINDOW_SIZE: Final = 4  # 6.5.2


class Frame(NamedTuple):
    """A received frame."""

    type: str
    flags: int
    stream: int
    payload: bytes


@dataclass
class Stream:
    """The response on a stream: `reset` is the name of an error code."""

    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False
    reset: str | None = None

    @property
    def status(self) -> int:
        """Return the status of the response, 0 before it arrives."""
        return int(self.fields.get(":status", 0))

    @property
    def over(self) -> bool:
        """Whether the stream is closed for receiving."""
        return self.complete or self.reset is not None


def frame(kind: str | int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame's bytes (4.1)."""
    number = TYPES.index(kind) if isinstance(kind, str) else kind
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", number, flags, stream) + payload


def block(fields: Pairs) -> bytes:
    """Encode a header block that adds nothing to the peer's dynamic table (RFC 7541, 6.2.3)."""
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(name, value) for name, value in fields])


def headers(stream: int, fields: Pairs, *, ends: bool) -> bytes:
    """Return the HEADERS frame of these headers, with as many CONTINUATION frames as needed (6.2, 6.10)."""
    whole = block(fields)
    pieces = [whole[start : start + _FRAME] for start in range(0, len(whole), _FRAME)] or [b""]
    flags = [0] * (len(pieces) - 1) + [FLAGS["END_HEADERS"]]
    flags[0] |= FLAGS["END_STREAM"] if ends else 0
    kinds = ["HEADERS"] + ["CONTINUATION"] * (len(pieces) - 1)
    return b"".join(frame(kind, flag, stream, piece) for kind, flag, piece in zip(kinds, flags, pieces, strict=True))


def request(path: bytes, stream: int) -> bytes:
    """Return a plain request."""
    fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", path), (b":authority", b"a")]
    return headers(stream, fields, ends=True)


def opening() -> bytes:
    """Return the client's connection preface, with a window for large responses (3.4)."""
    settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, _WINDOW)
    return PREFACE + frame("SETTINGS", 0, 0, settings) + frame("WINDOW_UPDATE", 0, 0, struct.pack(">I", _WINDOW))


def sent(case: Http2Case) -> bytes:
    """Return all bytes that a case sends."""
    opens = opening() if case.opens is None else wire(case.opens)
    return opens + b"".join(map(_raw, case.frames)) + b"".join(_request_of(case))


def _raw(raw: RawFrame) -> bytes:
    flags = raw.flags if isinstance(raw.flags, int) else sum(FLAGS[name] for name in raw.flags)
    payload = wire(raw.payload) if raw.fields is None else block(pairs(raw.fields))
    return frame(raw.type, flags, raw.stream, payload) * raw.times


def _request_of(case: Http2Case) -> Iterator[bytes]:
    if case.fields is None:
        return
    pieces = [wire([piece]) for piece in case.data]
    yield headers(1, pairs(case.fields), ends=case.ends and not pieces and case.trailers is None)
    for left, piece in zip(reversed(range(len(pieces))), pieces, strict=True):
        last = case.ends and not left and case.trailers is None
        yield frame("DATA", FLAGS["END_STREAM"] if last else 0, 1, piece)
    if case.trailers is not None:
        yield headers(1, pairs(case.trailers), ends=case.ends)


class Client:
    """A client connection that records the frames, streams, GOAWAY and close that it receives."""

    def __init__(self, sock: socket.socket) -> None:
        self.streams: dict[int, Stream] = {}
        self.goaway: str | None = None
        self.closed = False
        self.frames: list[Frame] = []
        self._sock = sock
        self._buffer = b""
        self._decoder = hpack.Decoder()
        self._decoder.max_header_list_size = _WINDOW
        self._block = b""

    def send(self, data: bytes, by: int | None = None) -> None:
        """Send bytes, in pieces of at most `by`; `hear` detects a closed connection."""
        step = by or len(data)
        try:
            for start in range(0, len(data), step):
                self._sock.sendall(data[start : start + step])
        except ConnectionError:
            pass

    def over(self, stream: int) -> bool:
        """Return whether a stream is closed, by itself or because of GOAWAY."""
        return self.goaway is not None or (stream in self.streams and self.streams[stream].over)

    def hear(self, until: Callable[[], bool] = lambda: False) -> None:
        """Receive frames until the condition holds or the connection is closed. Raises `TimeoutError`."""
        while not self.closed and not until():
            try:
                data = self._sock.recv(65_536)
            except ConnectionError:
                data = b""
            self.closed = not data
            self._buffer += data
            for each in self._cut():
                self.frames.append(each)
                self._take(each)

    def _cut(self) -> Iterator[Frame]:
        while len(self._buffer) >= 9:
            length = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + length:
                return
            number, flags, stream = struct.unpack(">BBI", self._buffer[3:9])
            payload, self._buffer = self._buffer[9 : 9 + length], self._buffer[9 + length :]
            yield Frame(TYPES[number] if number < len(TYPES) else str(number), flags, stream, payload)

    def _take(self, came: Frame) -> None:
        if came.type == "SETTINGS" and not came.flags & FLAGS["ACK"]:
            self.send(frame("SETTINGS", FLAGS["ACK"], 0))
        elif came.type == "GOAWAY":
            self.goaway = ERRORS[int.from_bytes(came.payload[4:8], "big")]
        elif came.type == "RST_STREAM":
            self._stream(came).reset = ERRORS[int.from_bytes(came.payload, "big")]
        elif came.type in {"HEADERS", "CONTINUATION"}:
            self._block += came.payload
            if came.flags & FLAGS["END_HEADERS"]:
                self._stream(came).fields |= {
                    str(name): str(value) for name, value in self._decoder.decode(self._block)
                }
                self._block = b""
        elif came.type == "DATA":
            self._stream(came).body += came.payload
        if came.type in {"HEADERS", "DATA"} and came.flags & FLAGS["END_STREAM"]:
            self._stream(came).complete = True

    def _stream(self, came: Frame) -> Stream:
        return self.streams.setdefault(came.stream, Stream())
