"""Random clients: the buffered bytes that a worker counts stay correct.

Whatever clients do, the count is never negative, and zero when they are gone.
"""

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, Final

import pytest

from app.http.request import EFFECTS_KEY, Effects, Environ
from app.server.connection import Connection
from app.server.http2.handler import Http2Session
from app.server.limits import Limits
from app.server.memory_budget import Waiting
from tests.http import raw_http2
from tests.http.raw_websocket import HANDSHAKE
from tests.unit.served import Served, Transport

STEPS: Final = 150
MOST: Final = 150_000  # bytes buffered at once: few, so that much is rejected
LIMITS: Final = Limits(head=65_536, fields=100, body=1 << 17)
PIECE: Final = b"p" * 5000
PATHS: Final[dict[str, tuple[Effects | None, int]]] = {  # effects of a response, and its number of pieces
    "/": (None, 0),
    "/large": (None, 20),
    "/delayed": (Effects(delay=3), 1),
    "/dripped": (Effects(streamed=True, interval=1, held=3000), 8),
    "/endless": (Effects(streamed=True, interval=0.5, endless=True, held=2000), 1000),
    "/before": (Effects(abort="before", delay=1), 1),
    "/middle": (Effects(abort="middle", streamed=True, held=1000), 3),
    "/failing": (Effects(streamed=True, held=1000), -1),
    "/fails": (None, -1),
}
BYTE: Final = 256


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond as the path says."""
    effects, pieces = PATHS.get(environ["PATH_INFO"], (None, 0))
    if effects:
        environ[EFFECTS_KEY] = effects
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
        session = self.connection._session  # noqa: SLF001 - what is counted is seen nowhere else
        if isinstance(session, Http2Session):
            answers = session._answers  # noqa: SLF001
            assert answers.queued == sum(len(each.out) for each in answers.exchanges.values())
            assert answers.kept == sum(each.kept for each in answers.exchanges.values())
            assert answers.held == sum(each.held for each in answers.exchanges.values())


@pytest.mark.parametrize("seed", range(30))
def test_what_is_held_is_counted_in_whatever_order_things_happen(seed: int) -> None:
    """Counts are correct for six connections that send, stall, end and are rejected, also during a shutdown."""
    random = Random(seed)  # noqa: S311 - that it comes again is the point
    served = Served(application=application, limits=LIMITS, connections=20)
    waiting = served.service.waiting = Waiting(MOST)
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
            served.service.drain()
        assert waiting.size >= 0
        for client in clients:
            client.assert_counts()
    for client in clients:
        if not client.lost:
            client.connection.connection_lost(None)
    served.turn(1000)
    assert waiting.size == 0
    assert not served.service.connections
