"""Incremental HTTP/1.1 response writer, for responses that take time.

Pieces are framed by Content-Length, by chunks, or by the end of the connection (RFC 9112, 6).
"""

from collections.abc import Callable

from app.http.request import Fields
from app.server.http1.events import Head
from app.server.protocol import Channel
from app.server.response import FAILED, Response, encode, encode_head, length_line
from app.server.response_body import Outgoing
from app.server.state import Phase, Service


class Answering:
    """Writer of one response: each call of `go_on` sends what is due, until it is `over`.

    Then the connection is closed already, unless it persists. Each piece takes a turn of the loop, and none is
    requested while the client does not read.
    """

    def __init__(self, channel: Channel, service: Service, head: Head, response: Response, *, last: bool) -> None:
        self.over = False
        self.request = head.request
        self.keep = head.keep_alive and not last
        self._channel = channel
        self._service = service
        self.response = response  # the response that is sent
        self._head_waits = True
        self._with_body = head.request.method != b"HEAD"
        self._old = head.request.version == "HTTP/1.0"
        self._outgoing = outgoing = Outgoing(response, service, with_body=self._with_body)
        endless = outgoing.has_content and outgoing.length is None
        # Only chunked bodies can have trailers (7.1.2), and HTTP/1.0 has neither: there, a response of unknown length
        # ends with the connection (6.3).
        self._chunked = outgoing.has_content and not self._old and (endless or bool(outgoing.trailers))
        self._closes = endless and self._old

    def go_on(self) -> None:
        """Send what is due, and schedule what is not."""
        now = self._service.clock()
        if self._outgoing.due <= now:
            self._send(now)
        if not self.over:
            self._wait(now)

    @property
    def whole(self) -> bool:
        """Whether the response was sent completely, once it is over."""
        return self.response is FAILED or not (self._outgoing.broken or self._outgoing.dropped)

    @property
    def sent(self) -> int:
        """Bytes of content that were sent."""
        return len(FAILED.body) * self._with_body if self.response is FAILED else self._outgoing.sent

    def stop(self) -> None:
        """End a response that has no known end."""
        self._outgoing.stop(self._service.clock())
        self._channel.wake(self._outgoing.due)

    def close(self) -> None:
        """Release what was not sent."""
        self._outgoing.close()

    def _wait(self, now: float) -> None:
        due = self._outgoing.due
        self._channel.enter(Phase.ANSWERING, max(due, now) + self._service.seconds[Phase.ANSWERING])
        if due > now:
            self._channel.wake(due)
        else:
            self._channel.soon()

    def _send(self, now: float) -> None:
        outgoing = self._outgoing
        if outgoing.dropped:
            self._end(lambda: self._channel.cut(reset=False))
            return
        piece = outgoing.take(now)
        if outgoing.failed and self._head_waits:  # nothing was sent
            self.response = FAILED
            self._channel.write(
                encode(FAILED, date=self._service.date(), connection="close", with_body=self._with_body)
            )
            self._end(self._channel.close)
            return
        data = self._head() + self._framed(piece)
        if data:
            self._channel.write(data)
        if outgoing.broken:
            self._end(lambda: self._channel.cut(reset=self._closes))
        elif outgoing.over:
            self.over = True
            if not self.keep:
                self._channel.close()

    def _head(self) -> bytes:
        waits, self._head_waits = self._head_waits, False
        if not waits:
            return b""
        self.keep = self.keep and not self._closes and not self._service.draining
        return encode_head(self.response, self._service.date(), told(keep=self.keep, old=self._old), self._framing())

    def _framing(self) -> str:
        if not self._chunked:
            return length_line(self._outgoing.length)
        names = ", ".join(sorted({name.decode("ascii") for name, _ in self._outgoing.trailers}))
        return (f"Trailer: {names}\r\n" if names else "") + "Transfer-Encoding: chunked\r\n"

    def _framed(self, piece: bytes) -> bytes:
        if not self._chunked:
            return piece
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""  # an empty chunk would end the body (7.1)
        whole = self._outgoing.over and not self._outgoing.broken
        return chunk + _last_chunk(self._outgoing.trailers) if whole else chunk

    def _end(self, leave: Callable[[], None]) -> None:
        self.over, self.keep = True, False
        leave()


def told(*, keep: bool, old: bool) -> str:
    """Return the value of the Connection header, empty for the version's default.

    HTTP/1.0 connections persist only with `keep-alive`, HTTP/1.1 connections unless closed by `close` (RFC 9112, 9.3).
    """
    return "close" if not keep else "keep-alive" if old else ""


def _last_chunk(trailers: Fields) -> bytes:
    return b"".join((b"0\r\n", *(b"%b: %b\r\n" % field for field in trailers), b"\r\n"))
