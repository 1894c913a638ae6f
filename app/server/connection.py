"""One TCP connection: transport filters, protocol selection, deadlines.

Nothing here waits: every phase has a deadline, which `ServerState.expire_overdue` compares with the time.
"""

import asyncio
import socket
import ssl
import struct
from http import HTTPStatus
from math import inf
from typing import Final, cast

from app.http.connection_info import Endpoint
from app.http.errors import ProtocolError
from app.http.observer import TLS_FAILED, TOO_MANY_CONNECTIONS, reason_label, unparsed_request
from app.http.record import RequestRecord
from app.http.request import ConnectionInfo
from app.server.http1.handler import Http1Handler
from app.server.http2 import frames
from app.server.http2.handler import Http2Handler
from app.server.protocol import ProtocolHandler
from app.server.response import encode_response, error_response
from app.server.state import MAX_REJECTED_CONNECTIONS, ConnectionPhase, InFlight, ServerState
from app.server.timer import Timer
from app.server.transport_filters import ListenerConfig, TransportFilters
from app.server.unacked import unacked_bytes
from app.server.wsgi import WsgiGateway

# Bytes after which a connection yields to others for a turn of the loop. libuv would read up to 32 times before it
# looks at another connection, and requests of other clients would wait that long.
_MAX_TURN_BYTES: Final = 65_536
# Bytes written and not yet passed to the kernel, above which the client counts as not reading. Fewer bytes are not
# counted as buffered; a higher limit costs memory for each client, a lower one only means more calls.
_WRITE_BUFFER_LIMIT: Final = 32_768
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)  # SO_LINGER of 0 seconds (socket(7)): close discards data and sends RST


