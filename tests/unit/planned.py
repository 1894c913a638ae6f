"""An application with planned responses and effects, and its clients.

The clients use HTTP/1.1 and HTTP/2 and record what they see of the responses.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import h2.events
from h2.errors import ErrorCodes

from app.http.observer import NULL_OBSERVER, ConnectionObserver
from app.http.request import REQUEST_KEY, RESPONSE_OPTIONS_KEY, Application, Environ, ResponseOptions
from app.server.connection import Connection
from app.server.http2 import frames
from tests.unit.served import Served, Transport
from tests.unit.test_http2_session import Client
from tests.unit.written import written_frames

KIB = 1024
PLAIN = "/plain"
NOTHING_MORE = 10_000  # turns of the loop: enough for everything that is still scheduled
STREAMED = ResponseOptions(is_streamed=True)


@dataclass
class Plan:
    """How the application responds to a path, and what was requested of it."""

    effects: ResponseOptions = STREAMED
    pieces: Callable[[], Iterable[bytes]] = lambda: (b"one ", b"two ", b"three")
    fields: list[tuple[str, str]] = field(default_factory=list)
    status: str = "200 OK"
    asked: int = 0
    given: int = 0  # bytes
    closed: int = 0
    over: threading.Event = field(default_factory=threading.Event)  # it was closed


class Body:
    """A body that records how it is used."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pieces = iter(plan.pieces())

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._plan.asked += 1
        piece = next(self._pieces)
        self._plan.given += len(piece)
        return piece

    def close(self) -> None:
        self._plan.closed += 1
        self._plan.over.set()


class Planned:
    """An application that responds to each path as planned, and to `/plain` at once with its name."""

    def __init__(self, **plans: Plan) -> None:
        self.plans = {f"/{name}": plan for name, plan in plans.items()} | {
            PLAIN: Plan(ResponseOptions(), lambda: [b"plain"]),
        }

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        plan = self.plans[environ[REQUEST_KEY].target.decode()]
        if plan.effects != ResponseOptions():
            environ[RESPONSE_OPTIONS_KEY] = plan.effects
        start_response(plan.status, plan.fields)
        return Body(plan)


@dataclass
class Seen:
    """Part of a response that a client has received so far."""

    status: int | None = None
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    broken: bool = False
    trailers: dict[str, str] = field(default_factory=dict)


class Over(Protocol):
    """A client of either protocol whose requests don't wait for each other."""

    served: Served
    name: str

    def ask(self, path: str, method: str = "GET") -> int:
        """Send a request; return the number by which its response is found."""

    def seen(self, number: int) -> Seen:
        """Return what has been received of a response."""

    def give_up(self, number: int) -> None:
        """Abandon a request: its response is no longer wanted."""

    def connection(self, number: int) -> Connection:
        """Return the connection of a request."""


class OverHttp1:
    """An HTTP/1.1 client, with one connection per request."""

    name = "HTTP/1.1"

    def __init__(self, application: Application, streams: int = 4, version: str = "1.1", **listener: Any) -> None:
        self.served = Served(application=application, connections=streams * 3, **listener)
        self.version = version
        self.asked: list[tuple[str, Connection, Transport]] = []

    def ask(self, path: str, method: str = "GET") -> int:
        connection, transport = self.served.connect()
        self.asked.append((method, connection, transport))
        connection.data_received(f"{method} {path} HTTP/{self.version}\r\nHost: a\r\n\r\n".encode())
        return len(self.asked) - 1

    def seen(self, number: int) -> Seen:
        method, _, transport = self.asked[number]
        return seen(transport.written, method, closed=transport.ended)

    def give_up(self, number: int) -> None:
        self.asked[number][1].connection_lost(None)

    def connection(self, number: int) -> Connection:
        return self.asked[number][1]


def seen(written: bytes, method: str = "GET", *, closed: bool) -> Seen:
    """Parse one HTTP/1.1 response as far as it has been received."""
    head, found, rest = written.partition(b"\r\n\r\n")
    if not found:
        return Seen(broken=closed)
    line, *lines = head.decode("latin-1").split("\r\n")
    answer = Seen(int(line.split()[1]), {n.lower(): v for n, v in (each.split(": ", 1) for each in lines)})
    if method == "HEAD" or answer.status in {204, 304}:
        assert rest == b""
        answer.ended = True
    elif "transfer-encoding" in answer.fields:
        assert "content-length" not in answer.fields
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            if not length:
                *trailers, end, _ = rest.decode().split("\r\n")
                assert end == ""
                answer.trailers = dict(each.split(": ", 1) for each in trailers)
                answer.ended = True
                break
            answer.body += rest[:length]
            assert rest[length : length + 2] == b"\r\n"
            rest = rest[length + 2 :]
    elif "content-length" in answer.fields:
        answer.body = rest
        assert len(rest) <= int(answer.fields["content-length"])
        answer.ended = len(rest) == int(answer.fields["content-length"])
    else:
        answer.body, answer.ended = rest, closed
    answer.broken = closed and not answer.ended
    return answer


class OverHttp2:
    """An HTTP/2 client, with one stream per request on a single connection."""

    name = "HTTP/2"

    def __init__(
        self,
        application: Application,
        streams: int = 4,
        window: int = 1 << 30,
        observer: ConnectionObserver = NULL_OBSERVER,
    ) -> None:
        self.client = Client(answer=application, streams=streams, observer=observer, initial_window_size=window)
        self.client.h2.increment_flow_control_window(window)
        self.client.exchange()
        self.served = self.client.served

    def ask(self, path: str, method: str = "GET") -> int:
        return self.client.ask(path, method=method)

    def seen(self, number: int) -> Seen:
        client = self.client
        client.receive()
        answer = Seen(body=client.answer(number), ended=client.ended(number))
        for came in client.of(number, h2.events.ResponseReceived):
            fields = {name.decode(): value.decode() for name, value in came.headers}
            answer.status, answer.fields = int(fields.pop(":status")), fields
        for came in client.of(number, h2.events.TrailersReceived):
            answer.trailers = {name.decode(): value.decode() for name, value in came.headers}
        for came in client.of(number, h2.events.StreamReset):
            assert came.error_code == ErrorCodes.INTERNAL_ERROR
            answer.broken = True
        return answer

    def give_up(self, number: int) -> None:
        self.client.h2.reset_stream(number)
        self.client.exchange()

    def connection(self, number: int) -> Connection:
        del number
        return self.served.connection


def endless(size: int) -> Iterator[bytes]:
    """Yield pieces of this size for as long as they are requested."""
    while True:
        yield bytes(size)


def failing(*pieces: bytes) -> Callable[[], Iterator[bytes]]:
    """Return a body that fails after these pieces."""

    def made() -> Iterator[bytes]:
        yield from pieces
        raise RuntimeError("on purpose")

    return made


def run(client: Over) -> None:
    """Run everything that takes no time; check that it comes to an end."""
    assert client.served.turn(NOTHING_MORE) < NOTHING_MORE


def of_stream(transport: Transport, number: int) -> Seen:
    """Read the data of a stream."""
    answer = Seen()
    for frame in written_frames(transport.written):
        if frame.stream_id == number and frame.type == frames.DATA:
            answer.body += frame.payload
        if frame.stream_id == number and frame.type in {frames.DATA, frames.HEADERS}:
            answer.ended = bool(frame.flags & frames.END_STREAM)
        if frame.stream_id == number and frame.type == frames.RST_STREAM:
            answer.broken = True
    return answer
