"""What the connections of one worker share: how much and how long, the time, and which connections there are.

Every connection has a deadline on the loop's clock, which `Service.sweep` holds against the time; so a test moves the
time instead of waiting for it.
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

# Seconds for which a connection that is to be closed is still read (RFC 9112, 9.6): closing a socket with unread
# bytes resets it, and the client may lose the answer that it was being closed with.
LINGER: Final = 2.0
# Seconds for which idle connections outlive the listener, or what told their client to leave: a request that was on its
# way to us by then is answered, with `Connection: close`, instead of meeting a closed socket.
LAST_CALL: Final = 1.0
# Connections that may be told 503 at once, beside those that are served: each has a descriptor until it is closed.
REFUSED_AT_ONCE: Final = 100
_TOLD_AGAIN: Final = 60.0  # seconds after which the same is said again in the log
# Bytes that the decoders of bodies may take at once: each coding once, or some of those with large windows. Four
# codings of four bodies were 300 MiB, asked for with 30 KB: each of them may be brotli, whose window is 16 MiB.
_DECODERS: Final = 32 << 20


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds for a head to arrive, of silence within a body, of idleness between requests, of a WebSocket's life."""

    head: float
    body: float
    idle: float
    websocket: float = 3600


class Bounds(msgspec.Struct, frozen=True):
    """How much and how long: of one request, of one connection, and how many connections at once.

    `body_rate` is in bytes a second, `message`, `decoded` (of a body's content codings) and `held` (for all clients) in
    bytes; `streams` is how many requests one HTTP/2 connection may have under way.
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
    """What a connection waits for; with each goes a deadline."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWERING = enum.auto()
    WEBSOCKET = enum.auto()
    CLIENT_READS = enum.auto()
    CLOSING = enum.auto()

    __hash__ = object.__hash__  # each is one object; Enum's own is Python, and asked with every request


class UnderWay(NamedTuple):
    """How many requests are under way, of which the head has come, and how many WebSockets are open."""

    requests: int = 0
    websockets: int = 0


class Serving(Protocol):
    """A connection, as far as the service ends it from outside, and asks what it does."""

    deadline: float

    @property
    def counted(self) -> bool:
        """Whether it is one of the echo's, of which there may be so many."""

    @property
    def under_way(self) -> "UnderWay":
        """What is under way on it."""

    def expire(self) -> None:
        """End, since the time is over."""

    def drain(self) -> None:
        """Say that the end comes, and finish what was accepted."""

    def last_call(self) -> None:
        """End as soon as nothing is under way, if the client was told in time."""

    def abort(self) -> None:
        """End with whatever is under way."""


class Service:
    """What the connections of one worker share: bounds, the clock, and which connections there are."""

    def __init__(self, bounds: Bounds, *, time: Time, report: Callable[[str], None]) -> None:
        self.bounds = bounds
        self.clock, self.soon, self.later, self.exact = time.clock, time.soon, time.later, time.exact
        self.report = report
        self.draining = False
        self.told = False  # who was connected then has heard of it, where the protocol can say so
        self.replaced = False  # it drains, but the echo goes on: other workers serve in its place
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
        self._decoding: weakref.WeakKeyDictionary[Meter, int] = weakref.WeakKeyDictionary()  # and what each takes
        self.changed: Callable[[], None] = lambda: None  # called when a connection ends its work or is lost
        self.heads: Recent[bytes, Head] = Recent()  # that come again, as HTTP/1.1 has them
        self.lists: Recent[Fields, Requested] = Recent()  # the same of HTTP/2, which has lists of fields
        self._wall_clock = time.wall
        self._date = (-1, "")
        self._full_told = -_TOLD_AGAIN  # when it was said that there are too many connections

    def date(self) -> str:
        """Give the time as an HTTP-date, made once a second (RFC 9110, 6.6.1)."""
        now = int(self._wall_clock())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True))
        return self._date[1]

    def is_full(self) -> bool:
        """Tell whether there are as many connections as may be; the log says so once a minute at most."""
        if len(self.connections) < self.bounds.connections:
            return False
        now = self.clock()
        if now >= self._full_told + _TOLD_AGAIN:
            self._full_told = now
            most = self.bounds.connections
            self.report(f"connection limit reached: {most} open (ECHO_MAX_CONNECTIONS); rejecting new ones with 503")
        return True

    def sweep(self, read_until: float) -> None:
        """End the connections whose deadline had passed at a time before which all that has come was read."""
        for connection in [each for each in self.connections if each.deadline <= read_until]:
            connection.expire()

    def counts(self) -> tuple[UnderWay, int]:
        """Give what is under way on the echo's connections, and how many of these there are."""
        counted = [each.under_way for each in self.connections if each.counted]
        return UnderWay(sum(each.requests for each in counted), sum(each.websockets for each in counted)), len(counted)

    def meter(self, fields: Fields) -> Meter:
        """Give a meter for the body that comes behind these fields.

        Content codings are undone only while there is room: the windows that their decoders keep are memory that a
        client chooses.
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
        """Give the time until which more of a body must come, that began at `begun`.

        Silence ends it, and so does a client that only keeps it alive: after the time of a silence, it must have sent
        so much that its rate is the one that is asked for.
        """
        seconds = self.seconds[Phase.BODY]
        return min(self.clock(), begun + received / self.bounds.body_rate) + seconds

    def drain(self) -> None:
        """Begin to stop."""
        self.draining = self.told = True
        for connection in list(self.connections):
            connection.drain()

    def last_call(self) -> None:
        """Close the connections on which nothing is under way; the others when it is done."""
        for connection in list(self.connections):
            connection.last_call()

    def abort(self) -> None:
        """Drop all connections, with whatever is under way on them."""
        for connection in list(self.connections):
            connection.abort()
