"""Request loops: several connections of each kind of load.

Each sends one request after the other until the load is stopped.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.e2e.load import grpc, http1, http2
from tests.e2e.load.connecting import Connection, Note
from tests.e2e.load.grpc import Grpc
from tests.e2e.load.http1 import Http1
from tests.e2e.load.http2 import Http2
from tests.e2e.load.judging import TIMEOUT, AgainError, Answer, Fault, LostError, Request, judged, new_request
from tests.e2e.load.ports import new_socket
from tests.e2e.load.tallying import Tally

TRIES: Final = 5  # for a request that the server reports as not processed
AFTER_A_LOSS: Final = 0.1  # seconds until the next request, so that an unavailable Service does not get a thousand

PROTOCOLS: Final[Mapping[str, Callable[[str, Note], Connection]]] = {
    http1.PROTOCOL: Http1,
    http2.PROTOCOL: Http2,
    grpc.PROTOCOL: Grpc,
}


@dataclass(frozen=True)
class Kind:
    """A kind of connections: how many, simultaneous requests on each, pauses between and delays of the requests.

    `pause` and `delay` are in seconds; `fresh` connections carry one request each.
    """

    protocol: str
    connections: int
    streams: int = 1
    method: str = "PUT"
    fresh: bool = False
    pause: float = 0.02
    delay: float = 0


# Clients with a persistent connection and frequent requests; with a connection for each request; idle for longer than a
# stopping server keeps an idle connection. Also those with requests in progress when the stop begins. No client repeats
# a POST.
KINDS: Final = {
    "HTTP/1.1 kept": Kind(http1.PROTOCOL, 8),
    "HTTP/1.1 fresh": Kind(http1.PROTOCOL, 8, method="POST", fresh=True),
    "HTTP/1.1 idle": Kind(http1.PROTOCOL, 2, pause=1.5),
    "HTTP/1.1 slow": Kind(http1.PROTOCOL, 2, method="POST", delay=1.5),
    "HTTP/2 kept": Kind(http2.PROTOCOL, 2, streams=4, method="POST"),
    "HTTP/2 fresh": Kind(http2.PROTOCOL, 8, method="POST", fresh=True),
    "HTTP/2 idle": Kind(http2.PROTOCOL, 2, method="POST", pause=1.5),
    "HTTP/2 slow": Kind(http2.PROTOCOL, 1, streams=2, method="POST", delay=1.5),
    "gRPC kept": Kind(grpc.PROTOCOL, 4, streams=4, method="POST"),
    "gRPC fresh": Kind(grpc.PROTOCOL, 8, method="POST", fresh=True),
    "gRPC idle": Kind(grpc.PROTOCOL, 2, method="POST", pause=1.5),
    "gRPC slow": Kind(grpc.PROTOCOL, 1, streams=2, method="POST", delay=1.5),
}


@dataclass(frozen=True)
class Place:
    """The target of the load: address, port, and the host in the requests."""

    address: str
    port: int
    host: str


class Asker:
    """Sends requests on one connection, and on a new one when that has ended."""

    def __init__(self, place: Place, kind: Kind, tally: Tally, enough: Callable[[], bool]) -> None:
        self._place = place
        self._kind = kind
        self._tally = tally
        self._enough = enough
        self._kept: Connection | None = None
        self._opening = asyncio.Lock()  # one connection for all streams
        self._closing: set[asyncio.Task[None]] = set()

    async def ask_on(self) -> None:
        """Send requests until the load is stopped, then close the connection gracefully."""
        await asyncio.gather(*(self._one_by_one() for _ in range(self._kind.streams)))
        if self._kept is not None:
            self._close(self._kept)
        await asyncio.gather(*self._closing)

    async def _one_by_one(self) -> None:
        while not self._enough():
            request = new_request(self._kind.method, self._kind.delay)
            if await self.ask(request):
                await asyncio.sleep(random.uniform(0, 2 * self._kind.pause))  # noqa: S311 - no secret
            else:
                await asyncio.sleep(AFTER_A_LOSS)

    async def ask(self, request: Request) -> bool:
        """Follow one request to its end; return whether its response was correct."""
        tally, began = self._tally, time.monotonic()
        tally.asked += 1
        try:
            answer = judged(request, await self._answer(request), self._kind.protocol)
        except LostError as error:
            tally.note(error.fault, f"after {time.monotonic() - began:.3f} s: {error}")
            return False
        tally.answer(answer, time.monotonic() - began)
        return True

    async def _answer(self, request: Request) -> Answer:
        for _ in range(TRIES):
            connection = await (self._open() if self._kind.fresh else self._keep())
            try:
                return await connection.ask(request, last=self._kind.fresh)
            except AgainError as again:
                self._tally.send_again(again.why, str(again))
            finally:
                if self._kind.fresh:
                    self._close(connection)
        raise LostError(Fault.FAILED, f"not processed in {TRIES} tries")

    async def _keep(self) -> Connection:
        async with self._opening:
            if self._kept is None or not self._kept.usable:
                if self._kept is not None:
                    self._close(self._kept)
                self._kept = await self._open()
            return self._kept

    async def _open(self) -> Connection:
        loop, make = asyncio.get_running_loop(), PROTOCOLS[self._kind.protocol]
        sock = new_socket()
        try:
            async with asyncio.timeout(TIMEOUT):
                await loop.sock_connect(sock, (self._place.address, self._place.port))
        except OSError as error:  # TimeoutError is one
            port = sock.getsockname()[1]  # identifies the destination in the node's table
            sock.close()
            raise LostError(Fault.UNREACHED, f"{error!r}, from port {port}") from error
        self._tally.connections += 1
        _, connection = await loop.create_connection(lambda: make(self._place.host, self._tally.note), sock=sock)
        return connection

    def _close(self, connection: Connection) -> None:
        """Close a connection gracefully, while other requests are sent."""
        task = asyncio.create_task(self._end(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _end(self, connection: Connection) -> None:
        try:
            await connection.close()
        except LostError as error:
            self._tally.note(error.fault, str(error))
