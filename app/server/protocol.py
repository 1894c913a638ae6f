"""Interfaces between a connection and its protocol handler.

A connection owns the transport and the deadlines; a protocol handler (`ProtocolHandler`) owns the protocol. Bytes go in
through `data_received`, and the handler acts by calling its `Transport`, so that a test can replace either side.
"""

from typing import Protocol

from app.server.state import ConnectionPhase, InFlight


class ProtocolHandler(Protocol):
    """A protocol handler of one connection. It never waits, and never blocks for long."""

    @property
    def in_flight(self) -> InFlight:
        """Numbers of requests in flight and of open WebSockets."""

    def data_received(self, data: bytes) -> None:
        """Process bytes from the client."""

    def resume(self) -> None:
        """Resume work that was deferred because the transport was blocked, or by `Transport.defer`."""

    def on_timer(self) -> None:
        """Do what is due, when the timer set by `Transport.set_timer` fires. Calls with nothing due are allowed."""

    def eof_received(self) -> None:
        """Process EOF from the client."""

    def on_timeout(self) -> None:
        """End whatever has exceeded its deadline."""

    def begin_shutdown(self) -> None:
        """Start a graceful shutdown: announce it if the protocol can, and finish accepted requests."""

    def close_if_idle(self) -> None:
        """Close as soon as nothing is in flight and the client had time to read an announced shutdown."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes buffered of incomplete requests and of unwritten responses."""

    def reject_over_budget(self) -> None:
        """Drop buffered input and send the reason: the worker's memory budget is exhausted."""

    def connection_lost(self) -> None:
        """Release everything in flight: the connection is lost."""


class Transport(Protocol):
    """Interface of a connection for its protocol handler."""

    @property
    def is_blocked(self) -> bool:
        """Whether nothing should be processed or sent now; `resume` is called afterwards."""

    def write(self, data: bytes) -> None:
        """Send bytes, as soon as the client reads them."""

    def set_phase(self, phase: ConnectionPhase, deadline: float | None = None) -> None:
        """Set the phase and its deadline: a time on the loop's clock, or by default the timeout of the phase.

        `on_timeout` is called when the deadline has passed.
        """

    def defer(self) -> None:
        """Stop reading until `resume` is called in the loop's next turn: other connections are served in between."""

    def set_timer(self, at: float) -> None:
        """Schedule a call of `ProtocolHandler.on_timer` at a time on the loop's clock, without reading less until then.

        The earliest requested time counts, once. A time that has passed means the turn after the loop's next one, so
        that data the client has sent meanwhile is read first. A handler that is `is_blocked` at that time is not
        called: it requests the time again in `resume`.
        """

    def pause_reading(self) -> None:
        """Stop reading until `resume_reading` is called, whatever else is called."""

    def resume_reading(self) -> None:
        """Resume reading."""

    def close_gracefully(self) -> None:
        """Close after the buffered output, without resetting a client that still sends (RFC 9112, 9.6)."""

    def close(self) -> None:
        """Close after the buffered output, when nothing more is expected from the client."""

    def truncate(self, *, reset: bool) -> None:
        """Close after the buffered output as a broken connection does: TLS sends no close_notify.

        With `reset`, TCP sends no FIN either: for a response whose only end is the end of the connection.
        """

    def abort(self) -> None:
        """Drop the connection and unsent output."""

    def switch_protocol(self, handler: ProtocolHandler, data: bytes = b"") -> None:
        """Switch to another protocol handler; `data` are the bytes after the last one of the current protocol."""
