"""WebSocket protocol handler of a connection upgraded from HTTP/1.1."""

from typing import Final

from websockets.frames import CloseCode

from app.server.protocol import Channel
from app.server.state import LINGER, Phase, Service, UnderWay
from app.server.websocket.echo import WebSocketEcho

_STOPS: Final = "server is shutting down"


class WebSocketSession:
    """Echoes until either side closes, the idle timeout passes, or the maximum lifetime is reached."""

    def __init__(self, channel: Channel, echo: WebSocketEcho, service: Service) -> None:
        self._channel = channel
        self._echo = echo
        self._service = service
        self._dies = service.clock() + service.bounds.timeouts.websocket
        self._why = _STOPS if service.draining else ""  # reason for closing, once it is to be closed
        self._given_up: float | None = None  # deadline for the client's response to our Close frame
        self._ended = False  # the client has sent EOF
        self._flush()

    @property
    def under_way(self) -> UnderWay:
        """Number of open WebSockets: one."""
        return UnderWay(websockets=1)

    def receive(self, data: bytes) -> None:
        """Process bytes from the client."""
        self._echo.take(data)
        if not self._channel.blocked:
            self.go_on()

    def go_on(self) -> None:
        """Echo more of the received bytes."""
        self._echo.work()
        self._flush()

    def wake(self) -> None:
        """Do nothing: no timer is set."""

    def end(self) -> None:
        """Process EOF from the client. Messages that arrived before are still echoed."""
        self._ended = True
        self._flush()

    def expire(self) -> None:
        """Close a WebSocket that is idle or too old; drop one that does not respond to Close."""
        if self._given_up is not None:
            self._channel.abort()
        else:
            self._close("idle timeout (ECHO_IDLE_TIMEOUT)")

    def drain(self) -> None:
        """Send a Close frame: the server goes away (RFC 6455, 7.4.1)."""
        self._close(_STOPS)

    def last_call(self) -> None:
        """Do nothing: the client responds to the Close frame that `drain` has sent."""

    @property
    def held(self) -> int:
        """Bytes buffered of an incomplete frame."""
        return self._echo.held

    def shed(self) -> None:
        """Drop the connection: after an incomplete frame the client could send no Close frame."""
        self._channel.abort()

    def lost(self) -> None:
        """Do nothing: everything is in memory."""

    def _close(self, why: str) -> None:
        self._why = self._why or why
        self._flush()

    def _flush(self) -> None:
        """Write the output, and set the deadline for what comes next."""
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
        """Send a Close frame, if there is a reason to and the client reads: after the echo of earlier messages."""
        now = self._service.clock()
        if now >= self._dies:  # also of a client that is never silent, and hardly reads
            self._why = "maximum lifetime reached (ECHO_WEBSOCKET_TIMEOUT)"
        if self._why and self._given_up is None and not (self._echo.pending or self._channel.blocked):
            self._echo.close(CloseCode.GOING_AWAY, self._why)
            self._given_up = now + LINGER

    def _wait(self) -> None:
        idle = self._service.clock() + self._service.bounds.timeouts.idle
        self._channel.enter(Phase.WEBSOCKET, min(idle, self._dies) if self._given_up is None else self._given_up)
