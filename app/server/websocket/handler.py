"""WebSocket protocol handler of a connection upgraded from HTTP/1.1."""

from typing import Final

from websockets.frames import CloseCode

from app.server.protocol import Transport
from app.server.state import LINGER, ConnectionPhase, InFlight, ServerState
from app.server.websocket.echo import WebSocketEcho

_SHUTDOWN_REASON: Final = "server is shutting down"


class WebSocketHandler:
    """Echoes until either side closes, the idle timeout passes, or the maximum lifetime is reached."""

    def __init__(self, transport: Transport, echo: WebSocketEcho, state: ServerState) -> None:
        self._transport = transport
        self._echo = echo
        self._state = state
        self._expires_at = state.now() + state.limits.timeouts.websocket
        self._close_reason = _SHUTDOWN_REASON if state.draining else ""  # reason for closing, once it is to be closed
        self._close_deadline: float | None = None  # deadline for the client's response to our Close frame
        self._saw_eof = False  # the client has sent EOF
        self._write_output()

    @property
    def in_flight(self) -> InFlight:
        """Number of open WebSockets: one."""
        return InFlight(websockets=1)

    def data_received(self, data: bytes) -> None:
        """Process bytes from the client."""
        self._echo.buffer_input(data)
        if not self._transport.is_blocked:
            self.resume()

    def resume(self) -> None:
        """Echo more of the received bytes."""
        self._echo.echo_buffered()
        self._write_output()

    def on_timer(self) -> None:
        """Do nothing: no timer is set."""

    def eof_received(self) -> None:
        """Process EOF from the client. Messages that arrived before are still echoed."""
        self._saw_eof = True
        self._write_output()

    def on_timeout(self) -> None:
        """Close a WebSocket that is idle or too old; drop one that does not respond to Close."""
        if self._close_deadline is not None:
            self._transport.abort()
        else:
            self._request_close("idle timeout (ECHO_IDLE_TIMEOUT)")

    def begin_shutdown(self) -> None:
        """Send a Close frame: the server goes away (RFC 6455, 7.4.1)."""
        self._request_close(_SHUTDOWN_REASON)

    def close_if_idle(self) -> None:
        """Do nothing: the client responds to the Close frame that `begin_shutdown` has sent."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes buffered of an incomplete frame."""
        return self._echo.buffered_bytes

    def reject_over_budget(self) -> None:
        """Drop the connection: after an incomplete frame the client could send no Close frame."""
        self._transport.abort()

    def connection_lost(self) -> None:
        """Do nothing: everything is in memory."""

    def _request_close(self, reason: str) -> None:
        self._close_reason = self._close_reason or reason
        self._write_output()

    def _write_output(self) -> None:
        """Write the output, and set the deadline for what comes next."""
        self._send_close_if_requested()
        at_eof = self._saw_eof and not self._echo.has_pending_input
        if at_eof:
            self._echo.receive_eof()
        output = self._echo.data_to_send()
        if output:
            self._transport.write(output)
        if at_eof:
            self._transport.close()
        elif self._echo.is_finished:
            self._transport.close_gracefully()
        else:
            if self._echo.has_pending_input:
                self._transport.defer()
            self._set_deadline()

    def _send_close_if_requested(self) -> None:
        """Send a Close frame, if there is a reason to and the client reads: after the echo of earlier messages."""
        now = self._state.now()
        if now >= self._expires_at:  # also of a client that is never silent, and hardly reads
            self._close_reason = "maximum lifetime reached (ECHO_WEBSOCKET_TIMEOUT)"
        if (
            self._close_reason
            and self._close_deadline is None
            and not (self._echo.has_pending_input or self._transport.is_blocked)
        ):
            self._echo.send_close(CloseCode.GOING_AWAY, self._close_reason)
            self._close_deadline = now + LINGER

    def _set_deadline(self) -> None:
        idle_deadline = self._state.now() + self._state.limits.timeouts.idle
        self._transport.set_phase(
            ConnectionPhase.WEBSOCKET,
            min(idle_deadline, self._expires_at) if self._close_deadline is None else self._close_deadline,
        )
