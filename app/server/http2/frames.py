"""HTTP/2 frame codec and constants (RFC 9113, 4, 6, 7)."""

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final, NamedTuple

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # 3.4
FRAME_HEADER_SIZE: Final = 9  # bytes before a frame's payload
MAX_PAYLOAD_SIZE: Final = 16_384  # bytes of payload accepted, and sent unless the client allows more: 4.2
MAX_WINDOW: Final = (1 << 31) - 1  # 6.9.1
MAX_STREAM_ID: Final = (1 << 31) - 1

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20

# 6.5.2, and RFC 8441, 3
HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6
ENABLE_CONNECT_PROTOCOL: Final = 8

_FRAME_HEADER = struct.Struct(">HBBBI")
_SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")
_TWO_NUMBERS = struct.Struct(">II")


class ErrorCode(IntEnum):
    """Error code of a closed stream or connection (7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Http2ConnectionError(Exception):
    """Connection error: a code, and one line that says what was wrong (5.4.1)."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Http2StreamError(Exception):
    """Stream error (5.4.2)."""

    def __init__(self, stream_id: int, code: ErrorCode) -> None:
        super().__init__(code.name)
        self.stream_id = stream_id
        self.code = code


class Frame(NamedTuple):
    """One frame, its payload as received."""

    type: int
    flags: int
    stream_id: int
    payload: bytes


class FrameReader:
    """Splits bytes into frames: `feed_bytes` them, then call `next_frame` until it returns None."""

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0  # where the next frame begins
        self._next_buffer = b""  # bytes after the buffer, which then ends with a frame
        self._next_position = 0  # the start of the next frame in `_next_buffer`

    @property
    def has_partial_frame(self) -> bool:
        """Whether a frame is incomplete."""
        return self._position < len(self._buffer)

    @property
    def buffered_bytes(self) -> int:
        """Number of buffered bytes."""
        return len(self._buffer) + len(self._next_buffer)

    @property
    def partial_data(self) -> tuple[int, int]:
        """The stream of an incomplete DATA frame, and the bytes of its payload received so far; (0, 0) without one."""
        start = self._position + FRAME_HEADER_SIZE
        if start > len(self._buffer):
            return 0, 0
        _, _, kind, _, stream_id = _FRAME_HEADER.unpack_from(self._buffer, self._position)
        length = len(self._buffer) - start + len(self._next_buffer) - self._next_position
        return (stream_id & MAX_STREAM_ID, length) if kind == DATA else (0, 0)

    def feed_bytes(self, data: bytes) -> None:
        """Append bytes to those that came before.

        An incomplete frame is joined with its missing bytes only, not with everything that arrived, which may be 256
        KiB.
        """
        partial_frame = (
            self._buffer[self._position :] + self._next_buffer[self._next_position :] if self.has_partial_frame else b""
        )
        self._position, self._next_buffer, self._next_position = 0, b"", 0
        if len(partial_frame) >= FRAME_HEADER_SIZE:
            high, low, *_ = _FRAME_HEADER.unpack_from(partial_frame)
            missing_size = FRAME_HEADER_SIZE + (high << 8 | low) - len(partial_frame)
            if 0 < missing_size < len(data):
                self._next_buffer, self._next_position, data = data, missing_size, data[:missing_size]
        self._buffer = partial_frame + data if partial_frame else data

    def next_frame(self) -> Frame | None:
        """Return the next frame, or None if it is incomplete.

        Raise `Http2ConnectionError` for a frame that is longer than `MAX_PAYLOAD_SIZE`.
        """
        start = self._position + FRAME_HEADER_SIZE
        if start > len(self._buffer):
            return None
        high, low, kind, flags, stream_id = _FRAME_HEADER.unpack_from(self._buffer, self._position)
        length = high << 8 | low
        if length > MAX_PAYLOAD_SIZE:
            raise Http2ConnectionError(
                ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} bytes exceeds {MAX_PAYLOAD_SIZE}"
            )
        end = start + length
        if end > len(self._buffer):
            return None
        payload, self._position = self._buffer[start:end], end
        if end == len(self._buffer):  # an idle connection keeps nothing of what it has read
            self._buffer, self._position, self._next_buffer, self._next_position = (
                self._next_buffer,
                self._next_position,
                b"",
                0,
            )
        return Frame(kind, flags, stream_id & MAX_STREAM_ID, payload)


def encode(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Encode a frame."""
    length = len(payload)
    return _FRAME_HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def encode_settings(settings: Mapping[int, int]) -> bytes:
    """Encode a SETTINGS frame (6.5)."""
    return encode(SETTINGS, 0, 0, b"".join(_SETTING.pack(*item) for item in settings.items()))


def encode_number(kind: int, stream_id: int, number: int) -> bytes:
    """Encode a frame whose payload is one number: RST_STREAM, WINDOW_UPDATE."""
    return encode(kind, 0, stream_id, _NUMBER.pack(number))


def encode_goaway(last_stream_id: int, code: ErrorCode, reason: str = "") -> bytes:
    """Encode a GOAWAY frame (6.8); `last_stream_id` is the last stream that is processed, `reason` is for people."""
    return encode(GOAWAY, 0, 0, _TWO_NUMBERS.pack(last_stream_id, code) + reason.encode())


def decode_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield the settings in a SETTINGS frame's payload (6.5).

    Raise `Http2ConnectionError` for an invalid one.
    """
    if len(payload) % _SETTING.size:
        raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "invalid length of a SETTINGS frame")
    for name, value in _SETTING.iter_unpack(payload):
        if name == ENABLE_PUSH and value > 1:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"invalid SETTINGS_ENABLE_PUSH: {value}")
        if name == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise Http2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, f"invalid SETTINGS_INITIAL_WINDOW_SIZE: {value}")
        if name == MAX_FRAME_SIZE and not MAX_PAYLOAD_SIZE <= value < 1 << 24:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"invalid SETTINGS_MAX_FRAME_SIZE: {value}")
        yield name, value


def decode_number(frame: Frame) -> int:
    """Return the number that is a frame's whole payload. Raise `Http2ConnectionError` for another length (6.4, 6.9)."""
    if len(frame.payload) != _NUMBER.size:
        raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "invalid length of a fixed-size frame")
    value: int = _NUMBER.unpack(frame.payload)[0]
    return value


def strip_padding(frame: Frame) -> bytes:
    """Return a frame's payload without its padding, and a HEADERS frame's without its priority (6.1, 6.2).

    Raise `Http2ConnectionError` if they exceed the frame.
    """
    payload = frame.payload
    end = len(payload)
    start = 0
    if frame.flags & PADDED:
        if not payload:
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "padded frame without a pad length")  # 4.2
        if payload[0] >= end:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "padding exceeds the frame")
        end -= payload[0]
        start = 1
    if frame.type == HEADERS and frame.flags & PRIORITIZED:
        if end - start < 5:  # noqa: PLR2004 - a stream and a weight
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "HEADERS frame too short for its priority")
        start += 5
    return payload[start:end] if start else payload


def depends_on_itself(frame: Frame) -> bool:
    """Return whether a PRIORITY frame, or a HEADERS frame with a priority, makes its stream depend on itself.

    RFC 7540, 5.3.1 forbids it. Priorities are otherwise unused (RFC 9113, 5.3.2).
    """
    if frame.type == PRIORITY:
        priority = frame.payload
    elif frame.flags & PRIORITIZED:
        priority = frame.payload[1:] if frame.flags & PADDED else frame.payload
    else:
        return False
    dependency: int = _NUMBER.unpack_from(priority)[0]
    return dependency & MAX_STREAM_ID == frame.stream_id
