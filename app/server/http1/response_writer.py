"""Incremental HTTP/1.1 response writer, for responses that take time.

Pieces are framed by Content-Length, by chunks, or by the end of the connection (RFC 9112, 6).
"""

from collections.abc import Callable

from app.http.request import HeaderList
from app.server.http1.events import RequestHead
from app.server.protocol import Transport
from app.server.response import INTERNAL_ERROR_RESPONSE, WsgiResponse, content_length_line, encode_head, encode_response
from app.server.response_body import ResponseBody
from app.server.state import ConnectionPhase, ServerState


class Http1ResponseWriter:
    """Writer of one response: each call of `send_due` sends what is due, until it is `is_finished`.

    Then the connection is closed already, unless it persists. Each piece takes a turn of the loop, and none is
    requested while the client does not read.
    """

    def __init__(
        self, transport: Transport, state: ServerState, head: RequestHead, response: WsgiResponse, *, is_last: bool
    ) -> None:
        self.is_finished = False
        self.request = head.request
        self.keep_alive = head.keep_alive and not is_last
        self._transport = transport
        self._state = state
        self.response = response  # the response that is sent
        self._head_pending = True
        self._with_body = head.request.method != b"HEAD"
        self._is_http10 = head.request.version == "HTTP/1.0"
        self._body = body = ResponseBody(response, state, with_body=self._with_body)
        unknown_length = body.has_content and body.length is None
        # Only chunked bodies can have trailers (7.1.2), and HTTP/1.0 has neither: there, a response of unknown length
        # ends with the connection (6.3).
        self._is_chunked = body.has_content and not self._is_http10 and (unknown_length or bool(body.trailers))
        self._ends_by_close = unknown_length and self._is_http10

    def send_due(self) -> None:
        """Send what is due, and schedule what is not."""
        now = self._state.now()
        if self._body.next_piece_at <= now:
            self._send_next(now)
        if not self.is_finished:
            self._schedule_next(now)

    @property
    def is_complete(self) -> bool:
        """Whether the response was sent completely, once it is over."""
        return self.response is INTERNAL_ERROR_RESPONSE or not (
            self._body.is_truncated or self._body.aborts_before_head
        )

    @property
    def sent_bytes(self) -> int:
        """Bytes of content that were sent."""
        return (
            len(INTERNAL_ERROR_RESPONSE.body) * self._with_body
            if self.response is INTERNAL_ERROR_RESPONSE
            else self._body.sent_bytes
        )

    def on_shutdown(self) -> None:
        """End a response that has no known end."""
        self._body.on_shutdown(self._state.now())
        self._transport.set_timer(self._body.next_piece_at)

    def close(self) -> None:
        """Release what was not sent."""
        self._body.close()

    def _schedule_next(self, now: float) -> None:
        due = self._body.next_piece_at
        self._transport.set_phase(
            ConnectionPhase.RESPONSE, max(due, now) + self._state.phase_timeouts[ConnectionPhase.RESPONSE]
        )
        if due > now:
            self._transport.set_timer(due)
        else:
            self._transport.defer()

    def _send_next(self, now: float) -> None:
        body = self._body
        if body.aborts_before_head:
            self._finish(lambda: self._transport.truncate(reset=False))
            return
        piece = body.next_piece(now)
        if body.application_failed and self._head_pending:  # nothing was sent
            self.response = INTERNAL_ERROR_RESPONSE
            self._transport.write(
                encode_response(
                    INTERNAL_ERROR_RESPONSE, date=self._state.http_date(), connection="close", with_body=self._with_body
                )
            )
            self._finish(self._transport.close_gracefully)
            return
        data = self._encode_head_once() + self._frame_piece(piece)
        if data:
            self._transport.write(data)
        if body.is_truncated:
            self._finish(lambda: self._transport.truncate(reset=self._ends_by_close))
        elif body.is_finished:
            self.is_finished = True
            if not self.keep_alive:
                self._transport.close_gracefully()

    def _encode_head_once(self) -> bytes:
        pending, self._head_pending = self._head_pending, False
        if not pending:
            return b""
        self.keep_alive = self.keep_alive and not self._ends_by_close and not self._state.draining
        return encode_head(
            self.response,
            self._state.http_date(),
            connection_header(keep_alive=self.keep_alive, is_http10=self._is_http10),
            self._framing_lines(),
        )

    def _framing_lines(self) -> str:
        if not self._is_chunked:
            return content_length_line(self._body.length)
        names = ", ".join(sorted({name.decode("ascii") for name, _ in self._body.trailers}))
        return (f"Trailer: {names}\r\n" if names else "") + "Transfer-Encoding: chunked\r\n"

    def _frame_piece(self, piece: bytes) -> bytes:
        if not self._is_chunked:
            return piece
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""  # an empty chunk would end the body (7.1)
        ends_body = self._body.is_finished and not self._body.is_truncated
        return chunk + _last_chunk(self._body.trailers) if ends_body else chunk

    def _finish(self, close: Callable[[], None]) -> None:
        self.is_finished, self.keep_alive = True, False
        close()


def connection_header(*, keep_alive: bool, is_http10: bool) -> str:
    """Return the value of the Connection header, empty for the version's default.

    HTTP/1.0 connections persist only with `keep-alive`, HTTP/1.1 connections unless closed by `close` (RFC 9112, 9.3).
    """
    return "close" if not keep_alive else "keep-alive" if is_http10 else ""


def _last_chunk(trailers: HeaderList) -> bytes:
    return b"".join((b"0\r\n", *(b"%b: %b\r\n" % field for field in trailers), b"\r\n"))
