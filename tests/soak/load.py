"""Requests of every kind, in rounds, over raw sockets.

They are sent by one client and pipelined, so that it is cheap.
"""

import gzip
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from tests.http import raw_http2
from tests.http.process import DEADLINE, read_to_end
from tests.http.raw_websocket import HANDSHAKE

_BATCH: Final = 100  # requests sent before their responses are read, few enough not to fill either side's buffers
_HEAD: Final = b"\r\nDate: "  # once in each response
_LAST: Final = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
_BARE: Final = b"GET /blah/blah HTTP/1.1\r\nHost: a\r\n\r\n"
_JSON: Final = (
    b"GET /json?a=b HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n"
    + b"".join(b"X-Field-%d: some value of a usual length\r\n" % number for number in range(10))
    + b"\r\n"
)
_CONTROLS: Final = (
    b"echo_status=503", b"echo_status=500:10,200:90", b"echo_delay=1ms", b"echo_header=X-A:b", b"echo_body=text",
    b"echo_size=10000", b"echo_size=200000&echo_compress=gzip", b"echo_drip=10ms", b"echo_redirect=/there",
    b"echo_compress=br", b"echo_fail_first=1", b"echo_format=html", b"echo_format=yaml", b"echo_format=text",
    b"echo_format=whoami", b"echo_format=gateway-api", b"echo_count=1&echo_format=events",
)  # fmt: skip
_REFUSED: Final = (b"echo_status=700", b"echo_delay=1h", b"echo_size=x", b"echo_format=none")
_BROKEN: Final = (
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    b"GET /" + b"a" * 70_000,
)
_LEFT: Final = (
    b"GET / HT",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"y" * 50_000,
    b"GET /?echo_size=10MiB HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /?echo_delay=5s HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /?echo_drip=5s&echo_size=1000 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\nContent-Length: 100000\r\n\r\n" + b"y" * 50_000,
)

_QUICK, _SLOW = (
    raw_http2.block([(b":method", b"GET"), (b":scheme", b"http"), (b":path", path), (b":authority", b"a")])
    for path in (b"/stream", b"/?echo_delay=60s")
)

Connect = Callable[[], socket.socket]


def a_round(connect: Connect, port: int, context: ssl.SSLContext) -> int:
    """Send requests of every kind; return their number. Each response is complete."""
    count = 0
    for _ in range(20):
        count += pipelined(connect, [_BARE] * 1000)
    count += pipelined(connect, [_JSON] * 1000)
    count += pipelined(connect, [body for size in (0, 1, 1000, 20_000, 100_000) for body in posts(size)] * 5)
    count += pipelined(connect, [b"GET /?%b HTTP/1.1\r\nHost: a\r\n\r\n" % wish for wish in _CONTROLS] * 6)
    count += pipelined(connect, [b"GET /?%b HTTP/1.1\r\nHost: a\r\n\r\n" % wish for wish in _REFUSED] * 50)
    count += sum(refused(connect, broken) for broken in _BROKEN * 10)
    count += sum(left(connect, begun) for begun in _LEFT * 10)
    count += sum(websocket(connect) for _ in range(20))
    count += sum(streams(connect) for _ in range(3))
    count += sum(pipelined(lambda: secure(port, context), [_BARE] * 100) for _ in range(5))
    return count


def posts(size: int) -> Iterable[bytes]:
    """Yield requests with a body of this many bytes, in each framing, one of them encoded."""
    body = b"y" * size
    yield b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (size, body)
    chunk = b"%x\r\n%b\r\n" % (size, body) if size else b""
    yield b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\nX-Trailer: 1\r\n\r\n" % chunk
    coded = gzip.compress(body)
    yield b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(coded) + coded


def pipelined(connect: Connect, requests: list[bytes]) -> int:
    """Send requests on one connection, several at once, then a last one; return the number of all responses."""
    heads, tail = 0, b""
    with connect() as sock:
        for start in range(0, len(requests), _BATCH):
            batch = requests[start : start + _BATCH]
            for request in batch if len(batch[0]) > 10_000 else [b"".join(batch)]:
                sock.sendall(request)
            while heads < start + len(batch):
                piece = sock.recv(262_144)
                assert piece, f"closed behind {heads} answers"
                heads += (tail + piece).count(_HEAD)
                tail = piece[-len(_HEAD) + 1 :]
        sock.sendall(_LAST)
        heads += (tail + read_to_end(sock)).count(_HEAD)
    assert heads == len(requests) + 1
    return heads


def refused(connect: Connect, broken: bytes) -> int:
    """Send malformed bytes; they are rejected, and the connection is closed."""
    with connect() as sock:
        sock.sendall(broken)
        assert read_to_end(sock).startswith(b"HTTP/1.1 ")
    return 1


def left(connect: Connect, begun: bytes) -> int:
    """Send an incomplete request, and close."""
    with connect() as sock:
        sock.sendall(begun)
    return 1


def websocket(connect: Connect) -> int:
    """Open a WebSocket, have a message echoed, and close it."""
    close = b"\x88\x82\0\0\0\0" + struct.pack(">H", 1000)
    with connect() as sock:
        sock.sendall(HANDSHAKE + b"\x82\xfe\x03\xe8\0\0\0\0" + b"m" * 1000 + close)
        answer = read_to_end(sock)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"\x82\x7e\x03\xe8" + b"m" * 1000 + b"\x88\x02\x03\xe8")
    return 1


def streams(connect: Connect, batches: int = 6) -> int:
    """Send requests on many streams of one HTTP/2 connection, and reset some; return their number."""
    count = 0
    with connect() as sock:
        client = raw_http2.Client(sock)
        client.send(raw_http2.opening())
        for batch in range(batches):
            numbers = [2 * (_BATCH * batch + place) + 1 for place in range(_BATCH)]
            slow = numbers[::10]
            blocks = {number: _SLOW if number in slow else _QUICK for number in numbers}
            client.send(b"".join(raw_http2.frame("HEADERS", 5, number, block) for number, block in blocks.items()))
            client.send(b"".join(raw_http2.frame("RST_STREAM", 0, number, struct.pack(">I", 8)) for number in slow))
            quick = [number for number in numbers if number not in slow]
            client.hear(lambda quick=quick: all(client.over(number) for number in quick))  # type: ignore[misc]
            assert client.goaway is None
            assert all(client.streams[number].status == 200 for number in quick)
            client.frames.clear()
            count += len(numbers)
    return count


def secure(port: int, context: ssl.SSLContext) -> socket.socket:
    """Open a TLS connection."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)