class Connection(asyncio.Protocol):
    """asyncio protocol of one connection: owns transport and deadlines; a protocol handler owns the protocol."""

    __slots__ = (
        "_counted_bytes",
        "_fast_handler",
        "_filters",
        "_handler",
        "_is_reading",
        "_last_unacked",
        "_listener",
        "_observer",
        "_paused_by_handler",
        "_sniffed",
        "_state",
        "_tcp_transport",
        "_timer",
        "_write_blocked",
        "_yielding",
        "deadline",
        "is_closing",
        "phase",
    )  # fmt: skip

    def __init__(self, state: ServerState, listener: ListenerConfig) -> None:
        self.phase = ConnectionPhase.IDLE
        self.deadline = inf
        self.is_closing = False  # nothing is processed or answered any more
        self._state = state
        self._listener = listener
        self._observer = listener.observer
        self._tcp_transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._filters = TransportFilters(listener)
        self._sniffed = b""  # bytes received before the protocol was known
        self._handler: ProtocolHandler | None = None
        self._fast_handler: Http1Handler | None = None  # the handler, if it is HTTP/1.1 without TLS, as most are
        self._is_reading = True
        self._write_blocked = False  # the client does not read: what it sends is not read either
        self._yielding = False  # the protocol handler resumes in the loop's next turn
        self._paused_by_handler = False  # by the protocol handler
        self._counted_bytes = 0  # bytes counted as buffered for this client
        self._last_unacked = inf  # bytes not acknowledged by the client at the last check
        self._timer = Timer(state, self._on_timer)

    # asyncio.Protocol methods

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection. Above the limit send 503 and close; in a flood, most are only closed."""
        self._tcp_transport = cast("asyncio.Transport", transport)
        self._tcp_transport.set_write_buffer_limits(high=_WRITE_BUFFER_LIMIT)
        is_over_limit = self.counts_toward_limit and self._state.is_at_connection_limit()
        is_flooded = (
            is_over_limit and len(self._state.connections) >= self._state.limits.connections + MAX_REJECTED_CONNECTIONS
        )
        self._state.connections.add(self)
        self._observer.record_connection()
        self.set_phase(ConnectionPhase.IDLE)
        if is_flooded:
            self._observer.record_rejection(TOO_MANY_CONNECTIONS)
            self.abort()
        elif is_over_limit:
            error = ProtocolError(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many connections (ECHO_MAX_CONNECTIONS); retry later"
            )
            self._reject(error, TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything, however the connection ended."""
        del exc
        self.is_closing = True
        self._write_blocked = False  # a scheduled turn may still run: it must not count bytes that nothing subtracts
        self._timer.cancel()
        if self._handler is not None:
            self._handler.connection_lost()
            self._handler = self._fast_handler = None
        self._state.memory_budget.used -= self._counted_bytes
        self._counted_bytes = 0
        self._state.connections.discard(self)
        self._state.on_connection_change()

    def data_received(self, data: bytes) -> None:
        """Process bytes from the client."""
        self._observer.record_received(len(data))
        if self.is_closing:
            return
        if self._fast_handler is not None:
            self._fast_handler.data_received(data)
            if (
                self.phase is not ConnectionPhase.IDLE or self._counted_bytes or self._write_blocked or self._yielding
            ):  # else nothing is buffered
                self._update_budget()
        else:
            if self._handler is not None and self._filters.tls is None:
                self._handler.data_received(data)
            else:
                self._process_input(data)
            self._update_budget()
        if len(data) >= _MAX_TURN_BYTES:
            self.defer()

    def eof_received(self) -> bool:
        """Process EOF from the client; return False, which closes the transport, if this side is closing already."""
        if self.is_closing:
            return False
        self._handle_eof()
        return True

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read its responses."""
        self._write_blocked = True
        self._last_unacked = unacked_bytes(self._tcp_transport)
        self._set_deadline(ConnectionPhase.UNREAD_OUTPUT)
        self._update_reading()
        self._update_budget()

    def resume_writing(self) -> None:
        """Resume with a client that has read its responses."""
        self._write_blocked = False
        self._set_deadline(self.phase)
        self._resume_handler()

    # called by the worker's shared state (`ManagedConnection`)

    @property
    def counts_toward_limit(self) -> bool:
        """Whether the connection counts towards the connection limit."""
        return self._listener.counts_toward_limit

    @property
    def in_flight(self) -> InFlight:
        """Numbers of requests in flight and of open WebSockets on it."""
        return self._handler.in_flight if self._handler is not None else InFlight()

    def expire(self) -> None:
        """End a connection whose deadline has passed, unless the client still reads buffered output."""
        if self.is_closing or self._write_blocked:
            if self._is_making_progress():
                self._set_deadline(ConnectionPhase.UNREAD_OUTPUT)
            else:
                self.abort()
        elif self._handler is not None:
            self._handler.on_timeout()
        elif self._sniffed:
            self._reject(
                ProtocolError(
                    HTTPStatus.REQUEST_TIMEOUT, "timeout while receiving the request head (ECHO_HEADER_TIMEOUT)"
                )
            )
        else:
            self.close()

    def begin_shutdown(self) -> None:
        """Announce a graceful shutdown, if the protocol can."""
        if self._handler is not None and not self.is_closing:
            self._handler.begin_shutdown()

    def close_if_idle(self) -> None:
        """Close the connection if nothing is in flight."""
        if self.is_closing:
            return
        if self._handler is not None:
            self._handler.close_if_idle()
        elif self.phase is ConnectionPhase.IDLE:
            self.close()

    def abort(self) -> None:
        """Drop the connection with everything in flight."""
        self.is_closing = True
        self._tcp_transport.abort()

    # called by a protocol handler (`Transport`)

    @property
    def is_blocked(self) -> bool:
        """Whether nothing should be processed or answered now."""
        return self._write_blocked or self._yielding

    def write(self, data: bytes) -> None:
        """Send bytes."""
        # An unencrypted HTTP/1.1 handler implies no TLS: with many connections, the filters are not in the CPU cache.
        if self._fast_handler is None and self._filters.tls is not None:
            data = self._filters.encode_wire(data)
        self._observer.record_sent(len(data))
        self._tcp_transport.write(data)

    def set_phase(self, phase: ConnectionPhase, deadline: float | None = None) -> None:
        """Set the phase and its deadline: a time on the loop's clock, or by default the timeout of the phase."""
        self.phase = phase
        if not self._write_blocked:  # otherwise the deadline is for the client to read
            self._set_deadline(phase, deadline)
        if phase is ConnectionPhase.IDLE and self._state.draining:
            self._state.on_connection_change()

    def defer(self) -> None:
        """Resume in the loop's next turn."""
        if not self._yielding:
            self._yielding = True
            self._update_reading()
            self._state.call_soon(self._end_yield)

    def set_timer(self, at: float) -> None:
        """Call the protocol handler's `set_timer` at a time on the loop's clock, or before; reading goes on."""
        self._timer.schedule(at)

    def pause_reading(self) -> None:
        """Stop reading."""
        self._paused_by_handler = True
        self._update_reading()

    def resume_reading(self) -> None:
        """Resume reading, unless something else prevents it."""
        self._paused_by_handler = False
        self._update_reading()

    def close_gracefully(self) -> None:
        """Close after the buffered output, without resetting a client that still sends (RFC 9112, 9.6)."""
        if not self.is_closing:
            self._begin_closing()
            self._tcp_transport.write_eof()

    def close(self) -> None:
        """Close after the buffered output, when nothing more is expected from the client."""
        if not self.is_closing:
            self._begin_closing()
            self._tcp_transport.close()

    def truncate(self, *, reset: bool) -> None:
        """Close after the buffered output as a broken connection does."""
        if self.is_closing:
            return
        self.is_closing = True
        self._last_unacked = inf
        self.set_phase(ConnectionPhase.CLOSING)
        self.resume_reading()
        if reset and self._filters.tls is None:
            self._tcp_transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._tcp_transport.close()
        else:
            self._tcp_transport.write_eof()

    def switch_protocol(self, handler: ProtocolHandler, data: bytes = b"") -> None:
        """Switch to another protocol handler."""
        self._handler = handler
        self._fast_handler = handler if isinstance(handler, Http1Handler) and self._filters.tls is None else None
        if data:
            handler.data_received(data)

    # internal

    def _process_input(self, data: bytes) -> None:
        """Process bytes while the protocol is not known yet, or of a connection with TLS."""
        filters = self._filters
        try:
            data = filters.decode_wire(data)
        except ProtocolError as error:
            self._reject(error)
            return
        except ssl.SSLError:
            self._observer.record_rejection(TLS_FAILED)
            self.close_gracefully()
            return
        finally:
            self._write_tls_output()  # of TLS: handshake messages, or the alert that says why the handshake failed
        if filters.is_handshaking:
            self._wait_for_head()
        elif self._handler is None:
            self._select_protocol(data)
        else:
            self._handler.data_received(data)
        if filters.is_closed_by_peer:
            self._handle_eof()

    def _select_protocol(self, data: bytes) -> None:
        """Choose the protocol by the first bytes: HTTP/2's preface is no HTTP/1.1 request (RFC 9113, 3.4)."""
        received, self._sniffed = self._sniffed + data, b""  # the connection drops them once a handler has them
        if self._filters.negotiated_http2 or received.startswith(frames.PREFACE):
            http2 = Http2Handler(self, self._new_gateway(), self._state)
            http2.send_preface()  # if ALPN selected HTTP/2, the server's SETTINGS are sent before the first request
            self.switch_protocol(http2, received)
        elif not frames.PREFACE.startswith(received):
            self.switch_protocol(Http1Handler(self, self._new_gateway(), self._state), received)
        elif received:
            self._sniffed = received
            self._wait_for_head()
        else:
            self.set_phase(ConnectionPhase.IDLE)

    def _new_gateway(self) -> WsgiGateway:
        return WsgiGateway(self._listener, self._connection_info(), self._state)

    def _connection_info(self) -> ConnectionInfo:
        peer, local = (self._endpoint(name) for name in ("peername", "sockname"))
        return self._filters.connection_info(peer, local)

    def _endpoint(self, name: str) -> Endpoint:
        address, port, *_ = self._tcp_transport.get_extra_info(name) or ("", 0)
        return Endpoint(address, port)

    def _wait_for_head(self) -> None:
        if self.phase is not ConnectionPhase.HEAD:
            self.set_phase(ConnectionPhase.HEAD)

    def _reject(self, error: ProtocolError, reason: str = "") -> None:
        """Send an error response, in HTTP/1.1, before anything is known of the request."""
        response = error_response(error)
        self.write(encode_response(response, date=self._state.http_date(), connection="close"))
        self.close_gracefully()
        self._observer.record_rejection(reason or reason_label(error))
        sent, error_text = len(response.body), error.reason
        self._observer.record_request(
            RequestRecord(
                unparsed_request(), self._connection_info(), response.status, None, 0.0, sent, 0, error=error_text
            )
        )

    def _handle_eof(self) -> None:
        if self.is_closing:
            return
        if self._handler is not None:
            self._handler.eof_received()
        else:
            self.close()

    def _is_making_progress(self) -> bool:
        """Return whether the client reads output at the minimum body rate; False if only the kernel buffers any."""
        if not self._tcp_transport.get_write_buffer_size():
            return False
        previous, self._last_unacked = self._last_unacked, unacked_bytes(self._tcp_transport)
        return (
            previous - self._last_unacked
            >= self._state.limits.min_body_rate * self._state.phase_timeouts[ConnectionPhase.UNREAD_OUTPUT]
        )

    def _begin_closing(self) -> None:
        self.is_closing = True
        self._last_unacked = inf
        self.set_phase(ConnectionPhase.CLOSING)
        self.resume_reading()  # what the client still sends is discarded, and its EOF is seen
        self._filters.send_close_notify()
        self._write_tls_output()

    def _write_tls_output(self) -> None:
        output = self._filters.tls_output()
        if output:
            self._observer.record_sent(len(output))
            self._tcp_transport.write(output)

    def _end_yield(self) -> None:
        self._yielding = False
        self._resume_handler()

    def _on_timer(self) -> None:
        if self._handler is not None and not self.is_closing and not self.is_blocked:
            self._handler.on_timer()
            self._update_budget()
            self._update_reading()

    def _resume_handler(self) -> None:
        if self._handler is not None and not self.is_closing and not self.is_blocked:
            self._handler.resume()
        self._update_budget()
        self._update_reading()  # not before: the handler may request another turn at once

    def _update_budget(self) -> None:
        """Update the memory budget with this client's buffered bytes; reject more if the budget is exhausted."""
        buffered = 0 if self._handler is None or self.is_closing else self._handler.buffered_bytes
        if self._write_blocked:
            buffered += self._tcp_transport.get_write_buffer_size()
        change = buffered - self._counted_bytes
        if not change:
            return
        self._counted_bytes = buffered
        self._state.memory_budget.used += change
        if change < 0 or self.is_closing or self._state.memory_budget.has_room(0):
            return
        if self._write_blocked:
            self.abort()
        elif self._handler is not None:
            self._handler.reject_over_budget()

    def _update_reading(self) -> None:
        should_read = not (self.is_blocked or self._paused_by_handler)
        if should_read == self._is_reading or self._tcp_transport.is_closing():
            return
        self._is_reading = should_read
        if should_read:
            self._tcp_transport.resume_reading()
        else:
            self._tcp_transport.pause_reading()

    def _set_deadline(self, phase: ConnectionPhase, deadline: float | None = None) -> None:
        self.deadline = self._state.now() + self._state.phase_timeouts[phase] if deadline is None else deadline
