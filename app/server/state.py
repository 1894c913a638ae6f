"""Shared state of a worker: limits, clock, open connections.

Every connection has a deadline on the loop's clock, which `ServerState.expire_overdue` compares with the time, so that
a test advances the time instead of waiting for it.
"""

import enum
import weakref
from collections.abc import Callable
from email.utils import formatdate
from typing import Final, NamedTuple, Protocol

import msgspec

from app.config.settings import DEFAULT_MAX_DECODED, DEFAULT_MEMORY_BUDGET
from app.http.body import BodyReader, parse_content_headers
from app.http.decompress import max_decoder_memory
from app.http.request import HeaderList
from app.server.clock import Clock
from app.server.head_cache import HeadCache
from app.server.http1.events import RequestHead
from app.server.http2.request_parser import ParsedRequest
from app.server.limits import RequestLimits
from app.server.memory_budget import MemoryBudget

# Seconds for which a closing connection is still read (RFC 9112, 9.6). Closing a socket with unread bytes resets it,
# and the client may lose the response that was sent before.
LINGER: Final = 2.0
# Seconds for which idle connections stay open after the listener closed, or after GOAWAY: a request already in transit
# is answered, with `Connection: close`, instead of meeting a closed socket.
SHUTDOWN_GRACE: Final = 1.0
# Connections that may receive 503 at once, beside those that are served: each has a descriptor until it is closed.
MAX_REJECTED_CONNECTIONS: Final = 100
_LOG_INTERVAL: Final = 60.0  # seconds before the same message is logged again
# Memory budget of all body decoders in bytes: each coding once, or some of those with large windows. Four codings of
# four bodies were 300 MiB, requested with 30 KB: each of them may be brotli, whose window is 16 MiB.
_DECODER_MEMORY: Final = 32 << 20


class Timeouts(msgspec.Struct, frozen=True):
    """Timeouts in seconds: receiving a head, silence within a body, idle between requests, life of a WebSocket."""

    head: float
    body: float
    idle: float
    websocket: float = 3600


class Limits(msgspec.Struct, frozen=True):
    """Limits of one request, of one connection, and on the number of connections.

    `min_body_rate` is in bytes per second. `message_size`, `decoded_size` (a body after its content codings are
    removed) and `memory_budget` (the memory budget for all clients) are in bytes. `concurrent_streams` is the maximum
    number of requests in flight on one HTTP/2 connection.
    """

    request: RequestLimits
    timeouts: Timeouts
    connections: int
    requests_per_connection: int = 1_000_000
    min_body_rate: int = 240
    concurrent_streams: int = 100
    message_size: int = 1 << 20
    decoded_size: int = DEFAULT_MAX_DECODED
    memory_budget: int = DEFAULT_MEMORY_BUDGET


class ConnectionPhase(enum.Enum):
    """Phase of a connection; each has a timeout."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    RESPONSE = enum.auto()
    WEBSOCKET = enum.auto()
    UNREAD_OUTPUT = enum.auto()
    CLOSING = enum.auto()


class InFlight(NamedTuple):
    """Numbers of requests in flight, whose head has arrived, and of open WebSockets."""

    requests: int = 0
    websockets: int = 0


class ManagedConnection(Protocol):
    """Interface of a connection for the worker's shared state, which queries it and ends it."""

    deadline: float

    @property
    def counts_toward_limit(self) -> bool:
        """Whether it is on the main port and counts towards the connection limit."""

    @property
    def in_flight(self) -> "InFlight":
        """Numbers of requests in flight and of open WebSockets on it."""

    def expire(self) -> None:
        """End the connection, because its deadline has passed."""

    def begin_shutdown(self) -> None:
        """Announce a graceful shutdown, and finish accepted requests."""

    def close_if_idle(self) -> None:
        """Close as soon as nothing is in flight, if the client was notified in time."""

    def abort(self) -> None:
        """Drop the connection with everything in flight."""


