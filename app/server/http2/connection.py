"""HTTP/2 connection state machine without I/O (RFC 9113).

Frames in, events out. It has the state that both sides share according to the RFC: which streams are open, the two
flow-control windows of each, the state of header compression. Responses and timeouts belong to the protocol handler.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import ClassVar, Final

from app.http.errors import ProtocolError
from app.http.request import HeaderList
from app.server.head_cache import HeadCache
from app.server.http2 import frames, request_parser
from app.server.http2.events import (
    DataReceived,
    EventBatch,
    Http2Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from app.server.http2.flood_guard import FloodGuard
from app.server.http2.frame_writer import FrameWriter
from app.server.http2.frames import ErrorCode, Frame, Http2ConnectionError, Http2StreamError
from app.server.http2.header_blocks import HeaderBlock, HeaderBlockReader
from app.server.http2.request_parser import ParsedRequest
from app.server.limits import RequestLimits

# Bytes that a client may send before the window is raised. A body is processed as it arrives, so this costs no memory,
# and a window smaller than the bandwidth-delay product would slow an upload down.
STREAM_WINDOW: Final = 1 << 20
CONNECTION_WINDOW: Final = 1 << 22
_INITIAL_WINDOW: Final = 65_535  # 6.9.2
_MIN_GOAWAY_SIZE: Final = 8  # bytes, at least (6.8)
# Number of closed streams that are remembered. Frames on a stream that was reset here are ignored, since they were in
# transit; on another closed stream they are an error (5.1).
_MAX_CLOSED_STREAMS: Final = 1000


class Stream:
    """Shared state of one stream."""

    __slots__ = (
        "is_closed_by_client",
        "is_closed_by_server",
        "processed_bytes",
        "receive_window",
        "remaining_length",
        "send_window",
    )

    def __init__(self, send_window: int, length: int | None) -> None:
        self.send_window = send_window
        self.receive_window = STREAM_WINDOW
        self.processed_bytes = 0  # bytes processed and not yet returned to the window
        self.remaining_length = length  # bytes of body still to come, if the client has declared its length
        self.is_closed_by_server = False
        self.is_closed_by_client = False


class Http2Connection:
    """State of one connection: `receive_bytes` bytes and iterate `events`.

    `send_...`, and write what `data_to_send` returns.
    """

    def __init__(
        self,
        limits: RequestLimits,
        max_streams: int,
        clock: Callable[[], float],
        head_cache: HeadCache[HeaderList, ParsedRequest] | None = None,
    ) -> None:
        self.is_peer_open = True  # the client has not sent GOAWAY
        self.send_window = _INITIAL_WINDOW
        self.last_stream_id = 0  # the highest stream that the client has opened
        self.max_accepted_stream_id = frames.MAX_STREAM_ID
        self.frame_count = 0  # number of frames; a header block counts as one
        self._limits = limits
        self._max_streams = max_streams
        self._head_cache: HeadCache[HeaderList, ParsedRequest] = HeadCache() if head_cache is None else head_cache
        self._frame_reader = frames.FrameReader()
        self._pending_events: deque[Http2Event] = deque()  # events of frames that were processed
        self._missing_preface = frames.PREFACE  # the part of it that is missing
        self._has_settings = False  # the client's SETTINGS have arrived
        self._open_streams: dict[int, Stream] = {}
        self._closed_streams: dict[int, bool] = {}  # the streams closed last: whether they were reset here
        self._receive_window = CONNECTION_WINDOW
        self._processed_bytes = 0
        self._initial_window = _INITIAL_WINDOW
        self._block_reader = HeaderBlockReader(limits)
        self._flood_guard = FloodGuard(clock)
        self._frame_writer = FrameWriter()
        self._append_frame = self._frame_writer.append_frame
        self._append_frame(
            frames.encode_settings(
                {
                    frames.MAX_CONCURRENT_STREAMS: max_streams,
                    frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                    frames.MAX_HEADER_LIST_SIZE: limits.head_size,
                    frames.ENABLE_CONNECT_PROTOCOL: 1,
                }
            )
        )
        self._append_frame(frames.encode_number(frames.WINDOW_UPDATE, 0, CONNECTION_WINDOW - _INITIAL_WINDOW))

    # input

    @property
    def has_partial_head(self) -> bool:
        """Whether the client has to complete something: the preface, a frame, a header block.

        An incomplete DATA frame doesn't count: the body's timeout applies to it.
        """
        within_frame = self._frame_reader.has_partial_frame and self.partial_data[0] not in self._open_streams
        return not self._has_settings or self._block_reader.has_partial_block or within_frame

    @property
    def partial_data(self) -> tuple[int, int]:
        """The stream of an incomplete DATA frame, and the bytes of its payload received so far; (0, 0) without one."""
        return self._frame_reader.partial_data

    @property
    def buffered_input_bytes(self) -> int:
        """Bytes buffered that are not parsed yet, or belong to an incomplete frame or header block."""
        return self._frame_reader.buffered_bytes + self._block_reader.buffered_bytes

    def is_closed_by_client(self, stream_id: int) -> bool:
        """Return whether the client has ended its side of a stream."""
        stream = self._open_streams.get(stream_id)
        return stream is None or stream.is_closed_by_client

    def receive_bytes(self, data: bytes) -> None:
        """Process bytes from the client. Raise `Http2ConnectionError`."""
        if self._missing_preface:
            size = min(len(self._missing_preface), len(data))
            if data[:size] != self._missing_preface[:size]:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "invalid HTTP/2 connection preface")
            self._missing_preface, data = self._missing_preface[size:], data[size:]
        self._frame_reader.feed_bytes(data)

    def events(self) -> Iterator[Http2Event]:
        """Yield the events in the bytes so far. Iteration may stop at any event and resume later.

        Raise `Http2ConnectionError`, after which nothing can be parsed. A stream error is sent as RST_STREAM, and
        reported by a `StreamReset` event.
        """
        while True:
            while self._pending_events:
                yield self._pending_events.popleft()
            frame = self._frame_reader.next_frame()
            if frame is None:
                return
            self.frame_count += not self._block_reader.has_partial_block
            try:
                self._pending_events.extend(self._handle_frame(frame))
            except Http2StreamError as error:
                self._flood_guard.count_overhead_frame("stream errors")  # CVE-2025-8671
                self.reset_stream(error.stream_id, error.code)
                self._pending_events.append(StreamReset(error.stream_id))

    def _handle_frame(self, frame: Frame) -> EventBatch:
        if not self._has_settings and frame.type != frames.SETTINGS:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "first frame is not SETTINGS")  # 3.4
        self._block_reader.check_order(frame)
        handler = self._HANDLERS.get(frame.type)
        if handler is None:
            return self._count_as_overhead(frame)  # 4.1
        return handler(self, frame)

    def _count_as_overhead(self, frame: Frame) -> EventBatch:
        self._flood_guard.count_overhead_bytes(frames.FRAME_HEADER_SIZE + len(frame.payload))
        return ()

    def _handle_data(self, frame: Frame) -> EventBatch:
        stream = self._find_open_stream(frame)
        size = len(frame.payload)
        if size > self._receive_window:
            raise Http2ConnectionError(
                ErrorCode.FLOW_CONTROL_ERROR, "DATA exceeds the connection's flow-control window"
            )
        self._receive_window -= size
        if stream is None or stream.is_closed_by_client:
            self._return_to_windows(size)
            if stream is None and self._closed_streams.get(frame.stream_id):
                self._flood_guard.count_overhead_bytes(frames.FRAME_HEADER_SIZE)
                return ()  # it was in transit
            raise Http2StreamError(frame.stream_id, ErrorCode.STREAM_CLOSED)
        if size > stream.receive_window:
            self._return_to_windows(size)
            raise Http2StreamError(frame.stream_id, ErrorCode.FLOW_CONTROL_ERROR)
        stream.receive_window -= size
        piece = frames.strip_padding(frame)
        if len(piece) < size:
            self._return_to_windows(size - len(piece), frame.stream_id)
            self._flood_guard.count_overhead_bytes(size - len(piece))
        self._flood_guard.useful_bytes += len(piece)
        if stream.remaining_length is not None:
            stream.remaining_length -= len(piece)
            if stream.remaining_length < 0 or (stream.remaining_length and frame.flags & frames.END_STREAM):
                self._return_to_windows(len(piece))
                raise Http2StreamError(frame.stream_id, ErrorCode.PROTOCOL_ERROR)
        data_events = (DataReceived(frame.stream_id, piece),) if piece else ()
        if frame.flags & frames.END_STREAM:
            return *data_events, self._close_by_client(frame.stream_id, stream, ())
        if not piece:
            self._flood_guard.count_overhead_frame("empty DATA frames")
        return data_events

    def _handle_headers(self, frame: Frame) -> EventBatch:
        if not frame.stream_id % 2:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on an even-numbered stream")  # 5.1.1
        self._flood_guard.useful_bytes += len(frame.payload)
        return self._handle_block(self._block_reader.start_block(frame))

    def _handle_continuation(self, frame: Frame) -> EventBatch:
        self._flood_guard.useful_bytes += len(frame.payload)
        return self._handle_block(self._block_reader.continue_block(frame))

    def _handle_block(self, block: HeaderBlock | None) -> EventBatch:
        if block is None:
            return ()
        first_frame, headers = block.first_frame, block.headers
        if frames.depends_on_itself(first_frame):
            self.last_stream_id = max(self.last_stream_id, first_frame.stream_id)
            raise Http2StreamError(first_frame.stream_id, ErrorCode.PROTOCOL_ERROR)
        stream = self._open_streams.get(first_frame.stream_id)
        if stream is not None:
            return self._handle_trailers(block, stream)
        if first_frame.stream_id <= self.last_stream_id:
            if self._closed_streams.get(first_frame.stream_id):
                self._flood_guard.count_overhead_frame("HEADERS frames on closed streams")
                return ()
            code = (
                ErrorCode.STREAM_CLOSED if first_frame.stream_id in self._closed_streams else ErrorCode.PROTOCOL_ERROR
            )  # 5.1, 5.1.1
            raise Http2ConnectionError(
                code, f"HEADERS on stream {first_frame.stream_id} after stream {self.last_stream_id}"
            )
        self.last_stream_id = first_frame.stream_id
        if len(self._open_streams) >= self._max_streams or first_frame.stream_id > self.max_accepted_stream_id:
            raise Http2StreamError(first_frame.stream_id, ErrorCode.REFUSED_STREAM)
        result: ParsedRequest | ProtocolError
        try:
            result = self._head_cache.get(headers) or self._parse_request(block)
        except ProtocolError as error:
            result = error.with_traceback(None)  # it would refer to this frame, and the frame to it
            if error.status is HTTPStatus.BAD_REQUEST:
                self._flood_guard.count_overhead_frame("malformed requests")  # each of which is reset (8.1.1)
        length = result.length if isinstance(result, ParsedRequest) else None
        stream = self._open_streams[first_frame.stream_id] = Stream(self._initial_window, length)
        request_event = RequestReceived(first_frame.stream_id, result, is_head_request=(b":method", b"HEAD") in headers)
        if first_frame.flags & frames.END_STREAM:
            return request_event, self._close_by_client(first_frame.stream_id, stream, ())
        return (request_event,)

    def _parse_request(self, block: HeaderBlock) -> ParsedRequest:
        """Parse a request's headers; cache the result if they are repeated. Raise `ProtocolError`."""
        block.check_size(self._limits)
        return self._head_cache.store_if_repeated(
            block.headers, block.size, request_parser.parse_request(block.headers, self._limits)
        )

    def _handle_trailers(self, block: HeaderBlock, stream: Stream) -> EventBatch:
        first_frame = block.first_frame
        if stream.is_closed_by_client:
            raise Http2StreamError(first_frame.stream_id, ErrorCode.STREAM_CLOSED)
        if not first_frame.flags & frames.END_STREAM:
            raise Http2StreamError(first_frame.stream_id, ErrorCode.PROTOCOL_ERROR)  # 8.1
        try:
            block.check_size(self._limits)
            trailers = request_parser.parse_trailers(block.headers, self._limits)
        except ProtocolError as error:
            raise Http2StreamError(first_frame.stream_id, ErrorCode.PROTOCOL_ERROR) from error
        return (self._close_by_client(first_frame.stream_id, stream, trailers),)

    def _close_by_client(self, stream_id: int, stream: Stream, trailers: HeaderList) -> Http2Event:
        if stream.remaining_length:
            raise Http2StreamError(stream_id, ErrorCode.PROTOCOL_ERROR)
        stream.is_closed_by_client = True
        self._drop_if_closed(stream_id, stream)
        return StreamEnded(stream_id, trailers)

    def _handle_priority(self, frame: Frame) -> EventBatch:
        if not frame.stream_id:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(frame.payload) != 5:  # noqa: PLR2004 - a stream and a weight
            raise Http2StreamError(frame.stream_id, ErrorCode.FRAME_SIZE_ERROR)
        self._flood_guard.count_overhead_frame("PRIORITY frames")
        if frames.depends_on_itself(frame):
            raise Http2StreamError(frame.stream_id, ErrorCode.PROTOCOL_ERROR)
        return ()

    def _handle_rst_stream(self, frame: Frame) -> EventBatch:
        stream = self._find_open_stream(frame)
        frames.decode_number(frame)
        self._flood_guard.count_overhead_frame("RST_STREAM frames")
        if stream is None:
            return ()
        self._drop_stream(frame.stream_id, is_reset_by_server=False)
        return (StreamReset(frame.stream_id),)

    def _handle_settings(self, frame: Frame) -> EventBatch:
        if frame.stream_id:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream other than 0")
        if frame.flags & frames.ACK:
            if frame.payload:
                raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS acknowledgement with a payload")
            return self._count_as_overhead(frame)
        if self._has_settings:
            self._flood_guard.count_overhead_frame("SETTINGS frames")
        self._has_settings = True
        self._apply_settings(frames.decode_settings(frame.payload))
        self._append_frame(frames.encode(frames.SETTINGS, frames.ACK, 0))
        return (WindowUpdated(),)

    def _apply_settings(self, settings: Iterable[tuple[int, int]]) -> None:
        """Apply the client's settings (6.5.2). Raise `Http2ConnectionError`.

        A frame may contain the same setting thousands of times; the streams' windows are adjusted once.
        """
        window = self._initial_window
        for name, value in settings:
            if name == frames.HEADER_TABLE_SIZE:
                self._frame_writer.resize_table(value)
            elif name == frames.MAX_FRAME_SIZE:
                self._frame_writer.max_payload_size = value
            elif name == frames.INITIAL_WINDOW_SIZE:
                window = value
        increment, self._initial_window = window - self._initial_window, window
        for stream in self._open_streams.values() if increment else ():
            stream.send_window += increment
            if stream.send_window > frames.MAX_WINDOW:
                raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "flow-control window too large")

    def _handle_push_promise(self, _frame: Frame) -> EventBatch:
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")  # 8.4

    def _handle_ping(self, frame: Frame) -> EventBatch:
        if frame.stream_id:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PING on a stream other than 0")
        if len(frame.payload) != 8:  # noqa: PLR2004 - 6.7
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "PING payload is not 8 bytes")
        if frame.flags & frames.ACK:
            return self._count_as_overhead(frame)
        self._flood_guard.count_ping()
        self._append_frame(frames.encode(frames.PING, frames.ACK, 0, frame.payload))
        return ()

    def _handle_goaway(self, frame: Frame) -> EventBatch:
        if frame.stream_id:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream other than 0")
        if len(frame.payload) < _MIN_GOAWAY_SIZE:
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY frame too short")  # 4.2
        self.is_peer_open = False
        return self._count_as_overhead(frame)

    def _handle_window_update(self, frame: Frame) -> EventBatch:
        increment = frames.decode_number(frame) & frames.MAX_WINDOW
        self._count_as_overhead(frame)  # only counted; its increment is applied below
        if not frame.stream_id:
            self.send_window += increment
            if not increment:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE with an increment of 0")
            if self.send_window > frames.MAX_WINDOW:
                raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "flow-control window too large")
            return (WindowUpdated(),)
        stream = self._find_open_stream(frame)
        if stream is None:
            return ()
        stream.send_window += increment
        if not increment:
            raise Http2StreamError(frame.stream_id, ErrorCode.PROTOCOL_ERROR)
        if stream.send_window > frames.MAX_WINDOW:
            raise Http2StreamError(frame.stream_id, ErrorCode.FLOW_CONTROL_ERROR)
        return (WindowUpdated(),)

    def _find_open_stream(self, frame: Frame) -> Stream | None:
        """Return a frame's stream, or None if it is closed (5.1).

        Raise `Http2ConnectionError` for a stream that was never opened.
        """
        stream = self._open_streams.get(frame.stream_id)
        if stream is None and (frame.stream_id > self.last_stream_id or not frame.stream_id % 2):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"frame on idle stream {frame.stream_id}")
        return stream

    _HANDLERS: ClassVar[dict[int, Callable[["Http2Connection", Frame], EventBatch]]] = {
        frames.DATA: _handle_data,
        frames.HEADERS: _handle_headers,
        frames.PRIORITY: _handle_priority,
        frames.RST_STREAM: _handle_rst_stream,
        frames.SETTINGS: _handle_settings,
        frames.PUSH_PROMISE: _handle_push_promise,
        frames.PING: _handle_ping,
        frames.GOAWAY: _handle_goaway,
        frames.WINDOW_UPDATE: _handle_window_update,
        frames.CONTINUATION: _handle_continuation,
    }

    # output

    def acknowledge_data(self, stream_id: int, size: int) -> None:
        """Return bytes of a processed body to the windows, so that the client may send as many more."""
        self._return_to_windows(size, stream_id)

    def _return_to_windows(self, size: int, stream_id: int = 0) -> None:
        self._processed_bytes += size
        if self._processed_bytes >= CONNECTION_WINDOW // 2:
            self._append_frame(frames.encode_number(frames.WINDOW_UPDATE, 0, self._processed_bytes))
            self._receive_window += self._processed_bytes
            self._processed_bytes = 0
        stream = self._open_streams.get(stream_id)
        if stream is None or stream.is_closed_by_client:
            return
        stream.processed_bytes += size
        if stream.processed_bytes >= STREAM_WINDOW // 2:
            self._append_frame(frames.encode_number(frames.WINDOW_UPDATE, stream_id, stream.processed_bytes))
            stream.receive_window += stream.processed_bytes
            stream.processed_bytes = 0

    @property
    def buffered_output_bytes(self) -> int:
        """Number of bytes in the output buffer."""
        return self._frame_writer.buffered_bytes

    def is_open(self, stream_id: int) -> bool:
        """Return whether a stream is open, on either side."""
        return stream_id in self._open_streams

    def send_headers(self, stream_id: int, headers: HeaderList, *, end_stream: bool) -> None:
        """Send a header block: of a response, of an interim response, or of trailers."""
        self._flood_guard.useful_bytes += self._frame_writer.append_header_block(
            stream_id, headers, end_stream=end_stream
        )
        if end_stream:
            self._close_by_server(stream_id)

    def sendable_bytes(self, stream_id: int) -> int:
        """Return how many bytes can be sent on a stream now, in one frame."""
        stream = self._open_streams[stream_id]
        return max(0, min(stream.send_window, self.send_window, self._frame_writer.max_payload_size))

    def has_send_window(self, stream_id: int) -> bool:
        """Return whether a stream's own flow-control window is open."""
        stream = self._open_streams.get(stream_id)
        return stream is not None and stream.send_window > 0

    def send_data(self, stream_id: int, piece: bytes, *, end_stream: bool) -> None:
        """Send a piece of a response's body, at most `sendable_bytes` long."""
        self._append_frame(frames.encode(frames.DATA, frames.END_STREAM if end_stream else 0, stream_id, piece))
        self._flood_guard.useful_bytes += len(piece)
        self.send_window -= len(piece)
        self._open_streams[stream_id].send_window -= len(piece)
        if end_stream:
            self._close_by_server(stream_id)

    def reset_stream(self, stream_id: int, code: ErrorCode) -> None:
        """Reset a stream, whatever is in flight on it."""
        self._append_frame(frames.encode_number(frames.RST_STREAM, stream_id, code))
        self._drop_stream(stream_id, is_reset_by_server=True)

    def send_goaway(self, last_stream_id: int, code: ErrorCode, reason: str = "") -> None:
        """Send GOAWAY: streams above `last_stream_id` are not processed (6.8)."""
        self._append_frame(frames.encode_goaway(last_stream_id, code, reason))

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the wire."""
        return self._frame_writer.pop_bytes()

    def _close_by_server(self, stream_id: int) -> None:
        stream = self._open_streams[stream_id]
        stream.is_closed_by_server = True
        self._drop_if_closed(stream_id, stream)

    def _drop_if_closed(self, stream_id: int, stream: Stream) -> None:
        if stream.is_closed_by_server and stream.is_closed_by_client:
            self._drop_stream(stream_id, is_reset_by_server=False)

    def _drop_stream(self, stream_id: int, *, is_reset_by_server: bool) -> None:
        self._open_streams.pop(stream_id, None)
        self._closed_streams[stream_id] = is_reset_by_server
        if len(self._closed_streams) > _MAX_CLOSED_STREAMS:
            del self._closed_streams[next(iter(self._closed_streams))]
