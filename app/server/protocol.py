"""Interfaces between a connection and its protocol handler.

A connection owns the transport and the deadlines; a protocol handler (`Session`) owns the protocol. Bytes go in through
`receive`, and the handler acts by calling its `Channel`, so that a test can replace either side.
"""

from typing import Protocol

from app.server.state import Phase, UnderWay


class Session(Protocol):
    """A protocol handler of one connection. It never waits, and never blocks for long."""

    @property
    def under_way(self) -> UnderWay:
        """Numbers of requests in flight and of open WebSockets."""

    def receive(self, data: bytes) -> None:
        """Process bytes from the client."""

    def go_on(self) -> None:
        """Resume work that was deferred because the channel was `blocked`, or by `soon`."""

    def wake(self) -> None:
        """Do what is due, when the timer set by `Channel.wake` fires. Calls with nothing due are allowed."""

    def end(self) -> None:
        """Process EOF from the client."""

    def expire(self) -> None:
        """End whatever has exceeded its deadline."""

    def drain(self) -> None:
        """Start a graceful shutdown: announce it if the protocol can, and finish accepted requests."""

    def last_call(self) -> None:
        """Close as soon as nothing is in flight and the client had time to read an announced shutdown."""

    @property
    def held(self) -> int:
        """Bytes buffered of incomplete requests and of unwritten responses."""

    def shed(self) -> None:
        """Drop buffered input and send the reason: the worker's memory budget is exhausted."""

    def lost(self) -> None:
        """Release everything in flight: the connection is lost."""


class Channel(Protocol):
    """Interface of a connection for its protocol handler."""

    @property
    def blocked(self) -> bool:
        """Whether nothing should be processed or answered now; `go_on` is called afterwards."""

    def write(self, data: bytes) -> None:
        """Send bytes, as soon as the client reads them."""

    def enter(self, phase: Phase, until: float | None = None) -> None:
        """Set the phase and its deadline: a time on the loop's clock, or by default the timeout of the phase.

        `expire` is called when the deadline has passed.
        """

    def soon(self) -> None:
        """Stop reading until `go_on` is called in the loop's next turn: other connections are served in between."""

    def wake(self, at: float) -> None:
        """Schedule a call of `Session.wake` at a time on the loop's clock, without reading less until then.

        The earliest requested time counts, once. A time that has passed means the turn after the loop's next one, so
        that data the client has sent meanwhile is read first. A handler that is `blocked` at that time is not called:
        it requests the time again in `go_on`.
        """

    def pause(self) -> None:
        """Stop reading until `resume` is called, whatever else is called."""

    def resume(self) -> None:
        """Resume reading."""

    def close(self) -> None:
        """Close after the buffered output, without resetting a client that still sends (RFC 9112, 9.6)."""

    def leave(self) -> None:
        """Close after the buffered output, when nothing more is expected from the client."""

    def cut(self, *, reset: bool) -> None:
        """Close after the buffered output as a broken connection does: TLS sends no close_notify.

        With `reset`, TCP sends no FIN either: for a response whose only end is the end of the connection.
        """

    def abort(self) -> None:
        """Drop the connection and unsent output."""

    def become(self, session: Session, data: bytes = b"") -> None:
        """Switch to another protocol handler; `data` are the bytes after the last one of the current protocol."""
