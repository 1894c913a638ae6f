"""Effects of responses over real sockets, in real time.

The server runs an application of the tests.
"""

import asyncio
import http.client
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

import httpx
import pytest
import uvloop

from app.http.request import ResponseOptions
from app.server.clock import clock_for
from app.server.connection import Connection
from app.server.limits import RequestLimits
from app.server.listener import Acceptor
from app.server.state import Limits, ServerState, Timeouts
from app.server.transport_filters import ListenerConfig
from app.server.wsgi import server_environ
from tests.http.process import DEADLINE, read_answer, read_to_end
from tests.unit.planned import Plan, Planned, endless, failing

STREAMED = ResponseOptions(is_streamed=True)
MIB = 1 << 20
PIECE = 64 * 1024


class Carried:
    """A running server, with a planned application."""

    def __init__(self, port: int, plans: dict[str, Plan]) -> None:
        self.port = port
        self.plans = plans

    def connect(self) -> socket.socket:
        """Open a connection, with the deadline as timeout of each of its waits."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def ask(self, name: str, version: str = "1.1") -> socket.socket:
        """Send a request on a connection of its own; return the socket."""
        sock = self.connect()
        sock.sendall(f"GET /{name} HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        return sock

    def url(self, name: str) -> str:
        """Return the URL of a planned response."""
        return f"http://127.0.0.1:{self.port}/{name}"


@contextmanager
def carried(**plans: Plan) -> Iterator[Carried]:
    """Run the server in a thread, with an event loop of its own."""
    loop = uvloop.new_event_loop()
    service = ServerState(
        Limits(RequestLimits(8192, 100, MIB), Timeouts(DEADLINE, DEADLINE, DEADLINE), connections=1000),
        clock=clock_for(loop, time.time),
        report=lambda _line: None,
    )
    listener = ListenerConfig(Planned(**plans), server_environ("127.0.0.1", 80, multiprocess=False))
    sock = socket.create_server(("127.0.0.1", 0), backlog=1000)
    port = sock.getsockname()[1]
    sock.setblocking(False)
    ends = asyncio.Event()

    async def serve() -> None:
        acceptor = await Acceptor.start(sock, partial(Connection, service, listener), 1000)
        await ends.wait()
        acceptor.close()
        service.abort_all()
        await asyncio.sleep(0)

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(loop.run_until_complete, serve())
        try:
            yield Carried(port, plans)
        finally:
            loop.call_soon_threadsafe(ends.set)
            served.result(DEADLINE)
            loop.close()


def test_delays_hold_up_nobody() -> None:
    """While a few hundred connections wait, plain requests get their responses."""
    with carried(slow=Plan(ResponseOptions(delay=60.0), lambda: [b"slow"])) as echo, ExitStack() as stack:
        waiting = [stack.enter_context(echo.ask("slow")) for _ in range(300)]
        for _ in range(20):
            with echo.ask("plain") as sock:
                assert read_answer(sock)[1] == b"plain"
        assert select.select(waiting, [], [], 0)[0] == []


def test_delays_are_never_too_short() -> None:
    """Delays of many simultaneous requests are never too short."""
    with carried(slow=Plan(ResponseOptions(delay=1.0), lambda: [b"slow"])) as echo, ExitStack() as stack:
        begun = time.monotonic()
        for sock in [stack.enter_context(echo.ask("slow")) for _ in range(300)]:
            assert read_answer(sock)[1] == b"slow"
            assert time.monotonic() - begun >= 1


def test_a_large_body_is_made_as_the_client_reads_it() -> None:
    """A large body is generated only as far ahead as kernel buffers allow, and is sent completely."""
    count = 1024
    plan = Plan(STREAMED, lambda: (bytes(PIECE) for _ in range(count)), [("Content-Length", str(count * PIECE))])
    with carried(large=plan) as echo, echo.ask("large") as sock:
        assert sock.recv(1, socket.MSG_PEEK)
        for _ in range(20):
            with echo.ask("plain") as other:
                assert read_answer(other)[1] == b"plain"
        assert plan.given < 32 * MIB
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        size = 0
        while piece := answer.read(MIB):
            size += len(piece)
        assert size == count * PIECE
        assert plan.over.wait(DEADLINE)


def test_a_client_that_goes_away_ends_the_making() -> None:
    """The body's iterator is closed when the client disconnects."""
    plan = Plan(STREAMED, lambda: endless(PIECE))
    with carried(large=plan) as echo:
        with echo.ask("large") as sock:
            assert sock.recv(1000)
        assert plan.over.wait(DEADLINE)


def test_a_drip_takes_its_time() -> None:
    """The pieces of a drip arrive one by one, each after the interval."""
    plan = Plan(ResponseOptions(is_streamed=True, interval=0.05), lambda: [b"%d" % number for number in range(5)])
    with carried(drip=plan) as echo, echo.ask("drip") as sock:
        begun = time.monotonic()
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        pieces = [answer.read1() for _ in range(5)]
        assert time.monotonic() - begun >= 0.2 - 0.05
        assert pieces == [b"0", b"1", b"2", b"3", b"4"]
        assert answer.read() == b""


@pytest.mark.parametrize(
    ("plan", "version", "sees"),
    [
        (Plan(ResponseOptions(abort="before")), "1.1", http.client.RemoteDisconnected),
        (Plan(ResponseOptions(abort="middle")), "1.1", http.client.IncompleteRead),
        (Plan(ResponseOptions(abort="middle", is_streamed=True)), "1.1", http.client.IncompleteRead),
        (Plan(STREAMED, failing(b"one ")), "1.1", http.client.IncompleteRead),
        (Plan(STREAMED, failing(b"one ")), "1.0", ConnectionResetError),
        (Plan(ResponseOptions(abort="middle", is_streamed=True)), "1.0", ConnectionResetError),
    ],
    ids=["before", "middle", "middle, streamed", "fails", "fails, HTTP/1.0", "middle, HTTP/1.0"],
)
def test_a_client_sees_that_an_answer_is_broken(plan: Plan, version: str, sees: type[Exception]) -> None:
    """The client's library reports that a response is incomplete."""
    with carried(cut=plan) as echo, echo.ask("cut", version) as sock, pytest.raises(sees):
        read_answer(sock)


def test_http_1_0_reads_to_the_end() -> None:
    """A response of unknown length over HTTP/1.0 ends with the connection."""
    with carried(drip=Plan(STREAMED)) as echo, echo.ask("drip", "1.0") as sock:
        assert read_to_end(sock).endswith(b"Connection: close\r\n\r\none two three")


def test_a_large_body_is_one_stream_among_others() -> None:
    """An HTTP/2 client of another implementation reads a large body completely, with other requests in between."""
    plan = Plan(STREAMED, lambda: (bytes(PIECE) for _ in range(256)))
    with carried(large=plan, slow=Plan(ResponseOptions(delay=0.1), lambda: [b"slow"])) as echo:
        with httpx.Client(http1=False, http2=True, timeout=DEADLINE) as client:
            with client.stream("GET", echo.url("large")) as answer:
                assert answer.http_version == "HTTP/2"
                size = 0
                for number, piece in enumerate(answer.iter_raw()):
                    size += len(piece)
                    if number % 100 == 0:
                        assert client.get(echo.url("plain")).content == b"plain"
            assert size == 256 * PIECE
            assert client.get(echo.url("slow")).content == b"slow"
        assert plan.over.is_set()
