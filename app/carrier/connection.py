"""One TCP connection: PROXY protocol and TLS are taken off, the protocol is chosen, and its session served.

Nothing here waits: every phase has a deadline, which the service holds against the time.
"""

import asyncio
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

import msgspec

from app.carrier import tls
from app.carrier.errors import ProtocolError, bad_request
from app.carrier.gateway import Gateway, connection_environ
from app.carrier.http1.session import Http1Session
from app.carrier.http2 import frames
from app.carrier.http2.session import Http2Session
from app.carrier.proxy_protocol import ProxyReader
from app.carrier.response import encode, refusal
from app.carrier.service import Phase, Service
from app.carrier.session import Session
from app.carrier.tls import TlsLayer
from app.peers import Endpoint, ProxyProtocol, client_of
from app.wire import Application, ConnectionInfo, Environ

# Bytes that are enough of one connection for a turn of the loop. libuv would read up to 32 times before it looks at
# another connection, and all that time somebody else's request would wait.
_A_TURN: Final = 65_536


class Listener(msgspec.Struct, frozen=True):
    """What the connections of one port have in common.

    One that is not `counted` takes connections also when there are enough. `context` gives what TLS is served with, or
    None; `tls_only` refuses who does not begin with it; `proxied` tells whether a PROXY protocol header comes first.
    """

    application: Application
    environ: Environ
    counted: bool = True
    proxied: bool = False
    context: Callable[[], ssl.SSLContext | None] = lambda: None
    tls_only: bool = False


