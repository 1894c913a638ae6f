"""What the connections of one worker share: how much and how long, the time, and which connections there are.

Every connection has a deadline on the loop's clock, which `Service.sweep` holds against the time; so a test moves the
time instead of waiting for it.
"""

import enum
from collections.abc import Callable
from email.utils import formatdate
from typing import Final, Protocol

import msgspec

from app.carrier.http1 import Limits

# Seconds for which a connection that is to be closed is still read (RFC 9112, 9.6): closing a socket with unread
# bytes resets it, and the client may lose the answer that it was being closed with.
LINGER: Final = 2.0


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds for a head to arrive, of silence within a body, and of idleness between requests."""

    head: float
    body: float
    idle: float


class Bounds(msgspec.Struct, frozen=True):
    """How much and how long: of one request, of one connection, and how many connections at once."""

    limits: Limits
    timeouts: Timeouts
    connections: int


class Phase(enum.Enum):
    """What a connection waits for; with each goes a deadline."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    CLIENT_READS = enum.auto()
    CLOSING = enum.auto()


class Serving(Protocol):
    """A connection, as far as the service ends it from outside."""

    deadline: float

    def expire(self) -> None:
        """End, since the time is over."""

    def close_if_idle(self) -> None:
        """End if nothing is under way."""

    def abort(self) -> None:
        """End with whatever is under way."""


class Service:
    """What the connections of one worker share: bounds, the clock, and which connections there are."""

    def __init__(
        self,
        bounds: Bounds,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        report: Callable[[str], None],
    ) -> None:
        self.bounds = bounds
        self.clock = clock
        self.report = report
        self.draining = False
        timeouts = bounds.timeouts
        self.seconds = {
            Phase.IDLE: timeouts.idle,
            Phase.HEAD: timeouts.head,
            Phase.BODY: timeouts.body,
            Phase.CLIENT_READS: timeouts.body,
            Phase.CLOSING: LINGER,
        }
        self.connections: set[Serving] = set()
        self.changed: Callable[[], None] = lambda: None  # called when a connection ends its work or is lost
        self._wall_clock = wall_clock
        self._date = (-1, "")

    def date(self) -> str:
        """Give the time as an HTTP-date, made once a second (RFC 9110, 6.6.1)."""
        now = int(self._wall_clock())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True))
        return self._date[1]

    def sweep(self) -> None:
        """End the connections whose deadline has passed."""
        now = self.clock()
        for connection in [each for each in self.connections if each.deadline <= now]:
            connection.expire()

    def close_idle(self) -> None:
        """Close the connections on which nothing is under way."""
        for connection in list(self.connections):
            connection.close_if_idle()

    def abort(self) -> None:
        """Drop all connections, with whatever is under way on them."""
        for connection in list(self.connections):
            connection.abort()
