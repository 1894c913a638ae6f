"""Activities that can be in progress when the echo shuts down.

The table says how each of them begins and how it must end.
"""

import gzip
import select
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Final, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as open_websocket

from app.http.streamed_body import generate_body
from app.server.state import SHUTDOWN_GRACE
from tests.http.certificates import connect as connect_by_tls
from tests.http.process import DEADLINE, Echo, LateError, read_answer, read_to_end
from tests.http.raw_http2 import FLAGS, Client, frame, headers, opening, request
from tests.unit.test_websocket import CLOSE, GOOD, TEXT, close, read_frames
from tests.unit.test_websocket import frame as websocket_frame


class Begun(NamedTuple):
    """An activity in progress: `finish` checks how it ends; `ask` sends or checks something after the signal."""

    finish: Callable[[], None]
    ask: Callable[[], None] = lambda: None


Begin = Callable[[Echo, ExitStack], Begun]

GET: Final = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
HALF: Final = b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1"
_MIB: Final = 1 << 20
UNDER_WAY: Final[dict[str, Begin]] = {}


def row(what: str) -> Callable[[Begin], Begin]:
    """Add a row to the table."""

    def put(begin: Begin) -> Begin:
        UNDER_WAY[what] = begin
        return begin

    return put


class UnderWay:
    """All activities of the table. `failed` are those that did not end as they must."""

    def __init__(self, begun: dict[str, Begun]) -> None:
        self.begun = begun
        self.failed: dict[str, str] = {}

    def ask(self, told: float) -> None:
        """Run every activity's `ask` after the signal, which was sent at `told` or later. Raises `LateError`.

        The echo need not wait for a client that sends nothing for a second.
        """
        for each in self.begun.values():
            with suppress(OSError):  # a connection closed too early is detected by `finish`
                each.ask()
        if time.monotonic() > told + SHUTDOWN_GRACE:
            raise LateError


@contextmanager
def everything(echo: Echo) -> Iterator[UnderWay]:
    """Begin all activities; after the block, which must call `ask`, all of them finish at once."""
    with ExitStack() as stack, ThreadPoolExecutor(len(UNDER_WAY)) as pool:
        under_way = UnderWay({what: begin(echo, stack) for what, begin in UNDER_WAY.items()})
        # A response on a later connection proves that the only worker has received everything sent before.
        assert echo.get("/")[0].status == 200
        yield under_way
        for what, ended in {what: pool.submit(each.finish) for what, each in under_way.begun.items()}.items():
            error = ended.exception(2 * DEADLINE)
            if error is not None:
                under_way.failed[what] = repr(error)


def asking(query: str, *fields: str) -> bytes:
    """Return a request with controls in its query."""
    return "\r\n".join((f"GET /a?{query} HTTP/1.1", "Host: a", *fields, "", "")).encode()


def _is_last(sock: socket.socket, body: bytes) -> None:
    """Check that the response has this body and announces the connection's end, and that the connection ends."""
    answer, came = read_answer(sock)
    assert (answer.headers["Connection"], came) == ("close", body)
    assert read_to_end(sock) == b""