class ServerState:
    """State shared by the connections of one worker: limits, clock, and the open connections."""

    def __init__(self, limits: Limits, *, clock: Clock, report: Callable[[str], None]) -> None:
        self.limits = limits
        self.now, self.call_soon, self.call_later, self.perf_counter = (
            clock.now,
            clock.call_soon,
            clock.call_later,
            clock.perf_counter,
        )
        self.report = report
        self.draining = False
        self.shutdown_announced = False  # the clients connected at the time were notified, if the protocol can do that
        timeouts = limits.timeouts
        self.phase_timeouts = {
            ConnectionPhase.IDLE: timeouts.idle,
            ConnectionPhase.HEAD: timeouts.head,
            ConnectionPhase.BODY: timeouts.body,
            ConnectionPhase.RESPONSE: timeouts.body,
            ConnectionPhase.WEBSOCKET: timeouts.idle,
            ConnectionPhase.UNREAD_OUTPUT: timeouts.body,
            ConnectionPhase.CLOSING: LINGER,
        }
        self.connections: set[ManagedConnection] = set()
        self.memory_budget = MemoryBudget(limits.memory_budget)
        self._decoder_memory: weakref.WeakKeyDictionary[BodyReader, int] = (
            weakref.WeakKeyDictionary()
        )  # memory of each in bytes
        self.on_connection_change: Callable[[], None] = lambda: None  # called when a connection is idle again or lost
        self.http1_head_cache: HeadCache[bytes, RequestHead] = HeadCache()  # cache of repeated heads of HTTP/1.1
        self.http2_head_cache: HeadCache[HeaderList, ParsedRequest] = (
            HeadCache()
        )  # the same of HTTP/2, whose heads are lists of headers
        self._wall_time = clock.wall_time
        self._date_cache = (-1, "")
        self._full_logged_at = -_LOG_INTERVAL  # when the connection limit was last logged

    def http_date(self) -> str:
        """Return the time as an HTTP-date, generated once a second (RFC 9110, 6.6.1)."""
        now = int(self._wall_time())
        if now != self._date_cache[0]:
            self._date_cache = (now, formatdate(now, usegmt=True))
        return self._date_cache[1]

    def is_at_connection_limit(self) -> bool:
        """Return whether the connection limit is reached; log it at most once a minute."""
        if len(self.connections) < self.limits.connections:
            return False
        now = self.now()
        if now >= self._full_logged_at + _LOG_INTERVAL:
            self._full_logged_at = now
            limit = self.limits.connections
            self.report(f"connection limit reached: {limit} open (ECHO_MAX_CONNECTIONS); rejecting new ones with 503")
        return True

    def expire_overdue(self, read_until: float) -> None:
        """Expire connections whose deadline is not after `read_until`; all data that arrived before it was read."""
        for connection in [each for each in self.connections if each.deadline <= read_until]:
            connection.expire()

    def count_in_flight(self) -> tuple[InFlight, int]:
        """Return what is in flight on the connections of the main port, and the number of these connections."""
        in_flight = [each.in_flight for each in self.connections if each.counts_toward_limit]
        return InFlight(sum(each.requests for each in in_flight), sum(each.websockets for each in in_flight)), len(
            in_flight
        )

    def new_body_reader(self, headers: HeaderList) -> BodyReader:
        """Return a reader for the body that follows these headers.

        Content codings are removed only while the decoders' memory budget lasts: the size of their windows is the
        client's choice.
        """
        content = parse_content_headers(headers)
        if not content.codings:
            return BodyReader(content)
        needed = max_decoder_memory(content.codings)
        if needed > _DECODER_MEMORY:
            return BodyReader(
                content,
                decoding_error=f"decoding requires {needed >> 20} MiB of memory;"
                f" the limit is {_DECODER_MEMORY >> 20} MiB",
            )
        if needed + sum(self._decoder_memory.values()) > _DECODER_MEMORY:
            return BodyReader(content, decoding_error="other bodies are being decoded, as many as may be at once")
        reader = BodyReader(content, self.limits.decoded_size)
        self._decoder_memory[reader] = needed
        return reader

    def body_deadline(self, started_at: float, received: int) -> float:
        """Return the deadline for more data of a body that began at `started_at`, both on the loop's clock.

        It limits silence, and the rate: once the body timeout has passed, a client must have sent enough for the
        minimum rate.
        """
        seconds = self.phase_timeouts[ConnectionPhase.BODY]
        return min(self.now(), started_at + received / self.limits.min_body_rate) + seconds

    def begin_shutdown(self) -> None:
        """Start a graceful shutdown."""
        self.draining = self.shutdown_announced = True
        for connection in list(self.connections):
            connection.begin_shutdown()

    def close_idle(self) -> None:
        """Close idle connections, and the others as soon as nothing is in flight on them."""
        for connection in list(self.connections):
            connection.close_if_idle()

    def abort_all(self) -> None:
        """Drop all connections with everything in flight."""
        for connection in list(self.connections):
            connection.abort()
