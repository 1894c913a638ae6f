"""Graceful shutdown of an HTTP/2 connection by two GOAWAY frames.

No request in transit to us is rejected (RFC 9113, 6.8).
"""

from app.server.http2.connection import Streams
from app.server.http2.exchange import NEVER
from app.server.http2.frames import LAST_STREAM, ErrorCode
from app.server.state import LAST_CALL, Service


class Shutdown:
    """Graceful shutdown of one connection: announced first, final once the client had time to read that.

    `final` is true once the last accepted stream was sent; `due` is the time, on the loop's clock, from which an idle
    connection is closed.
    """

    def __init__(self, streams: Streams, service: Service) -> None:
        self.final = False
        self.due = NEVER
        self._streams = streams
        self._service = service
        self._answered = 0  # number of requests answered
        self._most = 0  # maximum of that number, once announced
        self._looked = False  # whether data that arrived before it was due has been read

    def announce(self) -> None:
        """Announce, once, that no more requests should be sent; those sent before the client reads it are answered.

        Their number is limited to that of concurrent streams: a client that continues beyond it is stopped.
        """
        if self.final or self.due < NEVER:
            return
        self._streams.go_away(LAST_STREAM, ErrorCode.NO_ERROR)
        self._most = self._answered + self._service.bounds.streams
        self.due = self._service.clock() + LAST_CALL

    def count(self) -> None:
        """Count an answered request; announce after the last one of a connection, or after the first in a shutdown."""
        self._answered += 1
        if self.due < NEVER:
            if self._answered >= self._most and not self.final:
                self.end(ErrorCode.NO_ERROR)
        elif self._service.told or self._answered >= self._service.bounds.requests:
            self.announce()

    def look(self) -> None:
        """Check a connection with nothing in flight: finish it when it is due."""
        if self.due <= self._service.clock():
            # A late timer runs before newly arrived data is read, which would then be rejected.
            if self._looked:
                self.end(ErrorCode.NO_ERROR)
            self._looked = True

    def end(self, code: ErrorCode, reason: str = "") -> None:
        """Accept no more streams than have begun, and send that in GOAWAY; `reason` is for people."""
        self.final = True
        # An announced stream number can't be raised (6.8), while `last` grows with rejected streams.
        self._streams.refuse_above = min(self._streams.last, self._streams.refuse_above)
        self._streams.go_away(self._streams.refuse_above, code, reason)
