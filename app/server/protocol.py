"""The seam between a connection and the protocol that is spoken on it.

A connection owns the transport and the time; a session owns the protocol. Bytes go in by `receive`; what the session
wants done comes out as calls on its `Channel`, so that a test can stand in for either side.
"""

from typing import Protocol

from app.server.state import Phase, UnderWay


class Session(Protocol):
    """One protocol, spoken on one connection. It never waits, and never blocks for long."""

    @property
    def under_way(self) -> UnderWay:
        """What is under way."""

    def receive(self, data: bytes) -> None:
        """Take bytes that the client sent."""

    def go_on(self) -> None:
        """Take up what was left when the channel was `blocked`, or what was asked for by `soon`."""

    def wake(self) -> None:
        """Do what is due, as asked for by `Channel.wake`. It may be called for nothing, too."""

    def end(self) -> None:
        """Take the end of what the client sends."""

    def expire(self) -> None:
        """End what has waited for too long."""

    def drain(self) -> None:
        """Begin to stop: say so where the protocol can, and finish what was accepted."""

    def last_call(self) -> None:
        """End as soon as nothing is under way, and the client has had time to hear of it, if it could be told."""

    @property
    def held(self) -> int:
        """How many bytes are kept of requests that are not whole, and of answers that were not written."""

    def shed(self) -> None:
        """Let go of what is held, and say why: the worker holds as much as it may."""

    def lost(self) -> None:
        """Let go of what is under way: the connection is gone."""


class Channel(Protocol):
    """What a session may do with its connection."""

    @property
    def blocked(self) -> bool:
        """Whether nothing should be taken or answered now; `go_on` is called when that is over."""

    def write(self, data: bytes) -> None:
        """Send bytes, as soon as the client reads them."""

    def enter(self, phase: Phase, until: float | None = None) -> None:
        """Wait for what the phase says, until a time on the loop's clock, or with the time that goes with it.

        `expire` is called when it is over.
        """

    def soon(self) -> None:
        """Read no more until `go_on` is called, in the loop's next turn: others are served in between."""

    def wake(self, at: float) -> None:
        """Call `Session.wake` at a time on the loop's clock, without reading any less until then.

        The earliest time that was asked for counts, and it counts once; one that has come is the loop's next turn but
        one, so that what the client has sent meanwhile is read first. Who is `blocked` then is not called: it asks
        again in `go_on`.
        """

    def pause(self) -> None:
        """Read no more until `resume` is called, whatever else is done."""

    def resume(self) -> None:
        """Read on."""

    def close(self) -> None:
        """Close after what was written, without resetting a client that still sends (RFC 9112, 9.6)."""

    def leave(self) -> None:
        """Close after what was written; the client has nothing more to say."""

    def cut(self, *, reset: bool) -> None:
        """Close after what was written, as a connection breaks: TLS is told no end.

        With `reset`, TCP is not either: where the end of the connection is all that ends an answer.
        """

    def abort(self) -> None:
        """Drop the connection and what was not sent."""

    def become(self, session: Session, data: bytes = b"") -> None:
        """Let another protocol be spoken from here on; `data` came behind the last byte of this one."""
