"""Shared state of a worker: limits, clock, open connections.

Every connection has a deadline on the loop's clock, which `Service.sweep` compares with the time, so that a test
advances the time instead of waiting for it.
"""

import enum
import weakref
from collections.abc import Callable
from email.utils import formatdate
from typing import Final, NamedTuple, Protocol

import msgspec

from app.config.settings import MAX_DECODED, MAX_HELD
from app.http.body import Meter, content_of
from app.http.decompress import memory
from app.http.request import Fields
from app.server.clock import Time
from app.server.head_cache import Recent
from app.server.http1.events import Head
from app.server.http2.request_parser import Requested
from app.server.limits import Limits
from app.server.memory_budget import Waiting

# Seconds for which a closing connection is still read (RFC 9112, 9.6). Closing a socket with unread bytes resets it,
# and the client may lose the response that was sent before.
LINGER: Final = 2.0
# Seconds for which idle connections stay open after the listener closed, or after GOAWAY: a request already in transit
# is answered, with `Connection: close`, instead of meeting a closed socket.
LAST_CALL: Final = 1.0
# Connections that may receive 503 at once, beside those that are served: each has a descriptor until it is closed.
REFUSED_AT_ONCE: Final = 100
_TOLD_AGAIN: Final = 60.0  # seconds before the same message is logged again
# Memory budget of all body decoders in bytes: each coding once, or some of those with large windows. Four codings of
# four bodies were 300 MiB, requested with 30 KB: each of them may be brotli, whose window is 16 MiB.
_DECODERS: Final = 32 << 20


class Timeouts(msgspec.Struct, frozen=True):
    """Timeouts in seconds: receiving a head, silence within a body, idle between requests, life of a WebSocket."""

    head: float
    body: float
    idle: float
    websocket: float = 3600


class Bounds(msgspec.Struct, frozen=True):
    """Limits of one request, of one connection, and on the number of connections.

    `body_rate` is in bytes per second. `message`, `decoded` (a body after its content codings are removed) and `held`
    (the memory budget for all clients) are in bytes. `streams` is the maximum number of requests in flight on one
    HTTP/2 connection.
    """

    limits: Limits
    timeouts: Timeouts
    connections: int
    requests: int = 1_000_000
    body_rate: int = 240
    streams: int = 100
    message: int = 1 << 20
    decoded: int = MAX_DECODED
    held: int = MAX_HELD


class Phase(enum.Enum):
    """Phase of a connection; each has a timeout."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWERING = enum.auto()
    WEBSOCKET = enum.auto()
    CLIENT_READS = enum.auto()
    CLOSING = enum.auto()

    __hash__ = object.__hash__  # each is one object; Enum's own is written in Python, and called with every request


class UnderWay(NamedTuple):
    """Numbers of requests in flight, whose head has arrived, and of open WebSockets."""

    requests: int = 0
    websockets: int = 0


class Serving(Protocol):
    """Interface of a connection for the worker's shared state, which queries it and ends it."""

    deadline: float

    @property
    def counted(self) -> bool:
        """Whether it is on the main port and counts towards the connection limit."""

    @property
    def under_way(self) -> "UnderWay":
        """Numbers of requests in flight and of open WebSockets on it."""

    def expire(self) -> None:
        """End the connection, because its deadline has passed."""

    def drain(self) -> None:
        """Announce a graceful shutdown, and finish accepted requests."""

    def last_call(self) -> None:
        """Close as soon as nothing is in flight, if the client was notified in time."""

    def abort(self) -> None:
        """Drop the connection with everything in flight."""


