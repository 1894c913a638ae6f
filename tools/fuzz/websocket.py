"""Fuzz target: WebSocket.

Every message is echoed unchanged, however its bytes are split, until the client breaks a rule. An input is a byte that
states whether compression was negotiated (2: with raw payloads; 3: with payloads compressed here), then a sequence of
records. A record is the first byte of a frame (FIN, RSV, opcode), the length of its payload, and the payload.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from websockets.frames import Opcode

from app.server.websocket.deflate import DeflateFactory
from app.server.websocket.echo import WebSocketEcho
from tools.fuzz.cutting import Pieces, deliveries

LONGEST: Final = 2048
MOST: Final = 1500  # maximum bytes of a message
_FIN: Final = 0x80
_COMPRESSED: Final = 0x40
_KEY: Final = b"\x11\xa2\x3c\xf4"
_TAIL: Final = b"\x00\x00\xff\xff"
_ROUNDS: Final = 10_000
WORDS: Final = (
    b"\x81\x05hello", b"\x82\x03\x00\xff\x80", b"\x01\x02\xc3\xa9", b"\x80\x02ab", b"\x00\x01a", b"\x89\x01p",
    b"\x8a\x00", b"\x88\x02\x03\xe8", b"\x88\x00", b"\xc1\x05hello", b"\x41\x02ab", b"\xed\xa0\x80", b"\xf4\x90",
    b"\xff\xff\x00\x00",
)  # fmt: skip


class Fragment(NamedTuple):
    """A frame of a message."""

    opcode: int
    data: bytes
    fin: bool


class Echoed(NamedTuple):
    """The echoed fragments, the code of a Close frame, 0 without one, and whether the connection is closed."""

    fragments: tuple[Fragment, ...]
    closed: int
    over: bool


def check(data: bytes) -> None:
    """Send the frames in several deliveries; they are echoed fragment by fragment."""
    mode, records = data[0] & 3 if data else 0, list(records_of(data[1:]))
    deflated = bool(mode & 2)
    wire = b"".join(frame(first, payload) for first, payload in (compressed(records) if mode == 3 else records))
    whole, *others = [echoed(pieces, deflated=deflated) for pieces in deliveries(wire)]
    for other in others:
        assert other == whole
    if mode != 2:  # otherwise the meaning of the payloads is unknown
        sent = tuple(
            Fragment(first & 0x0F, payload, bool(first & _FIN)) for first, payload in records if not first & 0x08
        )
        assert whole.fragments == sent[: len(whole.fragments)]
        assert whole.closed or len(whole.fragments) == len(sent)
    assert sum(len(each.data) for each in whole.fragments) <= MOST * max(1, len(records))


def seeds() -> Iterator[bytes]:
    """Yield messages whole and in fragments, compressed and not, with control frames between."""
    for first in (b"\0", b"\2", b"\3"):
        yield first + b"\x81\x05hello\x82\x03\x00\xff\x80"
        yield first + b"\x01\x01\xc3\x89\x01p\x80\x01\xa9\x88\x02\x03\xe8"
        yield first + b"\xc1\x05hello\x41\x02ab\x80\x02cd\x88\x00"
        yield first + b"\x81\x02\xed\xa0" + b"\x83\x00"
    yield b"\2\xc1\x07" + _deflated(b"hello") + b"\x81\x01a"


def records_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield first bytes and payloads."""
    while len(data) >= 2:
        first, length = data[:2]
        yield first, data[2 : 2 + length]
        data = data[2 + length :]


def compressed(records: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Compress the messages, each by itself, as a client would after negotiating compression (RFC 7692, 7.2.1)."""
    compressor = zlib.compressobj(wbits=-12)
    for first, payload in records:
        if first & 0x08:
            yield first, payload
            continue
        begins, ends = bool(first & 0x0F), bool(first & _FIN)
        if begins:
            compressor = zlib.compressobj(wbits=-12)
        out = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        yield (first | _COMPRESSED if begins else first), out.removesuffix(_TAIL) if ends else out


def frame(first: int, payload: bytes) -> bytes:
    """Return a client's frame (RFC 6455, 5.2)."""
    length = len(payload)
    size = bytes([_FIN | length]) if length < 126 else bytes([_FIN | 126]) + length.to_bytes(2)
    masked = bytes(byte ^ _KEY[place % 4] for place, byte in enumerate(payload))
    return bytes([first]) + size + _KEY + masked


def echoed(pieces: Pieces, *, deflated: bool) -> Echoed:
    """Return what is echoed."""
    ours = [DeflateFactory().process_request_params([("client_max_window_bits", None)], [])[1]] if deflated else []
    echo, sent = WebSocketEcho(ours, MOST), b""
    for piece in pieces:
        echo.echo_input(piece)
        for _ in range(_ROUNDS):
            if not echo.has_pending_input:
                break
            echo.echo_buffered()
        assert not echo.has_pending_input
        sent += echo.data_to_send()
        if echo.is_finished:
            break
    return _seen(sent, deflated=deflated, over=echo.is_finished)


def _seen(sent: bytes, *, deflated: bool, over: bool) -> Echoed:
    """Parse a server's frames: `websockets` rejects a Close frame within a message, which RFC 6455, 5.4 allows."""
    fragments: list[Fragment] = []
    inflated, closed, within, coded = zlib.decompressobj(wbits=-12), 0, False, False
    for first, data in _server_frames(sent):
        assert not closed, "nothing comes behind a Close frame"
        opcode, fin = first & 0x0F, bool(first & _FIN)
        if opcode == Opcode.CLOSE:
            closed = int.from_bytes(data[:2]) or 1005
        elif opcode not in {Opcode.PING, Opcode.PONG}:
            assert (opcode == Opcode.CONT) == within
            coded = coded if within else bool(first & _COMPRESSED)
            assert deflated or not coded
            within = not fin
            told = inflated.decompress(data + (_TAIL if fin else b"")) if coded else data
            fragments.append(Fragment(opcode, told, fin))
    return Echoed(tuple(fragments), closed, over)


def _server_frames(sent: bytes) -> Iterator[tuple[int, bytes]]:
    while sent:
        first, length = sent[:2]
        assert length < 127, "a server does not mask, and no message here is longer than 64 KiB"
        begin = 4 if length == 126 else 2
        end = begin + (int.from_bytes(sent[2:4]) if length == 126 else length)
        assert len(sent) >= end
        yield first, sent[begin:end]
        sent = sent[end:]


def _deflated(text: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-12)
    return (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
