"""Fuzz target: gRPC calls.

A call's messages are the same however its body is split, and it ends with the right code if they can't be read. An
input is a byte that states whether the coding is gzip, whether messages are compressed here, and whether the method is
unary or streaming, then the body. If messages are compressed here, the body is a sequence of records: length and
message.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from app.config.downward_api import read_pod_info as identity
from app.config.policy import Policy
from app.grpc.call import CallOptions, GrpcCall
from app.grpc.context import CallContext
from app.grpc.framing import PREFIX_SIZE, MessageReader, encode_message
from app.grpc.services import Method, MethodKind
from app.grpc.status import StatusCode, code_from_trailers
from app.http.connection_info import Endpoint
from app.http.record import CallStatus
from app.http.request import ConnectionInfo, HttpRequest
from tools.fuzz.cutting import Pieces, deliveries

LONGEST: Final = 4096
MOST: Final = 1000  # bytes of a message
_GZIP, _COMPRESSED, _MANY = 1, 2, 4
_AHEAD: Final = 1000  # messages
_ROUNDS: Final = 100
_CANT_BE_READ: Final = frozenset({StatusCode.INTERNAL, StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNIMPLEMENTED})
_ASKED: Final = CallContext(
    HttpRequest(b"POST", b"/", "HTTP/2.0", ()), ConnectionInfo(Endpoint("", 0), Endpoint("", 0)), Policy(identity({}))
)
WORDS: Final = (
    bytes(PREFIX_SIZE), encode_message(b"a"), b"\x01" + encode_message(gzip.compress(b"a"))[1:],
    b"\x00\x00\x00\x03\xe8", b"\x00\x00\x00\x03\xe9", b"\x01\x00\x00\x00", b"\x02\x00\x00\x00\x00",
    b"\xff\xff\xff\xff", b"\x1f\x8b\x08\x00",
    gzip.compress(bytes(MOST + 1)),
)  # fmt: skip


class Ended(NamedTuple):
    """The messages that a call received, which are those that it sent, and its status code."""

    messages: tuple[bytes, ...]
    code: StatusCode


def check(data: bytes) -> None:
    """Call in several deliveries, and parse the body in another way."""
    mode, body = data[0] if data else 0, data[1:]
    if mode & _COMPRESSED:
        body = b"".join(_packed(message) for message in _records(body))
    whole, *others = [_called(pieces, mode) for pieces in deliveries(body)]
    for other in others:
        assert other == whole
    found = _read(body, gzipped=bool(mode & _GZIP))
    many = bool(mode & _MANY)
    if found is not None and (many or len(found) == 1):
        ahead = len(found) > 1 and (len(found) > _AHEAD or sum(map(len, found)) > MOST)
        assert whole == (Ended((), StatusCode.RESOURCE_EXHAUSTED) if ahead else Ended(tuple(found), StatusCode.OK))
    else:
        assert whole.messages == ()
        assert whole.code in _CANT_BE_READ


def seeds() -> Iterator[bytes]:
    """Yield messages compressed and not, one, none and many, complete and broken, small and of maximum size."""
    for mode in range(8):
        yield bytes([mode]) + (b"\x05hello" if mode & _COMPRESSED else encode_message(b"hello"))
        yield bytes([mode]) + encode_message(b"") + encode_message(b"ab")
        yield bytes([mode]) + b"\x01" + encode_message(gzip.compress(bytes(MOST)))[1:]
        yield bytes([mode]) + encode_message(bytes(MOST))
        yield bytes([mode]) + encode_message(bytes(MOST + 1))
        yield bytes([mode]) + encode_message(b"ab")[:-1]
        yield bytes([mode]) + b"\x02" + bytes(4)
    yield bytes([_GZIP]) + b"\x01" + encode_message(gzip.compress(b"a") * 2)[1:]
    yield bytes([_GZIP]) + b"\x01" + encode_message(gzip.compress(bytes(1 << 20)))[1:]


def _called(pieces: Pieces, mode: int) -> Ended:
    kind = MethodKind.BIDI_STREAMING if mode & _MANY else MethodKind.UNARY
    messages = MessageReader(b"gzip" if mode & _GZIP else b"identity", MOST, is_single=kind is MethodKind.UNARY)
    method, ending = Method(lambda _, message: message, kind), CallStatus()
    call = GrpcCall(_ASKED, method, messages, CallOptions(), ending)
    for piece in pieces:
        before = call.buffered_bytes
        call.receive_data(piece, 0.0)
        assert call.buffered_bytes <= max(before, 2 * MOST + PREFIX_SIZE) + len(piece)
    call.receive_end(0.0)
    body = b""
    for _ in range(_ROUNDS):
        said = call.next_output(0.0)
        body += said.body
        if said.trailers:
            code = code_from_trailers(said.trailers)
            assert (ending.code, ending.number) == (code.name, code.value)
            return Ended(tuple(_read(body, gzipped=False) or ()), code)
    raise AssertionError("it never ends")


def _read(body: bytes, *, gzipped: bool) -> Sequence[bytes] | None:
    """Return the messages of a body; None if it is not a sequence of valid messages."""
    found = []
    while body:
        if len(body) < PREFIX_SIZE:
            return None
        flag, length, body = body[0], int.from_bytes(body[1:PREFIX_SIZE]), body[PREFIX_SIZE:]
        message, body = body[:length], body[length:]
        if flag > gzipped or len(message) < length or length > MOST:
            return None
        if flag:
            stream = zlib.decompressobj(wbits=31)
            try:
                message = stream.decompress(message)
            except zlib.error:
                return None
            if not stream.eof or stream.unused_data or len(message) > MOST:
                return None
        found.append(message)
    return found


def _records(data: bytes) -> Iterator[bytes]:
    while data:
        yield data[1 : 1 + data[0]]
        data = data[1 + data[0] :]


def _packed(message: bytes) -> bytes:
    return b"\x01" + encode_message(gzip.compress(message, mtime=0))[1:]
