"""The graceful shutdown of a connection: nothing that was on its way to us is refused (RFC 9113, 6.8)."""

from app.server.http2.connection import Streams
from app.server.http2.exchange import NEVER
from app.server.http2.frames import LAST_STREAM, ErrorCode
from app.server.state import LAST_CALL, Service


class Shutdown:
    """One connection's: announced first, and final when the client had time to read that.

    `final` tells whether the last stream was named, above which none is taken; `due` is the time, on the loop's clock,
    from which on a connection that is idle is left.
    """

    def __init__(self, streams: Streams, service: Service) -> None:
        self.final = False
        self.due = NEVER
        self._streams = streams
        self._service = service
        self._answered = 0  # requests
        self._most = 0  # of them, once it is announced
        self._looked = False  # for what has come, when it was due

    def announce(self) -> None:
        """Say, once, that no more requests should be sent; those that were sent by then are answered.

        There are at most as many of them as the client may have under way: whoever goes on asking is stopped then.
        """
        if self.final or self.due < NEVER:
            return
        self._streams.go_away(LAST_STREAM, ErrorCode.NO_ERROR)
        self._most = self._answered + self._service.bounds.streams
        self.due = self._service.clock() + LAST_CALL

    def count(self) -> None:
        """Count an answered request: the last that a connection may have announces it, and the first within a stop."""
        self._answered += 1
        if self.due < NEVER:
            if self._answered >= self._most and not self.final:
                self.end(ErrorCode.NO_ERROR)
        elif self._service.told or self._answered >= self._service.bounds.requests:
            self.announce()

    def look(self) -> None:
        """Look at a connection on which nothing is under way: make it final when it is due."""
        if self.due <= self._service.clock():
            # A timer that is late comes before what has come meanwhile is read, and would refuse it.
            if self._looked:
                self.end(ErrorCode.NO_ERROR)
            self._looked = True

    def end(self, code: ErrorCode, reason: str = "") -> None:
        """Make it final: take no more streams than have begun, and say so; `reason` is for people."""
        self.final = True
        # What was said is not taken back (6.8); `last` goes on with streams that are refused.
        self._streams.refuse_above = min(self._streams.last, self._streams.refuse_above)
        self._streams.go_away(self._streams.refuse_above, code, reason)
