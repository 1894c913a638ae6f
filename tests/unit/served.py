"""A served connection with a recording transport and a manual clock."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from app.http.connection_info import Endpoint
from app.http.request import Application, ConnectionInfo, Environ, HttpRequest
from app.server.clock import Clock
from app.server.connection import Connection
from app.server.limits import RequestLimits
from app.server.state import Limits, ServerState, Timeouts
from app.server.transport_filters import ListenerConfig
from app.server.wsgi import build_environ, server_environ

LIMITS = RequestLimits(head_size=1024, header_count=10, body_size=100)
_AT_ONCE = 1000  # turns of the loop that take no time


class Socket:
    """A socket that records that it is to be reset when it is closed."""

    def __init__(self, did: list[str]) -> None:
        self._did = did

    def fileno(self) -> int:
        return -1  # there is no kernel that could be asked

    def setsockopt(self, *_option: object) -> None:
        self._did.append("reset")


@dataclass(eq=False)
class Timer:
    """A call at a time on the clock."""

    at: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Transport(asyncio.Transport):
    """A transport that records the calls made to it."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = False  # from this side, in whatever way
        self.unread = 0  # bytes of what was written
        self.did: list[str] = []
        super().__init__({"peername": ("192.0.2.1", 1234), "socket": Socket(self.did)})

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        del high, low  # the test decides whether the client reads

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write_eof(self) -> None:
        self.ended = True
        self.did.append("write_eof")

    def close(self) -> None:
        self.ended = True
        self.did.append("close")

    def abort(self) -> None:
        self.ended = True
        self.did.append("abort")

    def pause_reading(self) -> None:
        self.did.append("pause_reading")

    def resume_reading(self) -> None:
        self.did.append("resume_reading")

    def is_closing(self) -> bool:
        return "close" in self.did or "abort" in self.did


def answer_with_path(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond with the path; `/fail` fails."""
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("on purpose")
    start_response("200 OK", [("X-Remote", environ["REMOTE_ADDR"]), ("Content-Length", "2")])
    return [environ["PATH_INFO"].encode("latin-1")]


_LISTENER = ListenerConfig(answer_with_path, server_environ("h", 8080, multiprocess=False))
_INFO = ConnectionInfo(Endpoint("192.0.2.1", 1234), Endpoint("192.0.2.2", 8080))


def environ_for(request: HttpRequest) -> Environ:
    """Return the environ that our own server builds for a request."""
    return build_environ(request, _LISTENER, _INFO, draining=False)


class Served:
    """A service with one connection to it, and a clock under its control."""

    def __init__(
        self,
        *,
        application: Application = answer_with_path,
        limits: RequestLimits = LIMITS,
        connections: int = 3,
        streams: int = 4,
        **listener: Any,
    ) -> None:
        self.now = 1000.0
        self.wall = 784_111_777.0  # POSIX time
        self.reports: list[str] = []
        self.turns: deque[Callable[[], None]] = deque()  # what is to be called in the loop's next turn
        self.timers: list[Timer] = []
        self.service = ServerState(
            Limits(
                request=limits,
                timeouts=Timeouts(head=10, body=30, idle=75, websocket=200),
                connections=connections,
                min_body_rate=1,
                concurrent_streams=streams,
                message_size=1000,
                decoded_size=1 << 20,
            ),
            clock=Clock(lambda: self.now, lambda: self.wall, self.turns.append, self._later),
            report=self.reports.append,
        )
        self.listener = ListenerConfig(application, server_environ("h", 80, multiprocess=False), **listener)
        self.connection, self.transport = self.connect()

    def connect(self) -> tuple[Connection, Transport]:
        """Open one more connection."""
        connection = Connection(self.service, self.listener)
        transport = Transport()
        connection.connection_made(transport)
        return connection, transport

    def send(self, data: bytes) -> bytes:
        """Send bytes, and return what was written in response."""
        before = len(self.transport.written)
        self.connection.data_received(data)
        return self.transport.written[before:]

    def after(self, seconds: float) -> list[str]:
        """Advance the clock by some seconds and run what is due; return the transport's calls since the last check."""
        end = self.now + seconds
        if seconds:
            self.turn(_AT_ONCE)
        while due := [each for each in self.pending() if each.at <= end]:
            timer = min(due, key=lambda each: each.at)
            self.timers.remove(timer)
            self.now = max(self.now, timer.at)
            self.service.expire_overdue(self.now)
            if not timer.cancelled:
                timer.call()
            self.turn(_AT_ONCE)
        self.now = end
        self.service.expire_overdue(self.now)
        did = self.transport.did[:]
        self.transport.did.clear()
        return did

    def pending(self) -> list[Timer]:
        """Return the timers that have not fired yet."""
        self.timers = [each for each in self.timers if not each.cancelled]
        return self.timers

    def turn(self, most: int = 1) -> int:
        """Run the next turns of the loop while there is something to do; return their number."""
        taken = 0
        while self.turns and taken < most:
            taken += 1
            for _ in range(len(self.turns)):
                self.turns.popleft()()
        return taken

    def _later(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = Timer(self.now + seconds, call)
        self.timers.append(timer)
        return timer