class Service:
    """State shared by the connections of one worker: limits, clock, and the open connections."""

    def __init__(self, bounds: Bounds, *, time: Time, report: Callable[[str], None]) -> None:
        self.bounds = bounds
        self.clock, self.soon, self.later, self.exact = time.clock, time.soon, time.later, time.exact
        self.report = report
        self.draining = False
        self.told = False  # the clients connected at the time were notified, if the protocol can do that
        timeouts = bounds.timeouts
        self.seconds = {
            Phase.IDLE: timeouts.idle,
            Phase.HEAD: timeouts.head,
            Phase.BODY: timeouts.body,
            Phase.ANSWERING: timeouts.body,
            Phase.WEBSOCKET: timeouts.idle,
            Phase.CLIENT_READS: timeouts.body,
            Phase.CLOSING: LINGER,
        }
        self.connections: set[Serving] = set()
        self.waiting = Waiting(bounds.held)
        self._decoding: weakref.WeakKeyDictionary[Meter, int] = weakref.WeakKeyDictionary()  # memory of each in bytes
        self.changed: Callable[[], None] = lambda: None  # called when a connection is idle again or lost
        self.heads: Recent[bytes, Head] = Recent()  # cache of repeated heads of HTTP/1.1
        self.lists: Recent[Fields, Requested] = Recent()  # the same of HTTP/2, whose heads are lists of headers
        self._wall_clock = time.wall
        self._date = (-1, "")
        self._full_told = -_TOLD_AGAIN  # when the connection limit was last logged

    def date(self) -> str:
        """Return the time as an HTTP-date, generated once a second (RFC 9110, 6.6.1)."""
        now = int(self._wall_clock())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True))
        return self._date[1]

    def is_full(self) -> bool:
        """Return whether the connection limit is reached; log it at most once a minute."""
        if len(self.connections) < self.bounds.connections:
            return False
        now = self.clock()
        if now >= self._full_told + _TOLD_AGAIN:
            self._full_told = now
            most = self.bounds.connections
            self.report(f"connection limit reached: {most} open (ECHO_MAX_CONNECTIONS); rejecting new ones with 503")
        return True

    def sweep(self, read_until: float) -> None:
        """Expire connections whose deadline is not after `read_until`; all data that arrived before it was read."""
        for connection in [each for each in self.connections if each.deadline <= read_until]:
            connection.expire()

    def counts(self) -> tuple[UnderWay, int]:
        """Return what is in flight on the connections of the main port, and the number of these connections."""
        counted = [each.under_way for each in self.connections if each.counted]
        return UnderWay(sum(each.requests for each in counted), sum(each.websockets for each in counted)), len(counted)

    def meter(self, fields: Fields) -> Meter:
        """Return a reader for the body that follows these headers.

        Content codings are removed only while the decoders' memory budget lasts: the size of their windows is the
        client's choice.
        """
        content = content_of(fields)
        if not content.codings:
            return Meter(content)
        needed = memory(content.codings)
        if needed > _DECODERS:
            return Meter(
                content, refused=f"decoding requires {needed >> 20} MiB of memory; the limit is {_DECODERS >> 20} MiB"
            )
        if needed + sum(self._decoding.values()) > _DECODERS:
            return Meter(content, refused="other bodies are being decoded, as many as may be at once")
        meter = Meter(content, self.bounds.decoded)
        self._decoding[meter] = needed
        return meter

    def body_deadline(self, begun: float, received: int) -> float:
        """Return the deadline for more data of a body that began at `begun`, both on the loop's clock.

        It limits silence, and the rate: once the body timeout has passed, a client must have sent enough for the
        minimum rate.
        """
        seconds = self.seconds[Phase.BODY]
        return min(self.clock(), begun + received / self.bounds.body_rate) + seconds

    def drain(self) -> None:
        """Start a graceful shutdown."""
        self.draining = self.told = True
        for connection in list(self.connections):
            connection.drain()

    def last_call(self) -> None:
        """Close idle connections, and the others as soon as nothing is in flight on them."""
        for connection in list(self.connections):
            connection.last_call()

    def abort(self) -> None:
        """Drop all connections with everything in flight."""
        for connection in list(self.connections):
            connection.abort()
