"""HTTP/2 connection state machine without I/O (RFC 9113).

Frames in, events out. It has the state that both sides share according to the RFC: which streams are open, the two
flow-control windows of each, the state of header compression. Responses and timeouts belong to the protocol handler.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import ClassVar, Final

from app.http.errors import ProtocolError
from app.http.request import Fields
from app.server.head_cache import Recent
from app.server.http2 import frames, request_parser
from app.server.http2.events import Data, End, Event, Events, Head, MoreRoom, Reset
from app.server.http2.flood_guard import Patience
from app.server.http2.frame_writer import Sending
from app.server.http2.frames import ErrorCode, Frame, Http2ConnectionError, Http2StreamError
from app.server.http2.header_blocks import Block, BlockReader
from app.server.http2.request_parser import Requested
from app.server.limits import Limits

# Bytes that a client may send before the window is raised. A body is processed as it arrives, so this costs no memory,
# and a window smaller than the bandwidth-delay product would slow an upload down.
STREAM_WINDOW: Final = 1 << 20
CONNECTION_WINDOW: Final = 1 << 22
_INITIAL_WINDOW: Final = 65_535  # 6.9.2
_GOAWAY: Final = 8  # bytes, at least (6.8)
# Number of closed streams that are remembered. Frames on a stream that was reset here are ignored, since they were in
# transit; on another closed stream they are an error (5.1).
_REMEMBERED: Final = 1000


class Stream:
    """Shared state of one stream."""

    __slots__ = ("ended_here", "ended_there", "left", "receive_window", "send_window", "taken")

    def __init__(self, send_window: int, length: int | None) -> None:
        self.send_window = send_window
        self.receive_window = STREAM_WINDOW
        self.taken = 0  # bytes processed and not yet returned to the window
        self.left = length  # bytes of body still to come, if the client has declared its length
        self.ended_here = False
        self.ended_there = False


class Streams:
    """State of one connection: `receive` bytes and iterate `events`; `send_...`, and write what `outgoing` returns."""

    def __init__(
        self,
        limits: Limits,
        most: int,
        clock: Callable[[], float],
        recent: Recent[Fields, Requested] | None = None,
    ) -> None:
        self.goes_on = True  # the client has not sent GOAWAY
        self.send_window = _INITIAL_WINDOW
        self.last = 0  # the highest stream that the client has opened
        self.refuse_above = frames.LAST_STREAM
        self.taken = 0  # number of frames; a header block counts as one
        self._limits = limits
        self._most = most
        self._recent: Recent[Fields, Requested] = Recent() if recent is None else recent
        self._reader = frames.FrameReader()
        self._told: deque[Event] = deque()  # events of frames that were processed
        self._preface = frames.PREFACE  # the part of it that is missing
        self._settled = False  # the client's SETTINGS have arrived
        self._open: dict[int, Stream] = {}
        self._over: dict[int, bool] = {}  # the streams closed last: whether they were reset here
        self._receive_window = CONNECTION_WINDOW
        self._taken = 0
        self._initial_window = _INITIAL_WINDOW
        self._blocks = BlockReader(limits)
        self._patience = Patience(clock)
        self._sending = Sending()
        self._put = self._sending.put
        self._put(
            frames.encode_settings(
                {
                    frames.MAX_CONCURRENT_STREAMS: most,
                    frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                    frames.MAX_HEADER_LIST_SIZE: limits.head,
                    frames.ENABLE_CONNECT_PROTOCOL: 1,
                }
            )
        )
        self._put(frames.encode_number(frames.WINDOW_UPDATE, 0, CONNECTION_WINDOW - _INITIAL_WINDOW))

    # input

    @property
    def within_head(self) -> bool:
        """Whether the client has to complete something: the preface, a frame, a header block.

        An incomplete DATA frame doesn't count: the body's timeout applies to it.
        """
        within_frame = self._reader.within_frame and self.partial_data[0] not in self._open
        return not self._settled or self._blocks.within or within_frame

    @property
    def partial_data(self) -> tuple[int, int]:
        """The stream of an incomplete DATA frame, and the bytes of its payload received so far; (0, 0) without one."""
        return self._reader.partial_data

    @property
    def held(self) -> int:
        """Bytes buffered that are not parsed yet, or belong to an incomplete frame or header block."""
        return self._reader.held + self._blocks.held

    def ended(self, number: int) -> bool:
        """Return whether the client has ended its side of a stream."""
        stream = self._open.get(number)
        return stream is None or stream.ended_there

    def receive(self, data: bytes) -> None:
        """Process bytes from the client. Raise `Http2ConnectionError`."""
        if self._preface:
            size = min(len(self._preface), len(data))
            if data[:size] != self._preface[:size]:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "invalid HTTP/2 connection preface")
            self._preface, data = self._preface[size:], data[size:]
        self._reader.receive(data)

    def events(self) -> Iterator[Event]:
        """Yield the events in the bytes so far. Iteration may stop at any event and resume later.

        Raise `Http2ConnectionError`, after which nothing can be parsed. A stream error is sent as RST_STREAM, and
        reported by a `Reset` event.
        """
        while True:
            while self._told:
                yield self._told.popleft()
            frame = self._reader.next()
            if frame is None:
                return
            self.taken += not self._blocks.within
            try:
                self._told.extend(self._take(frame))
            except Http2StreamError as error:
                self._patience.lose("stream errors")  # CVE-2025-8671
                self.reset(error.stream, error.code)
                self._told.append(Reset(error.stream))

    def _take(self, frame: Frame) -> Events:
        if not self._settled and frame.type != frames.SETTINGS:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "first frame is not SETTINGS")  # 3.4
        self._blocks.check_order(frame)
        take = self._HANDLERS.get(frame.type)
        if take is None:
            return self._pass_over(frame)  # 4.1
        return take(self, frame)

    def _pass_over(self, frame: Frame) -> Events:
        self._patience.idle(frames.HEADER + len(frame.payload))
        return ()

    def _data(self, frame: Frame) -> Events:
        stream = self._known(frame)
        size = len(frame.payload)
        if size > self._receive_window:
            raise Http2ConnectionError(
                ErrorCode.FLOW_CONTROL_ERROR, "DATA exceeds the connection's flow-control window"
            )
        self._receive_window -= size
        if stream is None or stream.ended_there:
            self._give_back(size)
            if stream is None and self._over.get(frame.stream):
                self._patience.idle(frames.HEADER)
                return ()  # it was in transit
            raise Http2StreamError(frame.stream, ErrorCode.STREAM_CLOSED)
        if size > stream.receive_window:
            self._give_back(size)
            raise Http2StreamError(frame.stream, ErrorCode.FLOW_CONTROL_ERROR)
        stream.receive_window -= size
        piece = frames.unpadded(frame)
        if len(piece) < size:
            self._give_back(size - len(piece), frame.stream)
            self._patience.idle(size - len(piece))
        self._patience.useful += len(piece)
        if stream.left is not None:
            stream.left -= len(piece)
            if stream.left < 0 or (stream.left and frame.flags & frames.END_STREAM):
                self._give_back(len(piece))
                raise Http2StreamError(frame.stream, ErrorCode.PROTOCOL_ERROR)
        data = (Data(frame.stream, piece),) if piece else ()
        if frame.flags & frames.END_STREAM:
            return *data, self._ended(frame.stream, stream, ())
        if not piece:
            self._patience.lose("empty DATA frames")
        return data

    def _headers(self, frame: Frame) -> Events:
        if not frame.stream % 2:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on an even-numbered stream")  # 5.1.1
        self._patience.useful += len(frame.payload)
        return self._take_block(self._blocks.begin(frame))

    def _continuation(self, frame: Frame) -> Events:
        self._patience.useful += len(frame.payload)
        return self._take_block(self._blocks.go_on(frame))

    def _take_block(self, block: Block | None) -> Events:
        if block is None:
            return ()
        first, fields = block.first, block.fields
        if frames.depends_on_itself(first):
            self.last = max(self.last, first.stream)
            raise Http2StreamError(first.stream, ErrorCode.PROTOCOL_ERROR)
        stream = self._open.get(first.stream)
        if stream is not None:
            return self._trailers(block, stream)
        if first.stream <= self.last:
            if self._over.get(first.stream):
                self._patience.lose("HEADERS frames on closed streams")
                return ()
            code = ErrorCode.STREAM_CLOSED if first.stream in self._over else ErrorCode.PROTOCOL_ERROR  # 5.1, 5.1.1
            raise Http2ConnectionError(code, f"HEADERS on stream {first.stream} after stream {self.last}")
        self.last = first.stream
        if len(self._open) >= self._most or first.stream > self.refuse_above:
            raise Http2StreamError(first.stream, ErrorCode.REFUSED_STREAM)
        what: Requested | ProtocolError
        try:
            what = self._recent.get(fields) or self._read(block)
        except ProtocolError as error:
            what = error.with_traceback(None)  # it would refer to this frame, and the frame to it
            if error.status is HTTPStatus.BAD_REQUEST:
                self._patience.lose("malformed requests")  # each of which is reset (8.1.1)
        length = what.length if isinstance(what, Requested) else None
        stream = self._open[first.stream] = Stream(self._initial_window, length)
        head = Head(first.stream, what, bodiless=(b":method", b"HEAD") in fields)
        if first.flags & frames.END_STREAM:
            return head, self._ended(first.stream, stream, ())
        return (head,)

    def _read(self, block: Block) -> Requested:
        """Parse a request's headers; cache the result if they are repeated. Raise `ProtocolError`."""
        block.check_size(self._limits)
        return self._recent.keep(block.fields, block.size, request_parser.read(block.fields, self._limits))

    def _trailers(self, block: Block, stream: Stream) -> Events:
        first = block.first
        if stream.ended_there:
            raise Http2StreamError(first.stream, ErrorCode.STREAM_CLOSED)
        if not first.flags & frames.END_STREAM:
            raise Http2StreamError(first.stream, ErrorCode.PROTOCOL_ERROR)  # 8.1
        try:
            block.check_size(self._limits)
            trailers = request_parser.read_trailers(block.fields, self._limits)
        except ProtocolError as error:
            raise Http2StreamError(first.stream, ErrorCode.PROTOCOL_ERROR) from error
        return (self._ended(first.stream, stream, trailers),)

    def _ended(self, number: int, stream: Stream, trailers: Fields) -> Event:
        if stream.left:
            raise Http2StreamError(number, ErrorCode.PROTOCOL_ERROR)
        stream.ended_there = True
        self._forget_if_over(number, stream)
        return End(number, trailers)

    def _priority(self, frame: Frame) -> Events:
        if not frame.stream:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(frame.payload) != 5:  # noqa: PLR2004 - a stream and a weight
            raise Http2StreamError(frame.stream, ErrorCode.FRAME_SIZE_ERROR)
        self._patience.lose("PRIORITY frames")
        if frames.depends_on_itself(frame):
            raise Http2StreamError(frame.stream, ErrorCode.PROTOCOL_ERROR)
        return ()

    def _rst_stream(self, frame: Frame) -> Events:
        stream = self._known(frame)
        frames.number(frame)
        self._patience.lose("RST_STREAM frames")
        if stream is None:
            return ()
        self._forget(frame.stream, reset_here=False)
        return (Reset(frame.stream),)

    def _settings(self, frame: Frame) -> Events:
        if frame.stream:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream other than 0")
        if frame.flags & frames.ACK:
            if frame.payload:
                raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS acknowledgement with a payload")
            return self._pass_over(frame)
        if self._settled:
            self._patience.lose("SETTINGS frames")
        self._settled = True
        self._apply(frames.settings(frame.payload))
        self._put(frames.encode(frames.SETTINGS, frames.ACK, 0))
        return (MoreRoom(),)

    def _apply(self, settings: Iterable[tuple[int, int]]) -> None:
        """Apply the client's settings (6.5.2). Raise `Http2ConnectionError`.

        A frame may contain the same setting thousands of times; the streams' windows are adjusted once.
        """
        window = self._initial_window
        for name, value in settings:
            if name == frames.HEADER_TABLE_SIZE:
                self._sending.resize_table(value)
            elif name == frames.MAX_FRAME_SIZE:
                self._sending.max_frame = value
            elif name == frames.INITIAL_WINDOW_SIZE:
                window = value
        more, self._initial_window = window - self._initial_window, window
        for stream in self._open.values() if more else ():
            stream.send_window += more
            if stream.send_window > frames.MAX_WINDOW:
                raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "flow-control window too large")

    def _push_promise(self, _frame: Frame) -> Events:
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")  # 8.4

    def _ping(self, frame: Frame) -> Events:
        if frame.stream:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PING on a stream other than 0")
        if len(frame.payload) != 8:  # noqa: PLR2004 - 6.7
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "PING payload is not 8 bytes")
        if frame.flags & frames.ACK:
            return self._pass_over(frame)
        self._patience.ping()
        self._put(frames.encode(frames.PING, frames.ACK, 0, frame.payload))
        return ()

    def _goaway(self, frame: Frame) -> Events:
        if frame.stream:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream other than 0")
        if len(frame.payload) < _GOAWAY:
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY frame too short")  # 4.2
        self.goes_on = False
        return self._pass_over(frame)

    def _window_update(self, frame: Frame) -> Events:
        more = frames.number(frame) & frames.MAX_WINDOW
        self._pass_over(frame)  # only counted; its increment is applied below
        if not frame.stream:
            self.send_window += more
            if not more:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE with an increment of 0")
            if self.send_window > frames.MAX_WINDOW:
                raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "flow-control window too large")
            return (MoreRoom(),)
        stream = self._known(frame)
        if stream is None:
            return ()
        stream.send_window += more
        if not more:
            raise Http2StreamError(frame.stream, ErrorCode.PROTOCOL_ERROR)
        if stream.send_window > frames.MAX_WINDOW:
            raise Http2StreamError(frame.stream, ErrorCode.FLOW_CONTROL_ERROR)
        return (MoreRoom(),)

    def _known(self, frame: Frame) -> Stream | None:
        """Return a frame's stream, or None if it is closed (5.1).

        Raise `Http2ConnectionError` for a stream that was never opened.
        """
        stream = self._open.get(frame.stream)
        if stream is None and (frame.stream > self.last or not frame.stream % 2):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"frame on idle stream {frame.stream}")
        return stream

    _HANDLERS: ClassVar[dict[int, Callable[["Streams", Frame], Events]]] = {
        frames.DATA: _data,
        frames.HEADERS: _headers,
        frames.PRIORITY: _priority,
        frames.RST_STREAM: _rst_stream,
        frames.SETTINGS: _settings,
        frames.PUSH_PROMISE: _push_promise,
        frames.PING: _ping,
        frames.GOAWAY: _goaway,
        frames.WINDOW_UPDATE: _window_update,
        frames.CONTINUATION: _continuation,
    }

    # output

    def take(self, number: int, size: int) -> None:
        """Return bytes of a processed body to the windows, so that the client may send as many more."""
        self._give_back(size, number)

    def _give_back(self, size: int, number: int = 0) -> None:
        self._taken += size
        if self._taken >= CONNECTION_WINDOW // 2:
            self._put(frames.encode_number(frames.WINDOW_UPDATE, 0, self._taken))
            self._receive_window += self._taken
            self._taken = 0
        stream = self._open.get(number)
        if stream is None or stream.ended_there:
            return
        stream.taken += size
        if stream.taken >= STREAM_WINDOW // 2:
            self._put(frames.encode_number(frames.WINDOW_UPDATE, number, stream.taken))
            stream.receive_window += stream.taken
            stream.taken = 0

    @property
    def waiting(self) -> int:
        """Number of bytes in the output buffer."""
        return self._sending.waiting

    def knows(self, number: int) -> bool:
        """Return whether a stream is open, on either side."""
        return number in self._open

    def send_head(self, number: int, fields: Fields, *, end: bool) -> None:
        """Send a header block: of a response, of an interim response, or of trailers."""
        self._patience.useful += self._sending.put_head(number, fields, end=end)
        if end:
            self._end_here(number)

    def room(self, number: int) -> int:
        """Return how many bytes can be sent on a stream now, in one frame."""
        stream = self._open[number]
        return max(0, min(stream.send_window, self.send_window, self._sending.max_frame))

    def wants(self, number: int) -> bool:
        """Return whether a stream's own flow-control window is open."""
        stream = self._open.get(number)
        return stream is not None and stream.send_window > 0

    def send_data(self, number: int, piece: bytes, *, end: bool) -> None:
        """Send a piece of a response's body, of at most `room` bytes."""
        self._put(frames.encode(frames.DATA, frames.END_STREAM if end else 0, number, piece))
        self._patience.useful += len(piece)
        self.send_window -= len(piece)
        self._open[number].send_window -= len(piece)
        if end:
            self._end_here(number)

    def reset(self, number: int, code: ErrorCode) -> None:
        """Reset a stream, whatever is in flight on it."""
        self._put(frames.encode_number(frames.RST_STREAM, number, code))
        self._forget(number, reset_here=True)

    def go_away(self, last: int, code: ErrorCode, reason: str = "") -> None:
        """Send GOAWAY: streams above `last` are not processed (6.8)."""
        self._put(frames.encode_goaway(last, code, reason))

    def outgoing(self) -> bytes:
        """Return the bytes to write to the wire."""
        return self._sending.taken()

    def _end_here(self, number: int) -> None:
        stream = self._open[number]
        stream.ended_here = True
        self._forget_if_over(number, stream)

    def _forget_if_over(self, number: int, stream: Stream) -> None:
        if stream.ended_here and stream.ended_there:
            self._forget(number, reset_here=False)

    def _forget(self, number: int, *, reset_here: bool) -> None:
        self._open.pop(number, None)
        self._over[number] = reset_here
        if len(self._over) > _REMEMBERED:
            del self._over[next(iter(self._over))]
