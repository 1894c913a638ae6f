"""Graceful shutdown of an HTTP/2 connection by two GOAWAY frames.

No request in transit to us is rejected (RFC 9113, 6.8).
"""

from app.server.http2.connection import Http2Connection
from app.server.http2.exchange import NEVER
from app.server.http2.frames import MAX_STREAM_ID, ErrorCode
from app.server.state import SHUTDOWN_GRACE, ServerState


class GracefulShutdown:
    """Graceful shutdown of one connection: announced first, final once the client had time to read that.

    `is_final` is true once the last accepted stream was sent; `due` is the time, on the loop's clock, from which an
    idle connection is closed.
    """

    def __init__(self, connection: Http2Connection, state: ServerState) -> None:
        self.is_final = False
        self.due = NEVER
        self._connection = connection
        self._state = state
        self._request_count = 0  # number of requests answered
        self._max_requests = 0  # maximum of that number, once announced
        self._was_due_before = False  # whether data that arrived before it was due has been read

    def announce(self) -> None:
        """Announce, once, that no more requests should be sent; those sent before the client reads it are answered.

        Their number is limited to that of concurrent streams: a client that continues beyond it is stopped.
        """
        if self.is_final or self.due < NEVER:
            return
        self._connection.send_goaway(MAX_STREAM_ID, ErrorCode.NO_ERROR)
        self._max_requests = self._request_count + self._state.limits.concurrent_streams
        self.due = self._state.now() + SHUTDOWN_GRACE

    def count_request(self) -> None:
        """Count an answered request; announce after the last one of a connection, or after the first in a shutdown."""
        self._request_count += 1
        if self.due < NEVER:
            if self._request_count >= self._max_requests and not self.is_final:
                self.finish(ErrorCode.NO_ERROR)
        elif self._state.shutdown_announced or self._request_count >= self._state.limits.requests_per_connection:
            self.announce()

    def finish_if_due(self) -> None:
        """Check a connection with nothing in flight: finish it when it is due."""
        if self.due <= self._state.now():
            # A late timer runs before newly arrived data is read, which would then be rejected.
            if self._was_due_before:
                self.finish(ErrorCode.NO_ERROR)
            self._was_due_before = True

    def finish(self, code: ErrorCode, reason: str = "") -> None:
        """Accept no more streams than have begun, and send that in GOAWAY; `reason` is for people."""
        self.is_final = True
        # An announced stream number can't be raised (6.8), while `last` grows with rejected streams.
        self._connection.max_accepted_stream_id = min(
            self._connection.last_stream_id, self._connection.max_accepted_stream_id
        )
        self._connection.send_goaway(self._connection.max_accepted_stream_id, code, reason)
