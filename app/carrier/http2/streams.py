"""The streams of one HTTP/2 connection without I/O: frames in, events out (RFC 9113).

It keeps what the RFC has both sides agree on: which streams are open, the two windows of each, the state of header
compression. What is answered, and how long anything may take, is the session's.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import ClassVar, Final

import hpack
import msgspec
from hpack.exceptions import HPACKError, OversizedHeaderListError

from app.carrier.errors import ProtocolError
from app.carrier.http2 import frames, requests
from app.carrier.http2.frames import ErrorCode, Frame, Http2ConnectionError, Http2StreamError
from app.carrier.http2.requests import Requested
from app.carrier.limits import Limits
from app.wire import Fields, WireRequest

# Bytes that a client may send before more is allowed: a body is taken as it comes, so this costs no memory, and a
# window that is smaller than what is under way on the network would slow an upload down.
STREAM_WINDOW: Final = 1 << 20
CONNECTION_WINDOW: Final = 1 << 22
_INITIAL_WINDOW: Final = 65_535  # 6.9.2
_CONTINUATIONS: Final = 64  # frames of one header block
# Frames that cost us and lead to no answer (PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA): so many at once, and so
# many a second from then on. RFC 9113, 10.5; CVE-2023-44487 did it with RST_STREAM.
_NUISANCES: Final = 1000
_NUISANCES_A_SECOND: Final = 50
# Streams that are over and are remembered: what comes on one that was reset here is passed over, since it was on its
# way; on another one it is an error (5.1).
_REMEMBERED: Final = 1000


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


class Stream:
    """What both sides agree on about one stream."""

    __slots__ = ("ended_here", "ended_there", "left", "receive_window", "send_window", "taken")

    def __init__(self, send_window: int, length: int | None) -> None:
        self.send_window = send_window
        self.receive_window = STREAM_WINDOW
        self.taken = 0  # bytes that were taken and not yet given back to the window
        self.left = length  # bytes of body still to come, where the client has said how many
        self.ended_here = False
        self.ended_there = False


class Streams:
    """One connection's streams: `receive` bytes and iterate `events`; `send_...`, and write what `outgoing` gives."""

    def __init__(self, limits: Limits, most: int, clock: Callable[[], float]) -> None:
        self.goes_on = True  # the client has not said that it leaves
        self.send_window = _INITIAL_WINDOW
        self.last = 0  # the highest stream that the client has begun
        self.refuse_above = frames.LAST_STREAM
        self._limits = limits
        self._most = most
        self._clock = clock
        self._reader = frames.FrameReader()
        self._told: deque[Event] = deque()  # what frames said that were taken
        self._preface = frames.PREFACE  # what is still missing of it
        self._settled = False  # the client's SETTINGS have come
        self._open: dict[int, Stream] = {}
        self._over: dict[int, bool] = {}  # the streams that were over last: whether they were reset here
        self._receive_window = CONNECTION_WINDOW
        self._taken = 0
        self._initial_window = _INITIAL_WINDOW
        self._max_frame = frames.MAX_FRAME
        self._block: list[Frame] = []  # of a header block that is not whole
        self._encoder = hpack.Encoder()
        # What is a little too large is decoded all the same, so that it can be answered 431 and the connection live.
        self._decoder = hpack.Decoder(max_header_list_size=4 * limits.head)
        self._nuisances = 0.0
        self._nuisances_at = clock()
        self._out = [
            frames.encode_settings(
                {
                    frames.MAX_CONCURRENT_STREAMS: most,
                    frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                    frames.MAX_HEADER_LIST_SIZE: limits.head,
                    frames.ENABLE_CONNECT_PROTOCOL: 1,
                }
            ),
            frames.encode_number(frames.WINDOW_UPDATE, 0, CONNECTION_WINDOW - _INITIAL_WINDOW),
        ]

    # what comes in

    @property
    def within_head(self) -> bool:
        """Whether something has begun that the client has to finish: the preface, a frame, a header block."""
        return not self._settled or bool(self._block) or self._reader.within_frame

    def receive(self, data: bytes) -> None:
        """Take bytes that the client sent. Raises `Http2ConnectionError`."""
        if self._preface:
            size = min(len(self._preface), len(data))
            if data[:size] != self._preface[:size]:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "not HTTP/2's preface")
            self._preface, data = self._preface[size:], data[size:]
        self._reader.receive(data)

    def events(self) -> Iterator[Event]:
        """Give what the bytes so far say. Iterating may stop at any event and go on later.

        Raises `Http2ConnectionError`, after which nothing can be read. What ends one stream is sent, and told by
        `Reset`.
        """
        while True:
            while self._told:
                yield self._told.popleft()
            frame = self._reader.next()
            if frame is None:
                return
            try:
                self._told.extend(self._take(frame))
            except Http2StreamError as error:
                self.reset(error.stream, error.code)
                self._told.append(Reset(error.stream))

    def _take(self, frame: Frame) -> Events:
        if not self._settled and frame.type != frames.SETTINGS:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a first frame that is not SETTINGS")  # 3.4
        if self._block and (frame.type != frames.CONTINUATION or frame.stream != self._block[0].stream):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "another frame within a header block")  # 6.10
        take = self._HANDLERS.get(frame.type)
        return take(self, frame) if take else ()  # 4.1: an unknown type is passed over

    def _data(self, frame: Frame) -> Events:
        stream = self._known(frame)
        size = len(frame.payload)
        if size > self._receive_window:
            raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
        self._receive_window -= size
        if stream is None or stream.ended_there:
            self._give_back(size)
            if stream is None and self._over.get(frame.stream):
                return ()  # it was on its way
            raise Http2StreamError(frame.stream, ErrorCode.STREAM_CLOSED)
        if size > stream.receive_window:
            self._give_back(size)
            raise Http2StreamError(frame.stream, ErrorCode.FLOW_CONTROL_ERROR)
        stream.receive_window -= size
        piece = frames.unpadded(frame)
        self._give_back(size - len(piece), frame.stream)
        if stream.left is not None:
            if len(piece) > stream.left:
                self._give_back(len(piece))
                raise Http2StreamError(frame.stream, ErrorCode.PROTOCOL_ERROR)
            stream.left -= len(piece)
        data = (Data(frame.stream, piece),) if piece else ()
        if frame.flags & frames.END_STREAM:
            return *data, self._ended(frame.stream, stream, ())
        if not piece:
            self._nuisance("empty DATA frames")
        return data

    def _headers(self, frame: Frame) -> Events:
        if not frame.stream % 2:
            raise Http2ConnectionError(
                ErrorCode.PROTOCOL_ERROR, "HEADERS on a stream that is not the client's"
            )  # 5.1.1
        self._block = [frame]
        return self._block_so_far(frame)

    def _continuation(self, frame: Frame) -> Events:
        if not self._block:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._block.append(frame)
        return self._block_so_far(frame)

    def _block_so_far(self, frame: Frame) -> Events:
        if frame.flags & frames.END_HEADERS:
            first, *rest = self._block
            self._block = []
            return self._whole_block(first, b"".join((frames.unpadded(first), *(each.payload for each in rest))))
        size = sum(len(each.payload) for each in self._block)
        if len(self._block) > _CONTINUATIONS or size > 4 * self._limits.head:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"a header block of more than {size} bytes")
        return ()

    def _whole_block(self, first: Frame, block: bytes) -> Events:
        # Also what is refused is decoded: the compression's state is the connection's.
        fields, size = self._decoded(block)
        if frames.depends_on_itself(first):
            self.last = max(self.last, first.stream)
            raise Http2StreamError(first.stream, ErrorCode.PROTOCOL_ERROR)
        stream = self._open.get(first.stream)
        if stream is not None:
            return self._trailers(first, stream, fields, size)
        if first.stream <= self.last:
            if self._over.get(first.stream):
                return ()
            code = ErrorCode.STREAM_CLOSED if first.stream in self._over else ErrorCode.PROTOCOL_ERROR  # 5.1, 5.1.1
            raise Http2ConnectionError(code, f"HEADERS on stream {first.stream}, when stream {self.last} had begun")
        self.last = first.stream
        if len(self._open) >= self._most or first.stream > self.refuse_above:
            raise Http2StreamError(first.stream, ErrorCode.REFUSED_STREAM)
        what: Requested | ProtocolError
        try:
            self._check_size(size)
            what = requests.read(fields, self._limits)
        except ProtocolError as error:
            what = error
        length = what.length if isinstance(what, Requested) else None
        stream = self._open[first.stream] = Stream(self._initial_window, length)
        head = Head(first.stream, what, bodiless=(b":method", b"HEAD") in fields)
        if first.flags & frames.END_STREAM:
            return head, self._ended(first.stream, stream, ())
        return (head,)

    def _decoded(self, block: bytes) -> tuple[Fields, int]:
        try:
            decoded = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError as error:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a header list that is far too large") from error
        except HPACKError as error:
            raise Http2ConnectionError(ErrorCode.COMPRESSION_ERROR, f"header compression: {error}") from error
        fields = tuple((bytes(name), bytes(value)) for name, value in decoded)
        return fields, sum(len(name) + len(value) + 32 for name, value in fields)  # 6.5.2

    def _check_size(self, size: int) -> None:
        if size > self._limits.head:
            raise ProtocolError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head above {self._limits.head} bytes")

    def _trailers(self, first: Frame, stream: Stream, fields: Fields, size: int) -> Events:
        if stream.ended_there:
            raise Http2StreamError(first.stream, ErrorCode.STREAM_CLOSED)
        if not first.flags & frames.END_STREAM:
            raise Http2StreamError(first.stream, ErrorCode.PROTOCOL_ERROR)  # 8.1
        try:
            self._check_size(size)
            trailers = requests.read_trailers(fields, self._limits)
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
        self._nuisance("PRIORITY frames")
        if frames.depends_on_itself(frame):
            raise Http2StreamError(frame.stream, ErrorCode.PROTOCOL_ERROR)
        return ()

    def _rst_stream(self, frame: Frame) -> Events:
        stream = self._known(frame)
        frames.number(frame)
        self._nuisance("RST_STREAM frames")
        if stream is None:
            return ()
        self._forget(frame.stream, reset_here=False)
        return (Reset(frame.stream),)

    def _settings(self, frame: Frame) -> Events:
        if frame.stream:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if frame.flags & frames.ACK:
            if frame.payload:
                raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with a payload")
            return ()
        if self._settled:
            self._nuisance("SETTINGS frames")
        self._settled = True
        self.apply(frames.settings(frame.payload))
        self._out.append(frames.encode(frames.SETTINGS, frames.ACK, 0))
        return (MoreRoom(),)

    def apply(self, settings: Iterable[tuple[int, int]]) -> None:
        """Keep to what the client's settings say (6.5.2). Raises `Http2ConnectionError`."""
        for name, value in settings:
            if name == frames.HEADER_TABLE_SIZE:
                self._encoder.header_table_size = min(value, self._encoder.header_table.DEFAULT_SIZE)
            elif name == frames.MAX_FRAME_SIZE:
                self._max_frame = value
            elif name == frames.INITIAL_WINDOW_SIZE:
                more = value - self._initial_window
                self._initial_window = value
                for stream in self._open.values():
                    stream.send_window += more
                    if stream.send_window > frames.MAX_WINDOW:
                        raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "a window that is too large")

    def _push_promise(self, _frame: Frame) -> Events:
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")  # 8.4

    def _ping(self, frame: Frame) -> Events:
        if frame.stream:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(frame.payload) != 8:  # noqa: PLR2004 - 6.7
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a PING that is not eight bytes long")
        if not frame.flags & frames.ACK:
            self._nuisance("PING frames")
            self._out.append(frames.encode(frames.PING, frames.ACK, 0, frame.payload))
        return ()

    def _goaway(self, frame: Frame) -> Events:
        if frame.stream:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        self.goes_on = False
        return ()

    def _window_update(self, frame: Frame) -> Events:
        more = frames.number(frame) & frames.MAX_WINDOW
        if not frame.stream:
            self.send_window += more
            if not more:
                raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
            if self.send_window > frames.MAX_WINDOW:
                raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "a window that is too large")
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
        """Give a frame's stream, or None for one that is over (5.1).

        Raises `Http2ConnectionError` for one that never was.
        """
        stream = self._open.get(frame.stream)
        if stream is None and (frame.stream > self.last or not frame.stream % 2):
            raise Http2ConnectionError(
                ErrorCode.PROTOCOL_ERROR, f"a frame on stream {frame.stream}, which has not begun"
            )
        return stream

    def _nuisance(self, what: str) -> None:
        now = self._clock()
        passed = (now - self._nuisances_at) * _NUISANCES_A_SECOND
        self._nuisances = max(0.0, self._nuisances - passed) + 1
        self._nuisances_at = now
        if self._nuisances > _NUISANCES:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {what}")

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

    # what goes out

    def upgraded(self, settings: bytes, request: WireRequest) -> Head:
        """Begin stream 1 with a request that came by HTTP/1.1, all of it (RFC 7540, 3.2).

        Raises `Http2ConnectionError` for settings that break their rules.
        """
        self.apply(frames.settings(settings))
        stream = self._open[1] = Stream(self._initial_window, None)
        stream.ended_there = True
        self.last = 1
        return Head(1, Requested(request, None, expects_continue=False, protocol=b""))

    def take(self, number: int, size: int) -> None:
        """Say that so many bytes of a stream's body are dealt with, so that the client may send as many more."""
        self._give_back(size, number)

    def _give_back(self, size: int, number: int = 0) -> None:
        self._taken += size
        if self._taken >= CONNECTION_WINDOW // 2:
            self._out.append(frames.encode_number(frames.WINDOW_UPDATE, 0, self._taken))
            self._receive_window += self._taken
            self._taken = 0
        stream = self._open.get(number)
        if stream is None or stream.ended_there:
            return
        stream.taken += size
        if stream.taken >= STREAM_WINDOW // 2:
            self._out.append(frames.encode_number(frames.WINDOW_UPDATE, number, stream.taken))
            stream.receive_window += stream.taken
            stream.taken = 0

    @property
    def waiting(self) -> int:
        """How many bytes are outgoing."""
        return sum(map(len, self._out))

    def knows(self, number: int) -> bool:
        """Tell whether a stream is open, on either side."""
        return number in self._open

    def send_head(self, number: int, fields: Fields, *, end: bool) -> None:
        """Send a header block: of an answer, of an interim one, or of trailers."""
        block = self._encoder.encode(fields)
        kind, flags = frames.HEADERS, frames.END_STREAM if end else 0
        while len(block) > self._max_frame:
            self._out.append(frames.encode(kind, flags, number, block[: self._max_frame]))
            block, kind, flags = block[self._max_frame :], frames.CONTINUATION, 0
        self._out.append(frames.encode(kind, flags | frames.END_HEADERS, number, block))
        if end:
            self._end_here(number)

    def room(self, number: int) -> int:
        """Give how many bytes may be sent on a stream now, in one frame."""
        stream = self._open[number]
        return max(0, min(stream.send_window, self.send_window, self._max_frame))

    def send_data(self, number: int, piece: bytes, *, end: bool) -> None:
        """Send a piece of an answer's body, of at most `room` bytes."""
        self._out.append(frames.encode(frames.DATA, frames.END_STREAM if end else 0, number, piece))
        self.send_window -= len(piece)
        self._open[number].send_window -= len(piece)
        if end:
            self._end_here(number)

    def reset(self, number: int, code: ErrorCode) -> None:
        """End a stream, whatever is under way on it."""
        self._out.append(frames.encode_number(frames.RST_STREAM, number, code))
        self._forget(number, reset_here=True)

    def go_away(self, last: int, code: ErrorCode, reason: str = "") -> None:
        """Say that streams above `last` are not answered (6.8)."""
        self._out.append(frames.encode_goaway(last, code, reason))

    def outgoing(self) -> bytes:
        """Give what is to be written to the wire."""
        if not self._out:
            return b""
        out = b"".join(self._out)
        self._out.clear()
        return out

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
