"""Unencrypted HTTP/2 client with prior knowledge (RFC 9113).

It follows GOAWAY.
"""

import asyncio
import struct
from dataclasses import dataclass, field
from typing import Final

import hpack

from app.server.http2 import frames
from app.server.http2.frames import Frame
from tests.e2e.load.connecting import SHOWN, Connection, Note
from tests.e2e.load.judging import Again, AgainError, Answer, Fault, LostError, Request

PROTOCOL: Final = "HTTP/2.0"  # the name in the reflection
_WINDOW: Final = 1 << 24  # bytes that the server may send without another WINDOW_UPDATE
_INITIAL: Final = 65_535  # initial window in bytes (6.9.2)


@dataclass
class Stream:
    """A request in progress, with the headers, body and trailers received of its response."""

    answer: asyncio.Future[Answer]
    head: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    trailers: dict[str, str] = field(default_factory=dict)


class Http2(Connection):
    """One connection, with any number of simultaneous requests."""

    def __init__(self, host: str, note: Note) -> None:
        super().__init__(host, note)
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self._reader = frames.FrameReader()
        self._streams: dict[int, Stream] = {}
        self._last = -1  # the last stream that was opened
        self._given_up: set[int] = set()  # streams that timed out: later frames are no second response
        self._done = asyncio.Event()  # a request has ended, in any way
        self._leaving = False
        self._credit = _INITIAL  # bytes of bodies that the server accepts
        self._credited = asyncio.Event()
        self._taken = 0  # bytes of bodies since the last WINDOW_UPDATE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface, with windows so large that they never limit responses."""
        super().connection_made(transport)
        settings = frames.encode_settings({frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: _WINDOW})
        window = frames.encode_number(frames.WINDOW_UPDATE, 0, _WINDOW - _INITIAL)
        self.transport.write(frames.PREFACE + settings + window)

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: neither GOAWAY nor the end of the connection has been received."""
        return not (self._leaving or self.ended.is_set() or self.transport.is_closing())

    async def ask(self, request: Request, *, last: bool) -> Answer:
        """Send a request; return its response. After the `last` one, the client has to close the connection."""
        del last
        number = 0
        try:
            async with asyncio.timeout(request.patience):
                while self._credit < len(request.body) and self.usable:
                    self._credited.clear()
                    await self._credited.wait()
                if not self.usable:  # no part of the request was sent
                    raise AgainError(Again.UNSENT, str(request))
                number = self._open(request)
                return await self._streams[number].answer
        except TimeoutError:
            self._given_up.add(number)
            raise LostError(Fault.TIMED_OUT, f"{request}, as stream {number}") from None
        finally:
            self._streams.pop(number, None)
            self._done.set()

    async def close(self) -> None:
        """Wait for pending requests, send GOAWAY, and wait until the server has closed the connection."""
        self._leaving = True
        while self._streams:
            self._done.clear()
            await self._done.wait()
        if not self.ended.is_set() and not self.transport.is_closing():
            self.transport.write(frames.encode_goaway(0, frames.ErrorCode.NO_ERROR))
            self.transport.write_eof()
            await self.wait_for_the_end()

    def data_received(self, data: bytes) -> None:
        """Receive frames."""
        self._reader.feed_bytes(data)
        try:
            while frame := self._reader.next_frame():
                self._take(frame)
        except (frames.Http2ConnectionError, hpack.HPACKError, LookupError, ValueError, struct.error) as error:
            self._fail_all(LostError(Fault.BROKEN, repr(error)))
            self.transport.abort()

    def fail(self, error: Exception | None) -> None:
        """Fail all pending requests."""
        for number, stream in list(self._streams.items()):
            fault = Fault.CUT if stream.head else Fault.RESET if error else Fault.CLOSED
            self._fail(number, LostError(fault, f"{error or 'closed'}, in stream {number}"))
        self._credited.set()

    def _asking(self, request: Request) -> tuple[tuple[tuple[str, str], ...], bytes]:
        """Return the headers and the body of a request."""
        fields = (
            (":method", request.method),
            (":scheme", "http"),
            (":authority", self.host),
            (":path", request.target),
            ("accept", "application/json"),
            ("x-request-id", request.id),
            ("content-length", str(len(request.body))),
        )
        return fields, request.body

    def _take_trailers(self, stream: Stream, fields: dict[str, str]) -> bool:
        """Handle headers after the first ones; return whether they are allowed."""
        del stream, fields
        return False

    def _answered(self, stream: Stream) -> Answer:
        """Return the complete response. Raises `ValueError` or `KeyError` if it is invalid."""
        head = stream.head
        if int(head["content-length"]) != len(stream.body):
            raise ValueError(f"{len(stream.body)} bytes where {head} was said")
        return Answer(int(head[":status"]), head.get("x-request-id", ""), bytes(stream.body))

    def _open(self, request: Request) -> int:
        self._last += 2
        fields, body = self._asking(request)
        out = [frames.encode(frames.HEADERS, frames.END_HEADERS, self._last, self._encoder.encode(fields))]
        for start in range(0, len(body), frames.MAX_PAYLOAD_SIZE):
            piece = body[start : start + frames.MAX_PAYLOAD_SIZE]
            ends = frames.END_STREAM if start + frames.MAX_PAYLOAD_SIZE >= len(body) else 0
            out.append(frames.encode(frames.DATA, ends, self._last, piece))
        self._credit -= len(body)
        self._streams[self._last] = Stream(asyncio.get_running_loop().create_future())
        self.transport.write(b"".join(out))
        return self._last

    def _take(self, frame: Frame) -> None:
        if frame.type in {frames.HEADERS, frames.DATA}:
            self._take_of_answer(frame)
        elif frame.type == frames.RST_STREAM:
            self._take_reset(frame.stream_id, frames.decode_number(frame))
        elif frame.type == frames.GOAWAY:
            self._take_goodbye(*struct.unpack_from(">II", frame.payload))
        elif frame.type == frames.WINDOW_UPDATE and not frame.stream_id:
            self._credit += frames.decode_number(frame)
            self._credited.set()
        elif frame.type in {frames.SETTINGS, frames.PING} and not frame.flags & frames.ACK:
            acknowledged = frame.payload if frame.type == frames.PING else b""
            self.transport.write(frames.encode(frame.type, frames.ACK, 0, acknowledged))

    def _take_of_answer(self, frame: Frame) -> None:
        payload, stream = frames.strip_padding(frame), self._streams.get(frame.stream_id)
        decoded = self._decoder.decode(payload) if frame.type == frames.HEADERS else ()
        fields = {str(name): str(value) for name, value in decoded}
        if frame.type == frames.DATA:
            self._take_into_account(len(frame.payload))
        if frame.stream_id in self._given_up:
            return
        late = fields and stream is not None and stream.head and not self._take_trailers(stream, fields)
        if stream is None or stream.answer.done() or late:
            self.note(Fault.TWICE, f"a frame of stream {frame.stream_id}, which has its answer: {payload[:SHOWN]!r}")
            return
        if frame.type == frames.DATA:
            stream.body += payload
        elif not stream.head:
            stream.head = fields
        if frame.flags & frames.END_STREAM:
            stream.answer.set_result(self._answered(stream))

    def _take_into_account(self, size: int) -> None:
        """Send a WINDOW_UPDATE once half of the window is used; a stream never uses up its own window."""
        self._taken += size
        if self._taken > _WINDOW // 2:
            self.transport.write(frames.encode_number(frames.WINDOW_UPDATE, 0, self._taken))
            self._taken = 0

    def _take_reset(self, number: int, code: int) -> None:
        if code == frames.ErrorCode.REFUSED_STREAM:
            self._fail(number, AgainError(Again.REFUSED, f"stream {number}"))
        else:
            self._fail(number, LostError(Fault.RESET, f"stream {number}, with code {code}"))

    def _take_goodbye(self, last: int, code: int) -> None:
        """Open no more streams, and wait only for those that are processed."""
        told, self._leaving = "told before" if self._leaving else "not told before", True
        self._credited.set()
        for number in [each for each in self._streams if each > last]:
            self._fail(number, AgainError(Again.ABOVE_THE_LAST, f"stream {number} above {last}, {told}"))
        if code != frames.ErrorCode.NO_ERROR:
            self._fail_all(LostError(Fault.RESET, f"GOAWAY with code {code}"))

    def _fail(self, number: int, error: Exception) -> None:
        stream = self._streams.get(number)
        if stream is not None and not stream.answer.done():
            stream.answer.set_exception(error)

    def _fail_all(self, error: Exception) -> None:
        self._leaving = True
        for number in list(self._streams):
            self._fail(number, error)