class Connection(asyncio.Protocol):
    """Serves one connection: transport and time are its own, the protocol is a session's."""

    def __init__(self, service: Service, listener: Listener) -> None:
        self.phase = Phase.IDLE
        self.deadline = float("inf")
        self.closing = False  # nothing is taken or answered any more
        self._service = service
        self._listener = listener
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._proxy = ProxyReader() if listener.proxied else None
        self._proxied: ProxyProtocol | None = None
        self._tls: TlsLayer | None = None
        self._begun = False  # whether the first byte behind a PROXY header has shown if TLS is spoken
        self._first = b""  # what came before it was known which protocol is spoken
        self._session: Session | None = None
        self._reading = True
        self._stalled = False  # the client does not read: what it sends is not read either
        self._working = False  # the session goes on in the loop's next turn

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin. One connection too many is answered 503 and closed."""
        self._transport = cast("asyncio.Transport", transport)
        full = self._listener.counted and len(self._service.connections) >= self._service.bounds.connections
        self._service.connections.add(self)
        self.enter(Phase.IDLE)
        if full:
            self._refuse(ProtocolError(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections; try again"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End, however it came to it."""
        del exc
        self.closing = True
        self._session = None
        self._service.connections.discard(self)
        self._service.changed()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self.closing:
            return
        if self._session is not None and self._tls is None:  # most of what ever comes
            self._session.receive(data)
        else:
            self._take(data)
        if len(data) >= _A_TURN:
            self.soon()

    def eof_received(self) -> bool:
        """Take the end of what the client sends; it is all that is waited for when both have ended."""
        if self.closing:
            return False
        self._end()
        return True

    def pause_writing(self) -> None:
        """Stop reading a client that does not read its answers."""
        self._stalled = True
        self._allow(Phase.CLIENT_READS)
        self._read_if_wanted()

    def resume_writing(self) -> None:
        """Go on with a client that has read its answers."""
        self._stalled = False
        self._allow(self.phase)
        self._go_on()

    # what the service asks for

    def expire(self) -> None:
        """End a connection whose time is over."""
        if self.closing or self._stalled:
            self.abort()
        elif self._session is not None:
            self._session.expire()
        elif self._first:
            self._refuse(ProtocolError(HTTPStatus.REQUEST_TIMEOUT, "the head took too long"))
        else:
            self.leave()

    def drain(self) -> None:
        """Say that the end comes, where the protocol can."""
        if self._session is not None and not self.closing:
            self._session.drain()

    def last_call(self) -> None:
        """Close a connection on which nothing is under way."""
        if self.closing:
            return
        if self._session is not None:
            self._session.last_call()
        elif self.phase is Phase.IDLE:
            self.leave()

    def abort(self) -> None:
        """Drop the connection with whatever is under way."""
        self.closing = True
        self._transport.abort()

    # what a session asks for (`Channel`)

    @property
    def blocked(self) -> bool:
        """Whether nothing should be taken or answered now."""
        return self._stalled or self._working

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._tls:
            self._tls.send(data)
            data = self._tls.outgoing()
        self._transport.write(data)

    def enter(self, phase: Phase, until: float | None = None) -> None:
        """Wait for what the phase says, until a time on the loop's clock, or with the time that goes with it."""
        self.phase = phase
        if not self._stalled:  # else it is the client's turn
            self._allow(phase, until)
        if phase is Phase.IDLE and self._service.draining:
            self._service.changed()

    def soon(self) -> None:
        """Go on in the loop's next turn."""
        if not self._working:
            self._working = True
            self._read_if_wanted()
            self._service.soon(self._work)

    def close(self) -> None:
        """Close after what was written, without resetting a client that still sends (RFC 9112, 9.6)."""
        if not self.closing:
            self._close()
            self._transport.write_eof()

    def leave(self) -> None:
        """Close a connection on which the client has nothing more to say; what was written leaves first."""
        if not self.closing:
            self._close()
            self._transport.close()

    def become(self, session: Session, data: bytes = b"") -> None:
        """Let another protocol be spoken from here on."""
        self._session = session
        if data:
            session.receive(data)

    # between them

    def _take(self, data: bytes) -> None:
        """Take what the client sent, while it is not known what it speaks, or what speaks TLS."""
        try:
            data = self._unwrapped(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        except ssl.SSLError:
            self._flush_tls()  # the alert that says why
            self.close()
            return
        if self._session is not None:
            self._session.receive(data)
        else:
            self._open(data)
        if self._tls and self._tls.ended:
            self._end()

    def _unwrapped(self, data: bytes) -> bytes:
        """Take PROXY protocol and TLS off what came."""
        if self._proxy is not None:
            self._proxied = self._proxy.receive(data)
            if self._proxied is None:
                self._wait_for_head()
                return b""
            data, self._proxy = self._proxy.left, None
            self.enter(Phase.IDLE)
        if not self._begun and data:
            self._begun = True
            context = self._listener.context()
            if context is not None and data.startswith(tls.HANDSHAKE):
                self._tls = TlsLayer(context)
                self._wait_for_head()
            elif self._listener.tls_only:
                raise bad_request("TLS is the only way to speak to this port")
        return self._decrypted(data) if self._tls else data

    def _decrypted(self, data: bytes) -> bytes:
        layer = cast("TlsLayer", self._tls)
        known = layer.established
        plain = layer.receive(data)
        self._flush_tls()
        if layer.established and not known:
            self.enter(Phase.IDLE)
            if layer.protocol == "h2":
                self._speak_http2()  # its settings are sent before anything is asked
        return plain

    def _open(self, data: bytes) -> None:
        """Choose the protocol by the first bytes: HTTP/2's preface is no request of HTTP/1.1 (RFC 9113, 3.4)."""
        data = self._first + data
        if data.startswith(frames.PREFACE):
            self._speak_http2()
        elif frames.PREFACE.startswith(data):
            self._first = data
            if data:
                self._wait_for_head()
            return
        else:
            self.become(Http1Session(self, self._gateway(), self._service, secure=self._tls is not None))
        self._first = b""
        cast("Session", self._session).receive(data)

    def _speak_http2(self) -> None:
        session = Http2Session(self, self._gateway(), self._service)
        self.become(session)
        session.begin()

    def _gateway(self) -> Gateway:
        peer, own = (self._endpoint(name) for name in ("peername", "sockname"))
        asked = self._proxied.destination if self._proxied else None
        info = ConnectionInfo(
            client=client_of(peer, self._proxied),
            server=asked if isinstance(asked, Endpoint) else own,
            tls=self._tls.facts() if self._tls else None,
            proxy=self._proxied,
        )
        return Gateway(self._listener.application, connection_environ(self._listener.environ, info), self._service)

    def _endpoint(self, name: str) -> Endpoint:
        address, port, *_ = self._transport.get_extra_info(name) or ("", 0)
        return Endpoint(address, port)

    def _wait_for_head(self) -> None:
        if self.phase is not Phase.HEAD:
            self.enter(Phase.HEAD)

    def _refuse(self, error: ProtocolError) -> None:
        """Answer before anything is known of the request, in the words of HTTP/1.1."""
        self.write(encode(refusal(error), date=self._service.date(), connection="close"))
        self.close()

    def _end(self) -> None:
        if self.closing:
            return
        if self._session is not None:
            self._session.end()
        else:
            self.leave()

    def _close(self) -> None:
        self.closing = True
        self.enter(Phase.CLOSING)
        if self._tls:
            self._tls.close()
            self._flush_tls()

    def _flush_tls(self) -> None:
        out = self._tls.outgoing() if self._tls else b""
        if out:
            self._transport.write(out)

    def _work(self) -> None:
        self._working = False
        self._go_on()

    def _go_on(self) -> None:
        self._read_if_wanted()
        if self._session is not None and not self.closing and not self.blocked:
            self._session.go_on()

    def _read_if_wanted(self) -> None:
        wanted = not self.blocked
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _allow(self, phase: Phase, until: float | None = None) -> None:
        self.deadline = self._service.clock() + self._service.seconds[phase] if until is None else until
