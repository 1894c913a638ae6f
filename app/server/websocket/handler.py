"""A WebSocket on a connection of its own: what HTTP/1.1 is upgraded to."""

from typing import Final

from websockets.frames import CloseCode

from app.server.protocol import Channel
from app.server.state import LINGER, Phase, Service, UnderWay
from app.server.websocket.echo import WebSocketEcho

_STOPS: Final = "server is shutting down"


class WebSocketSession:
    """Echoes until either side closes, nothing has come for the time of an idle connection, or its life is over."""

    def __init__(self, channel: Channel, echo: WebSocketEcho, service: Service) -> None:
        self._channel = channel
        self._echo = echo
        self._service = service
        self._dies = service.clock() + service.bounds.timeouts.websocket
        self._why = _STOPS if service.draining else ""  # it is to be closed
        self._given_up: float | None = None  # when an answer to our Close frame is waited for no more
        self._ended = False  # the client has closed its side
        self._flush()

    @property
    def under_way(self) -> UnderWay:
        """Itself."""
        return UnderWay(websockets=1)

    def receive(self, data: bytes) -> None:
        """Take what the client sent."""
        self._echo.take(data)
        if not self._channel.blocked:
            self.go_on()

    def go_on(self) -> None:
        """Echo more of what has come."""
        self._echo.work()
        self._flush()

    def wake(self) -> None:
        """Leave it to `go_on`: nothing is asked for by time."""

    def end(self) -> None:
        """Take the end of what the client sends. What came before it is echoed still."""
        self._ended = True
        self._flush()

    def expire(self) -> None:
        """Close what is silent or too old; drop what does not answer to that."""
        if self._given_up is not None:
            self._channel.abort()
        else:
            self._close("idle timeout (ECHO_IDLE_TIMEOUT)")

    def drain(self) -> None:
        """Tell the client that the server goes away (RFC 6455, 7.4.1)."""
        self._close(_STOPS)

    def last_call(self) -> None:
        """Leave it to the client's answer to what `drain` said."""

    @property
    def held(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return self._echo.held

    def shed(self) -> None:
        """Drop the connection: behind half a frame no Close frame of the client's could come."""
        self._channel.abort()

    def lost(self) -> None:
        """Let go of nothing: all is memory."""

    def _close(self, why: str) -> None:
        self._why = self._why or why
        self._flush()

    def _flush(self) -> None:
        """Write what there is to write, and wait for what comes next."""
        self._begin_to_close()
        ended = self._ended and not self._echo.pending
        if ended:
            self._echo.end()
        out = self._echo.outgoing()
        if out:
            self._channel.write(out)
        if ended:
            self._channel.leave()
        elif self._echo.over:
            self._channel.close()
        else:
            if self._echo.pending:
                self._channel.soon()
            self._wait()

    def _begin_to_close(self) -> None:
        """Send a Close frame, if there is reason to and the client reads: behind the echo of what came before."""
        now = self._service.clock()
        if now >= self._dies:  # also of a client that is never silent, and hardly reads
            self._why = "maximum lifetime reached (ECHO_WEBSOCKET_TIMEOUT)"
        if self._why and self._given_up is None and not (self._echo.pending or self._channel.blocked):
            self._echo.close(CloseCode.GOING_AWAY, self._why)
            self._given_up = now + LINGER

    def _wait(self) -> None:
        idle = self._service.clock() + self._service.bounds.timeouts.idle
        self._channel.enter(Phase.WEBSOCKET, min(idle, self._dies) if self._given_up is None else self._given_up)
