"""Fuzz target: HTTP/2 frames.

Events and sent bytes are the same however the frames are split, and h2 reads the same requests. An input is a sequence
of records, so that an input changed by the fuzzer is still a sequence of frames. A record is type, flags, stream and
length of the payload, a byte each, then the payload. For HEADERS and CONTINUATION the payload is lines `name=value`,
which are compressed here, unless the flag `_RAW` states that it is compressed already. Types from `_BYTES` on are raw
bytes, not a frame.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import hpack

from app.http.errors import ProtocolError
from app.server.http2 import frames
from app.server.http2.connection import Http2Connection
from app.server.http2.events import DataReceived, Http2Event, RequestReceived, StreamEnded, StreamReset
from app.server.http2.frames import FrameReader, Http2ConnectionError
from app.server.http2.request_parser import ParsedRequest
from app.server.limits import RequestLimits
from tools.fuzz.cutting import Pieces, deliveries, field_lines
from tools.fuzz.http2_by_h2 import Asked, asked_of_h2

LIMITS: Final = RequestLimits(head_size=2048, header_count=32, body_size=4096)
LONGEST: Final = 4096
_STREAMS: Final = 4
_RAW: Final = 0x40
_BYTES: Final = 16
_HEAD: Final = b":method=GET\n:scheme=http\n:path=/\n:authority=a"
_OPENING: Final = frames.PREFACE + frames.encode_settings({})
WORDS: Final = (
    bytes((frames.HEADERS, 0x5, 1, len(_HEAD))) + _HEAD, bytes((frames.HEADERS, 0x4, 3, len(_HEAD))) + _HEAD,
    b"\x00\x01\x01\x05hello", b"\x08\x00\x00\x04\x00\x00\xff\xff", b"\x03\x00\x01\x04\x00\x00\x00\x08", b":method=HEAD",
    b"\x04\x00\x00\x06\x00\x04\x00\x00\x00\x10", b"\nte=trailers", b"\ncontent-length=5", b"\nhost=a", b":protocol=",
    b"\x82\x86\x84\x41\x01a", b":path=*", b":method=CONNECT", b"\nexpect=100-continue", b"\ncookie=a=b",
)  # fmt: skip


class Reading(NamedTuple):
    """Events read from a connection, the bytes sent on it, and why it ended, if it did."""

    events: tuple[Http2Event | tuple[object, ...], ...]
    sent: bytes
    ended: str = ""


def check(data: bytes) -> None:
    """Read the frames in several deliveries, and by h2."""
    wire = _OPENING + b"".join(frames_of(data))
    whole, *others = [read(pieces) for pieces in deliveries(wire)]
    for other in others:
        assert other == whole
    _check_sent(whole.sent)
    ours, theirs = asked(whole.events), asked_of_h2(wire)
    for stream in ours.keys() & theirs.keys():
        mine, its = ours[stream], theirs[stream]
        assert mine.fields == its.fields
        if mine.ended and its.ended:
            assert (mine.body, mine.trailers) == (its.body, its.trailers)


def seeds() -> Iterator[bytes]:
    """Yield requests with and without bodies, and the other frames that clients send."""
    get, post = (bytes((frames.HEADERS, flags, 1, len(_HEAD))) + _HEAD for flags in (0x5, 0x4))
    yield get
    yield post + b"\x00\x01\x01\x05hello"
    yield post + b"\x00\x08\x01\x08\x02hello\0\0" + b"\x01\x05\x01\x05x=end"
    yield get + bytes((frames.HEADERS, 0x5, 3, len(_HEAD) + 13)) + _HEAD + b"\nx-echo=1&2=3"
    yield bytes((frames.HEADERS, 0x1, 1, len(_HEAD))) + _HEAD + b"\x09\x04\x01\x04\na=b"
    yield get + b"\x08\x00\x00\x04\x00\x00\xff\xff" + b"\x03\x00\x01\x04\x00\x00\x00\x08" + b"\x06\x00\x00\x0812345678"
    yield b"\x04\x00\x00\x06\x00\x04\x00\x00\x00\x02" + get + b"\x08\x00\x01\x04\x00\x00\x00\x05"
    yield b"\x01\x45\x01\x0b\x82\x86\x84\x41\x01a\x40\x01x\x01y" + b"\x01\x45\x03\x05\x82\x86\x84\xbf\xbe"
    yield (b"\x02\x00\x01\x05\x00\x00\x00\x00\x10\x07\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x03abc")


def frames_of(data: bytes) -> Iterator[bytes]:
    """Yield the frames that an input describes."""
    encoder = hpack.Encoder()
    while len(data) >= 4:
        kind, flags, stream, length = data[:4]
        payload, data = data[4 : 4 + length], data[4 + length :]
        if kind in {frames.HEADERS, frames.CONTINUATION} and not flags & _RAW:
            payload = encoder.encode(field_lines(payload.split(b"\n"), b"=")) if payload else b""
        yield payload if kind >= _BYTES else frames.encode(kind, flags & ~_RAW, stream, payload)


def read(pieces: Pieces) -> Reading:
    """Read a connection that delivers these pieces, and respond to complete requests."""
    streams, events = Http2Connection(LIMITS, _STREAMS, lambda: 0.0), []
    try:
        for piece in pieces:
            streams.receive_bytes(piece)
            for event in streams.events():
                events.append(_comparable(event))
                _answer(streams, event)
    except Http2ConnectionError as error:
        return Reading(tuple(events), streams.data_to_send(), f"{error.code.name}: {error.reason}")
    return Reading(tuple(events), streams.data_to_send())


def _comparable(event: Http2Event) -> Http2Event | tuple[object, ...]:
    if isinstance(event, RequestReceived) and isinstance(event.result, ProtocolError):
        assert 400 <= event.result.status < 500
        return event.stream_id, event.result.status, event.result.reason
    return event


def _answer(streams: Http2Connection, event: Http2Event) -> None:
    if isinstance(event, DataReceived):
        streams.acknowledge_data(event.stream_id, len(event.piece))
    elif isinstance(event, StreamEnded) and streams.is_open(event.stream_id):
        streams.send_headers(event.stream_id, ((b":status", b"200"),), end_stream=False)
        room = min(streams.sendable_bytes(event.stream_id), 3)
        streams.send_data(event.stream_id, b"abc"[:room], end_stream=True)


def _check_sent(sent: bytes) -> None:
    """Check the sent bytes against the rules for a server's frames."""
    reader = FrameReader()
    reader.feed_bytes(sent)
    while (frame := reader.next_frame()) is not None:
        assert frame.type in {
            *(frames.DATA, frames.HEADERS, frames.RST_STREAM, frames.SETTINGS),
            *(frames.PING, frames.WINDOW_UPDATE, frames.CONTINUATION),
        }
    assert not reader.has_partial_frame


def asked(events: tuple[Http2Event | tuple[object, ...], ...]) -> dict[int, Asked]:
    """Return the requests in our events that were not cancelled."""
    found: dict[int, Asked] = {}
    for event in events:
        if isinstance(event, RequestReceived) and isinstance(event.result, ParsedRequest):
            found[event.stream_id] = Asked((*event.result.request.pseudo, *event.result.request.headers))
        elif isinstance(event, DataReceived) and event.stream_id in found:
            found[event.stream_id].body += event.piece
        elif isinstance(event, StreamEnded) and event.stream_id in found:
            found[event.stream_id].trailers, found[event.stream_id].ended = event.trailers, True
        elif isinstance(event, StreamReset):
            found.pop(event.stream_id, None)
    return found
