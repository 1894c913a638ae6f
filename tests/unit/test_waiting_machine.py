"""Random clients: the buffered bytes that a worker counts stay correct.

Whatever clients do, the count is never negative, and zero when they are gone.
"""

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, Final

import pytest

from app.http.request import RESPONSE_OPTIONS_KEY, Environ, ResponseOptions
from app.server.connection import Connection
from app.server.http2.handler import Http2Handler
from app.server.limits import RequestLimits
from app.server.memory_budget import MemoryBudget
from tests.http import raw_http2
from tests.http.raw_websocket import HANDSHAKE
from tests.unit.served import Served, Transport

STEPS: Final = 150
MOST: Final = 150_000  # bytes buffered at once: few, so that much is rejected
LIMITS: Final = RequestLimits(head_size=65_536, header_count=100, body_size=1 << 17)
PIECE: Final = b"p" * 5000
PATHS: Final[dict[str, tuple[ResponseOptions | None, int]]] = {  # effects of a response, and its number of pieces
    "/": (None, 0),
    "/large": (None, 20),
    "/delayed": (ResponseOptions(delay=3), 1),
    "/dripped": (ResponseOptions(is_streamed=True, interval=1, buffered_bytes=3000), 8),
    "/endless": (ResponseOptions(is_streamed=True, interval=0.5, is_endless=True, buffered_bytes=2000), 1000),
    "/before": (ResponseOptions(abort="before", delay=1), 1),
    "/middle": (ResponseOptions(abort="middle", is_streamed=True, buffered_bytes=1000), 3),
    "/failing": (ResponseOptions(is_streamed=True, buffered_bytes=1000), -1),
    "/fails": (None, -1),
}
BYTE: Final = 256


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond as the path says."""
    effects, pieces = PATHS.get(environ["PATH_INFO"], (None, 0))
    if effects:
        environ[RESPONSE_OPTIONS_KEY] = effects
    start_response("200 OK", [])
    return made(pieces)


def made(pieces: int) -> Iterator[bytes]:
    """Yield this many pieces; fail for a negative number."""
    if pieces < 0:
        raise RuntimeError("on purpose")
    for _ in range(pieces):
        yield PIECE


def requests(random: Random) -> Iterator[bytes]:
    """Yield random HTTP/1.1 requests, then WebSocket messages."""
    while random.random() < 0.9:
        path, size = random.choice(list(PATHS)).encode(), random.choice([0, 0, 10, 3000, 80_000])
        method = random.choice([b"GET", b"HEAD"])
        head = b"%b %b HTTP/1.1\r\nHost: a\r\nX: %b\r\nContent-Length: %d\r\n\r\n"
        yield head % (method, path, b"x" * random.choice([1, 2000]), size) + bytes(size)
    yield HANDSHAKE
    while True:
        size = random.choice([10, 126, 900, 5000])
        yield bytes([0x82, 0xFE]) + size.to_bytes(2) + bytes(4 + size) if size > 125 else b"\x82\x8a" + bytes(14)


def frames(random: Random) -> Iterator[bytes]:
    """Yield random HTTP/2 frames of interleaved streams."""
    yield raw_http2.PREFACE + raw_http2.frame("SETTINGS", 0, 0)
    last = -1
    uploads: list[int] = []
    while True:
        kind = random.choice(["ask", "ask", "upload", "data", "data", "reset", "window", "window", "websocket", "ping"])
        stream = random.choice(uploads or [max(1, last)])
        if kind in {"ask", "upload", "websocket"}:
            last += 2
            path = random.choice(list(PATHS)).encode()
            pseudo = [(b":method", b"CONNECT" if kind == "websocket" else random.choice([b"GET", b"HEAD"]))]
            pseudo += [(b":scheme", b"http"), (b":path", path), (b":authority", b"a")]
            if kind == "websocket":
                pseudo += [(b":protocol", b"websocket"), (b"sec-websocket-version", b"13")]
            yield raw_http2.headers(last, pseudo, ends=kind == "ask")
            uploads += [] if kind == "ask" else [last]
        elif kind == "data" and uploads:
            yield raw_http2.frame("DATA", ends := random.choice([0, 0, 1]), stream, bytes(random.choice([0, 9, 9000])))
            uploads = [each for each in uploads if each != stream or not ends]
        elif kind == "reset" and last > 0:
            yield raw_http2.frame("RST_STREAM", 0, stream, bytes(4))
            uploads = [each for each in uploads if each != stream]
        elif kind == "window":
            where = random.choice([0, 0, max(1, last), stream]) if last > 0 else 0
            yield raw_http2.frame("WINDOW_UPDATE", 0, where, random.choice([1, 1000, 100_000]).to_bytes(4))
        elif kind == "ping":
            yield raw_http2.frame("PING", 0, 0, bytes(8))


class Client:
    """One connection, and the bytes that its client will send."""

    def __init__(self, connection: Connection, transport: Transport, said: Iterator[bytes]) -> None:
        self.connection, self.transport = connection, transport
        self.said = said
        self.rest = b""
        self.paused = self.lost = False

    def step(self, random: Random) -> None:
        """Do something that a client, or its network, may do."""
        what = random.choices(["say", "half", "pause", "resume", "end", "lose"], [20, 10, 2, 8, 0.2, 0.2])[0]
        if what in {"say", "half"}:
            self.rest = self.rest or next(self.said)
            size = random.randint(1, len(self.rest)) if what == "half" else len(self.rest)
            data, self.rest = self.rest[:size], self.rest[size:]
            self.connection.data_received(data)
        elif what == "pause" and not self.transport.is_closing():
            self.transport.unread = random.choice([10_000, 40_000, 90_000])
            if not self.paused:
                self.paused = True
                self.connection.pause_writing()
        elif what == "resume" and self.paused and not self.transport.is_closing():
            self.paused, self.transport.unread = False, 0
            self.connection.resume_writing()
        elif what == "end":
            self.connection.eof_received()
        if what == "lose" or self.transport.is_closing():
            self.lost = True
            self.connection.connection_lost(None)

    def assert_counts(self) -> None:
        """Compare the counts of its session with the actual sizes."""
        session = self.connection._handler  # noqa: SLF001 - what is counted is seen nowhere else
        if isinstance(session, Http2Handler):
            answers = session._sender  # noqa: SLF001
            assert answers.queued_bytes == sum(len(each.send_buffer) for each in answers.exchanges.values())
            assert answers.buffered_request_bytes == sum(
                each.buffered_request_bytes for each in answers.exchanges.values()
            )
            assert answers.delayed_bytes == sum(each.delayed_bytes for each in answers.exchanges.values())


@pytest.mark.parametrize("seed", range(30))
def test_what_is_held_is_counted_in_whatever_order_things_happen(seed: int) -> None:
    """Counts are correct for six connections that send, stall, end and are rejected, also during a shutdown."""
    random = Random(seed)  # noqa: S311 - that it comes again is the point
    served = Served(application=application, limits=LIMITS, connections=20)
    waiting = served.service.memory_budget = MemoryBudget(MOST)
    served.connection.connection_lost(None)
    clients: list[Client] = []
    for step in range(STEPS):
        clients = [each for each in clients if not each.lost]
        while len(clients) < 6:
            clients.append(Client(*served.connect(), random.choice([requests, frames])(random)))
        random.choice(clients).step(random)
        if random.random() < 0.2:
            served.after(random.choice([0.1, 1, 3, 20]))
        else:
            served.turn()
        if step == STEPS - 20 and seed % 2:
            served.service.begin_shutdown()
        assert waiting.used >= 0
        for client in clients:
            client.assert_counts()
    for client in clients:
        if not client.lost:
            client.connection.connection_lost(None)
    served.turn(1000)
    assert waiting.used == 0
    assert not served.service.connections
