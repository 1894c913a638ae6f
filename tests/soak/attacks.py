"""Attacking clients that make echo buffer as much as possible.

Each starts many requests on many connections, and reads nothing.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

import brotli  # type: ignore[import-untyped] # it publishes no types

from tests.http import raw_http2
from tests.http.raw_websocket import HANDSHAKE

MIB: Final = 1 << 20
_PUT: Final = b"PUT / HTTP/1.1\r\nHost: a\r\n"
_JSON: Final = b"Host: a\r\nAccept: application/json\r\nX: " + b"a" * 60_000 + b"\r\n\r\n"
_LARGE: Final = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\nX: " + b"a" * 64_000 + b"\r\n\r\n"
_FIELDS: Final = [(b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]
_NO_WINDOW: Final = struct.pack(">HI", 4, 0)  # SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, 6.5.2)


def uploads_of_http2() -> bytes:
    """Return many streams, each with the start of a body."""
    fields = [(b":method", b"PUT"), *_FIELDS]
    pieces = [raw_http2.opening()]
    for number in range(1, 120, 2):
        pieces.append(raw_http2.headers(number, fields, ends=False))
        pieces += [raw_http2.frame("DATA", 0, number, bytes(16_384)) for _ in range(4)]
    return b"".join(pieces)


def answers_of_http2() -> bytes:
    """Return many requests for large responses, with a flow-control window of zero."""
    fields = [(b":method", b"PUT"), *_FIELDS, (b"accept", b"text/plain")]
    requests = [
        raw_http2.headers(number, fields, ends=False) + raw_http2.frame("DATA", 1, number, b"a" * 16_000)
        for number in range(1, 120, 2)
    ]
    return raw_http2.PREFACE + raw_http2.frame("SETTINGS", 0, 0, _NO_WINDOW) + b"".join(requests)


def coded(*codings: bytes, content: bytes) -> bytes:
    """Return an upload with this content coding, without its last byte."""
    head = b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (b", ".join(codings), len(content))
    return _PUT + head + content[:-1]


def stored(data: bytes) -> bytes:
    """Return data as uncompressed brotli of the same length, with the largest window (RFC 7932, 9.1 and 9.2)."""
    out, bits = bytearray(), [(0b1111, 4)]
    for start in range(0, len(data), MIB // 16):
        piece = data[start : start + MIB // 16]
        # Not the last, four nibbles of length, uncompressed.
        out += _packed([*bits, (0, 1), (0, 2), (len(piece) - 1, 16), (1, 1)]) + piece
        bits = []
    return bytes(out + _packed([(0b11, 2)]))


def _packed(fields: list[tuple[int, int]]) -> bytes:
    number = place = 0
    for value, size in fields:
        number |= value << place
        place += size
    return number.to_bytes(-(-place // 8), "little")


def brotli_in_brotli() -> bytes:
    """Return 20 MiB that were encoded four times: each decoder needs its largest window for them."""
    data = bytes(20 * MIB)
    for _ in range(3):
        data = stored(data)
    return bytes(brotli.compress(data, quality=1, lgwin=24))


# Number of connections of each attack, and the bytes that each sends.
ATTACKS: Final[dict[str, tuple[int, Callable[[], bytes]]]] = {
    "half heads": (400, lambda: b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 65_000),
    "half bodies": (400, lambda: _PUT + b"Content-Length: 99999999\r\n\r\n" + b"y" * 66_000),
    "half bodies of HTTP/2": (20, uploads_of_http2),
    "half messages of WebSockets": (
        100,
        lambda: HANDSHAKE + b"\x82\xff" + struct.pack(">Q", 1_000_000) + bytes(4) + bytes(200_000),
    ),
    "brotli in brotli": (8, lambda: coded(b"br", b"br", b"br", b"br", content=brotli_in_brotli())),
    "brotli": (8, lambda: coded(b"br", content=brotli.compress(stored(bytes(20 * MIB)), quality=1, lgwin=24))),
    "delays": (150, lambda: b"GET /?echo_delay=60s HTTP/1.1\r\n" + _JSON),
    "drips": (150, lambda: b"GET /?echo_drip=60s HTTP/1.1\r\n" + _JSON),
    "events": (50, lambda: b"GET /?echo_format=events&echo_count=600 HTTP/1.1\r\n" + _JSON),
    "large bodies, compressed": (
        100,
        lambda: b"GET /?echo_size=9MiB&echo_compress=br&echo_drip=60s HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    "large bodies": (100, lambda: b"GET /?echo_size=1GiB HTTP/1.1\r\nHost: a\r\n\r\n"),
    "large answers, pipelined": (100, lambda: _LARGE * 10),
    "large answers without a window": (30, answers_of_http2),
    "large heads, then idle": (150, lambda: _LARGE),
}


def connections(port: int, attack: str) -> Iterator[socket.socket]:
    """Open the connections of an attack, each with its data, as far as the server accepts it within a moment."""
    count, make = ATTACKS[attack]
    sent = make()
    for _ in range(count):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before it connects, because it limits the window
        sock.settimeout(2)
        try:
            sock.connect(("127.0.0.1", port))
            sock.sendall(sent)
        except OSError:  # the connection is rejected, or not read, which is the expected outcome
            pass
        yield sock
