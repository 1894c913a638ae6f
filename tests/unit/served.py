"""One connection to be served, with a transport that only remembers and a clock that is moved by hand."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from app.carrier.connection import Connection
from app.carrier.gateway import server_environ
from app.carrier.layers import Listener
from app.carrier.limits import Limits
from app.carrier.service import Bounds, Service, Timeouts
from app.wire import Application, Environ

LIMITS = Limits(head=1024, fields=10, body=100)


class Transport(asyncio.Transport):
    """Remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1234)})
        self.written = b""
        self.did: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def write_eof(self) -> None:
        self.did.append("write_eof")

    def close(self) -> None:
        self.did.append("close")

    def abort(self) -> None:
        self.did.append("abort")

    def pause_reading(self) -> None:
        self.did.append("pause_reading")

    def resume_reading(self) -> None:
        self.did.append("resume_reading")

    def is_closing(self) -> bool:
        return "close" in self.did or "abort" in self.did


def answer_with_path(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the path; `/fail` fails."""
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("on purpose")
    start_response("200 OK", [("X-Remote", environ["REMOTE_ADDR"]), ("Content-Length", "2")])
    return [environ["PATH_INFO"].encode("latin-1")]


class Served:
    """A service with one connection to it, and the time in its hands."""

    def __init__(
        self, *, application: Application = answer_with_path, limits: Limits = LIMITS, **listener: Any
    ) -> None:
        self.now = 1000.0
        self.reports: list[str] = []
        self.turns: deque[Callable[[], None]] = deque()  # what is to be called in the loop's next turn
        self.service = Service(
            Bounds(
                limits=limits,
                timeouts=Timeouts(head=10, body=30, idle=75, websocket=200),
                connections=3,
                body_rate=1,
                streams=4,
                message=1000,
                decoded=1 << 20,
            ),
            clock=lambda: self.now,
            wall_clock=lambda: 784_111_777.0,
            report=self.reports.append,
            soon=self.turns.append,
        )
        self.listener = Listener(application, server_environ("h", 80, multiprocess=False), **listener)
        self.connection, self.transport = self.connect()

    def connect(self) -> tuple[Connection, Transport]:
        """Open one more connection."""
        connection = Connection(self.service, self.listener)
        transport = Transport()
        connection.connection_made(transport)
        return connection, transport

    def send(self, data: bytes) -> bytes:
        """Send, and give what was answered to it."""
        before = len(self.transport.written)
        self.connection.data_received(data)
        return self.transport.written[before:]

    def after(self, seconds: float) -> list[str]:
        """Let so many seconds pass; give what the transport was asked since the last look."""
        self.now += seconds
        self.service.sweep()
        did, self.transport.did = self.transport.did, []
        return did

    def turn(self) -> None:
        """Let the loop take its next turn."""
        for _ in range(len(self.turns)):
            self.turns.popleft()()