@row("an idle connection on which one more request comes")
def _idle(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(echo.connect())
    sock.sendall(GET)
    assert read_answer(sock)[0].headers["Connection"] is None

    return Begun(lambda: _is_last(sock, b"<b>Got: a</b>!"), ask=lambda: sock.sendall(GET))


@row("a connection that has said nothing yet")
def _fresh(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(echo.connect())

    return Begun(lambda: _is_last(sock, b"<b>Got: a</b>!"), ask=lambda: sock.sendall(GET))


@row("half a body")
def _half(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(echo.connect())
    sock.sendall(HALF)

    def finish() -> None:
        sock.sendall(b"2")
        _is_last(sock, b"<b>Got: half</b>!")

    return Begun(finish)


@row("half a body over TLS")
def _half_by_tls(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(connect_by_tls(echo))
    sock.sendall(HALF)

    def finish() -> None:
        sock.sendall(b"2")
        _is_last(sock, b"<b>Got: half</b>!")

    return Begun(finish)


@row("an idle connection")
def _silent(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(echo.connect())
    sock.sendall(GET)
    read_answer(sock)
    return Begun(lambda: _ends(sock))


@row("an idle connection over TLS, whose end TLS tells (RFC 8446, 6.1)")
def _silent_by_tls(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(connect_by_tls(echo))
    sock.sendall(GET)
    read_answer(sock)
    return Begun(lambda: _ends(sock))


def _ends(sock: socket.socket) -> None:
    assert read_to_end(sock) == b""


@row("a delayed answer")
def _delayed(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(echo.connect())
    sock.sendall(asking("echo_delay=4s"))  # longer than the other activities take to begin

    def ask() -> None:
        if select.select([sock], [], [], 0)[0]:
            raise LateError

    return Begun(lambda: _is_last(sock, b"<b>Got: a</b>!"), ask)


@row("an answer that comes piece by piece")
def _dripping(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(echo.connect())
    sock.sendall(asking("echo_size=10&echo_drip=1s"))
    assert sock.recv(1) == b"H"

    def finish() -> None:
        assert read_to_end(sock).endswith(b"\r\n\r\n0123456789")

    return Begun(finish)


@row("a large answer of unknown length that is being read")
def _large(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(echo.connect())
    sock.sendall(asking("echo_size=30MiB&echo_compress=gzip"))
    assert sock.recv(1) == b"H"

    def finish() -> None:
        head, _, chunks = read_to_end(sock).partition(b"\r\n\r\n")
        assert b"Content-Encoding: gzip" in head
        assert gzip.decompress(_unchunked(chunks)) == b"".join(generate_body(30 * _MIB))

    return Begun(finish)


def _unchunked(chunks: bytes) -> bytes:
    """Decode the chunked coding, which must be complete (RFC 9112, 7.1)."""
    whole = bytearray()
    while size := int(chunks.partition(b"\r\n")[0], 16):
        start = chunks.index(b"\r\n") + 2
        whole += chunks[start : start + size]
        chunks = chunks[start + size + 2 :]
    assert chunks == b"0\r\n\r\n"
    return bytes(whole)


@row("server-sent events, which end well, so that who listens comes again")
def _events(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(echo.connect())
    sock.sendall(asking("echo_count=600", "Accept: text/event-stream"))
    came = b""
    while b"\n\n" not in came:
        came += sock.recv(65_536)

    def finish() -> None:
        assert (came + read_to_end(sock)).endswith(b"\r\n0\r\n\r\n")

    return Begun(finish)


@row("a WebSocket")
def _websocket(echo: Echo, stack: ExitStack) -> Begun:
    client = stack.enter_context(
        open_websocket(f"ws://127.0.0.1:{echo.port}/", proxy=None, ping_interval=None, open_timeout=DEADLINE)
    )
    client.recv(DEADLINE)

    def finish() -> None:
        with pytest.raises(ConnectionClosed):
            client.recv(DEADLINE)
        assert (client.close_code, client.close_reason) == (1001, "server is shutting down")

    return Begun(finish)


@row("a WebSocket within a message, of a client that says nothing more")
def _silent_websocket(echo: Echo, stack: ExitStack) -> Begun:
    sock = stack.enter_context(echo.connect())
    sock.sendall(b"GET / HTTP/1.1\r\n" + b"".join(b"%s: %s\r\n" % each for each in GOOD) + b"\r\n")
    sock.sendall(websocket_frame(TEXT, b"a", fin=False))

    def finish() -> None:
        frames = read_frames(read_to_end(sock).partition(b"\r\n\r\n")[2])
        assert (frames[-1].opcode, frames[-1].payload) == (CLOSE, close(1001, b"server is shutting down"))

    return Begun(finish)


@row("a WebSocket over HTTP/2 (RFC 8441)")
def _websocket_by_http2(echo: Echo, stack: ExitStack) -> Begun:
    client = Client(stack.enter_context(echo.connect()))
    asked = [
        *((b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":path", b"/")),
        *((b":authority", b"a"), (b"sec-websocket-version", b"13")),
    ]
    client.send(opening() + headers(1, asked, ends=False))
    client.hear(until=lambda: 1 in client.streams and client.streams[1].body != b"")

    def finish() -> None:
        def said() -> bytes:
            return client.streams[1].body

        closing = close(1001, b"server is shutting down")
        client.hear(until=lambda: said().endswith(closing))
        client.send(frame("DATA", FLAGS["END_STREAM"], 1, websocket_frame(CLOSE, close(1001))))
        client.hear()
        assert client.goaway == "NO_ERROR"
        assert client.streams[1].complete

    return Begun(finish)


@row("streams of HTTP/2: half a body, a delayed answer, and one that was asked for when GOAWAY was under way")
def _streams(echo: Echo, stack: ExitStack) -> Begun:
    client = Client(stack.enter_context(echo.connect()))
    half = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/half"), (b":authority", b"a")]
    client.send(opening() + headers(1, half, ends=False) + frame("DATA", 0, 1, b"1"))
    client.send(request(b"/a?echo_delay=1s", 3) + request(b"/first", 5))
    client.hear(until=lambda: client.over(5))

    def finish() -> None:
        client.send(request(b"/late", 7) + frame("DATA", FLAGS["END_STREAM"], 1, b"2"))
        client.hear()
        assert client.goaway == "NO_ERROR"
        told = {number: stream.body for number, stream in client.streams.items() if stream.complete}
        last = int.from_bytes(next(each for each in client.frames[::-1] if each.type == "GOAWAY").payload[:4], "big")
        late = {7: b"<b>Got: late</b>!"} if last >= 7 else {}
        assert told == {1: b"<b>Got: half</b>!", 3: b"<b>Got: a</b>!", 5: b"<b>Got: first</b>!"} | late

    return Begun(finish)
