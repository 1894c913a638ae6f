"""One TCP connection: transport filters, protocol selection, deadlines.

Nothing here waits: every phase has a deadline, which `Service.sweep` compares with the time.
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
from app.http.observer import TLS, TOO_MANY_CONNECTIONS, reason_of, unread
from app.http.record import Answered
from app.http.request import ConnectionInfo
from app.server.http1.handler import Http1Session
from app.server.http2 import frames
from app.server.http2.handler import Http2Session
from app.server.protocol import Session
from app.server.response import encode, refusal
from app.server.state import REFUSED_AT_ONCE, Phase, Service, UnderWay
from app.server.timer import Alarm
from app.server.transport_filters import Layers, Listener
from app.server.unacked import outstanding
from app.server.wsgi import Gateway

# Bytes after which a connection yields to others for a turn of the loop. libuv would read up to 32 times before it
# looks at another connection, and requests of other clients would wait that long.
_A_TURN: Final = 65_536
# Bytes written and not yet passed to the kernel, above which the client counts as not reading. Fewer bytes are not
# counted as buffered; a higher limit costs memory for each client, a lower one only means more calls.
_UNREAD: Final = 32_768
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of 0 seconds (socket(7)): close discards data and sends RST


class Connection(asyncio.Protocol):
    """asyncio protocol of one connection: owns transport and deadlines; a protocol handler owns the protocol."""

    __slots__ = (
        "_alarm", "_first", "_held", "_layers", "_left", "_listener", "_paused", "_plain", "_reading", "_service",
        "_session", "_stalled", "_transport", "_watch", "_working", "closing", "deadline", "phase",
    )  # fmt: skip

    def __init__(self, service: Service, listener: Listener) -> None:
        self.phase = Phase.IDLE
        self.deadline = inf
        self.closing = False  # nothing is processed or answered any more
        self._service = service
        self._listener = listener
        self._watch = listener.watch
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._layers = Layers(listener)
        self._first = b""  # bytes received before the protocol was known
        self._session: Session | None = None
        self._plain: Http1Session | None = None  # the handler, if it is HTTP/1.1 without TLS, as most are
        self._reading = True
        self._stalled = False  # the client does not read: what it sends is not read either
        self._working = False  # the protocol handler resumes in the loop's next turn
        self._paused = False  # by the protocol handler
        self._held = 0  # bytes counted as buffered for this client
        self._left = inf  # bytes not acknowledged by the client at the last check
        self._alarm = Alarm(service, self._wake)

    # asyncio.Protocol methods

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection. Above the limit send 503 and close; in a flood, most are only closed."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_UNREAD)
        full = self.counted and self._service.is_full()
        flood = full and len(self._service.connections) >= self._service.bounds.connections + REFUSED_AT_ONCE
        self._service.connections.add(self)
        self._watch.connected()
        self.enter(Phase.IDLE)
        if flood:
            self._watch.refused(TOO_MANY_CONNECTIONS)
            self.abort()
        elif full:
            error = ProtocolError(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many connections (ECHO_MAX_CONNECTIONS); retry later"
            )
            self._refuse(error, TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything, however the connection ended."""
        del exc
        self.closing = True
        self._stalled = False  # a scheduled turn may still run: it must not count bytes that nothing subtracts
        self._alarm.end()
        if self._session is not None:
            self._session.lost()
            self._session = self._plain = None
        self._service.waiting.size -= self._held
        self._held = 0
        self._service.connections.discard(self)
        self._service.changed()

    def data_received(self, data: bytes) -> None:
        """Process bytes from the client."""
        self._watch.received(len(data))
        if self.closing:
            return
        if self._plain is not None:
            self._plain.receive(data)
            if self.phase is not Phase.IDLE or self._held or self._stalled or self._working:  # else nothing is buffered
                self._count()
        else:
            if self._session is not None and self._layers.tls is None:
                self._session.receive(data)
            else:
                self._take(data)
            self._count()
        if len(data) >= _A_TURN:
            self.soon()

    def eof_received(self) -> bool:
        """Process EOF from the client; return False, which closes the transport, if this side is closing already."""
        if self.closing:
            return False
        self._end()
        return True

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read its responses."""
        self._stalled = True
        self._left = outstanding(self._transport)
        self._allow(Phase.CLIENT_READS)
        self._read_if_wanted()
        self._count()

    def resume_writing(self) -> None:
        """Resume with a client that has read its responses."""
        self._stalled = False
        self._allow(self.phase)
        self._go_on()

    # called by the worker's shared state (`Serving`)

    @property
    def counted(self) -> bool:
        """Whether the connection counts towards the connection limit."""
        return self._listener.counted

    @property
    def under_way(self) -> UnderWay:
        """Numbers of requests in flight and of open WebSockets on it."""
        return self._session.under_way if self._session is not None else UnderWay()

    def expire(self) -> None:
        """End a connection whose deadline has passed, unless the client still reads buffered output."""
        if self.closing or self._stalled:
            if self._takes():
                self._allow(Phase.CLIENT_READS)
            else:
                self.abort()
        elif self._session is not None:
            self._session.expire()
        elif self._first:
            self._refuse(
                ProtocolError(
                    HTTPStatus.REQUEST_TIMEOUT, "timeout while receiving the request head (ECHO_HEADER_TIMEOUT)"
                )
            )
        else:
            self.leave()

    def drain(self) -> None:
        """Announce a graceful shutdown, if the protocol can."""
        if self._session is not None and not self.closing:
            self._session.drain()

    def last_call(self) -> None:
        """Close the connection if nothing is in flight."""
        if self.closing:
            return
        if self._session is not None:
            self._session.last_call()
        elif self.phase is Phase.IDLE:
            self.leave()

    def abort(self) -> None:
        """Drop the connection with everything in flight."""
        self.closing = True
        self._transport.abort()

    # called by a protocol handler (`Channel`)

    @property
    def blocked(self) -> bool:
        """Whether nothing should be processed or answered now."""
        return self._stalled or self._working

    def write(self, data: bytes) -> None:
        """Send bytes."""
        # An unencrypted HTTP/1.1 handler implies no TLS: with many connections, the filters are not in the CPU cache.
        if self._plain is None and self._layers.tls is not None:
            data = self._layers.put(data)
        self._watch.sent(len(data))
        self._transport.write(data)

    def enter(self, phase: Phase, until: float | None = None) -> None:
        """Set the phase and its deadline: a time on the loop's clock, or by default the timeout of the phase."""
        self.phase = phase
        if not self._stalled:  # otherwise the deadline is for the client to read
            self._allow(phase, until)
        if phase is Phase.IDLE and self._service.draining:
            self._service.changed()

    def soon(self) -> None:
        """Resume in the loop's next turn."""
        if not self._working:
            self._working = True
            self._read_if_wanted()
            self._service.soon(self._work)

    def wake(self, at: float) -> None:
        """Call the protocol handler's `wake` at a time on the loop's clock, or before; reading goes on."""
        self._alarm.set(at)

    def pause(self) -> None:
        """Stop reading."""
        self._paused = True
        self._read_if_wanted()

    def resume(self) -> None:
        """Resume reading, unless something else prevents it."""
        self._paused = False
        self._read_if_wanted()

    def close(self) -> None:
        """Close after the buffered output, without resetting a client that still sends (RFC 9112, 9.6)."""
        if not self.closing:
            self._close()
            self._transport.write_eof()

    def leave(self) -> None:
        """Close after the buffered output, when nothing more is expected from the client."""
        if not self.closing:
            self._close()
            self._transport.close()

    def cut(self, *, reset: bool) -> None:
        """Close after the buffered output as a broken connection does."""
        if self.closing:
            return
        self.closing = True
        self._left = inf
        self.enter(Phase.CLOSING)
        self.resume()
        if reset and self._layers.tls is None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.close()
        else:
            self._transport.write_eof()

    def become(self, session: Session, data: bytes = b"") -> None:
        """Switch to another protocol handler."""
        self._session = session
        self._plain = session if isinstance(session, Http1Session) and self._layers.tls is None else None
        if data:
            session.receive(data)

    # internal

    def _take(self, data: bytes) -> None:
        """Process bytes while the protocol is not known yet, or of a connection with TLS."""
        layers = self._layers
        try:
            data = layers.take(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        except ssl.SSLError:
            self._watch.refused(TLS)
            self.close()
            return
        finally:
            self._flush()  # of TLS: handshake messages, or the alert that says why the handshake failed
        if layers.opening:
            self._wait_for_head()
        elif self._session is None:
            self._open(data)
        else:
            self._session.receive(data)
        if layers.ended:
            self._end()

    def _open(self, data: bytes) -> None:
        """Choose the protocol by the first bytes: HTTP/2's preface is no HTTP/1.1 request (RFC 9113, 3.4)."""
        first, self._first = self._first + data, b""  # the connection drops them once a handler has them
        if self._layers.http2 or first.startswith(frames.PREFACE):
            http2 = Http2Session(self, self._gateway(), self._service)
            http2.begin()  # if ALPN selected HTTP/2, the server's SETTINGS are sent before the first request
            self.become(http2, first)
        elif not frames.PREFACE.startswith(first):
            self.become(Http1Session(self, self._gateway(), self._service), first)
        elif first:
            self._first = first
            self._wait_for_head()
        else:
            self.enter(Phase.IDLE)

    def _gateway(self) -> Gateway:
        return Gateway(self._listener, self._info(), self._service)

    def _info(self) -> ConnectionInfo:
        peer, own = (self._endpoint(name) for name in ("peername", "sockname"))
        return self._layers.info(peer, own)

    def _endpoint(self, name: str) -> Endpoint:
        address, port, *_ = self._transport.get_extra_info(name) or ("", 0)
        return Endpoint(address, port)

    def _wait_for_head(self) -> None:
        if self.phase is not Phase.HEAD:
            self.enter(Phase.HEAD)

    def _refuse(self, error: ProtocolError, reason: str = "") -> None:
        """Send an error response, in HTTP/1.1, before anything is known of the request."""
        response = refusal(error)
        self.write(encode(response, date=self._service.date(), connection="close"))
        self.close()
        self._watch.refused(reason or reason_of(error))
        sent, why = len(response.body), error.reason
        self._watch.answered(Answered(unread(), self._info(), response.status, None, 0.0, sent, 0, why=why))

    def _end(self) -> None:
        if self.closing:
            return
        if self._session is not None:
            self._session.end()
        else:
            self.leave()

    def _takes(self) -> bool:
        """Return whether the client reads output at the minimum body rate; False if only the kernel buffers any."""
        if not self._transport.get_write_buffer_size():
            return False
        before, self._left = self._left, outstanding(self._transport)
        return before - self._left >= self._service.bounds.body_rate * self._service.seconds[Phase.CLIENT_READS]

    def _close(self) -> None:
        self.closing = True
        self._left = inf
        self.enter(Phase.CLOSING)
        self.resume()  # what the client still sends is discarded, and its EOF is seen
        self._layers.close()
        self._flush()

    def _flush(self) -> None:
        out = self._layers.outgoing()
        if out:
            self._watch.sent(len(out))
            self._transport.write(out)

    def _work(self) -> None:
        self._working = False
        self._go_on()

    def _wake(self) -> None:
        if self._session is not None and not self.closing and not self.blocked:
            self._session.wake()
            self._count()
            self._read_if_wanted()

    def _go_on(self) -> None:
        if self._session is not None and not self.closing and not self.blocked:
            self._session.go_on()
        self._count()
        self._read_if_wanted()  # not before: the handler may request another turn at once

    def _count(self) -> None:
        """Update the memory budget with this client's buffered bytes; reject more if the budget is exhausted."""
        held = 0 if self._session is None or self.closing else self._session.held
        if self._stalled:
            held += self._transport.get_write_buffer_size()
        more = held - self._held
        if not more:
            return
        self._held = held
        self._service.waiting.size += more
        if more < 0 or self.closing or self._service.waiting.has_room(0):
            return
        if self._stalled:
            self.abort()
        elif self._session is not None:
            self._session.shed()

    def _read_if_wanted(self) -> None:
        wanted = not (self.blocked or self._paused)
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _allow(self, phase: Phase, until: float | None = None) -> None:
        self.deadline = self._service.clock() + self._service.seconds[phase] if until is None else until
