"""Transport filters of a connection: PROXY protocol header, then TLS.

They lie between a socket and a protocol handler, and do no I/O.
"""

import ssl
from collections.abc import Callable

import msgspec

from app.http.connection_info import Endpoint, ProxyProtocol, client_of
from app.http.errors import bad_request
from app.http.observer import UNWATCHED, Watch
from app.http.request import Application, ConnectionInfo, Environ
from app.server import client_hello
from app.server.proxy_protocol.header import ProxyReader
from app.server.tls import TlsLayer


class Listener(msgspec.Struct, frozen=True, eq=False):
    """Configuration shared by the connections of one port, compared by identity.

    A listener that is not `counted` accepts connections above the connection limit, too. `context` returns the SSL
    context to serve TLS with, or None; `tls_only` rejects plaintext connections; `proxied` means that a PROXY protocol
    header comes first. `watch` observes the connections.
    """

    application: Application
    environ: Environ
    counted: bool = True
    proxied: bool = False
    context: Callable[[], ssl.SSLContext | None] = lambda: None
    tls_only: bool = False
    watch: Watch = UNWATCHED


class Layers:
    """Removes PROXY header and TLS from the bytes of one connection, and encrypts what is sent."""

    def __init__(self, listener: Listener) -> None:
        self.tls: TlsLayer | None = None
        self._listener = listener
        self._proxy = ProxyReader() if listener.proxied else None  # while its header is incomplete
        self._proxied: ProxyProtocol | None = None
        self._begun = False  # whether the first byte after the header has shown if the client uses TLS

    @property
    def opening(self) -> bool:
        """Whether the client has to complete a PROXY header or a TLS handshake before its first request."""
        return self._proxy is not None or (self.tls is not None and not self.tls.established)

    @property
    def ended(self) -> bool:
        """Whether the client has sent close_notify."""
        return self.tls is not None and self.tls.ended

    @property
    def http2(self) -> bool:
        """Whether ALPN has selected HTTP/2."""
        return self.tls is not None and self.tls.protocol == "h2"

    def take(self, data: bytes) -> bytes:
        """Process bytes from the wire; return the plaintext for the protocol handler.

        Raise `ProtocolError`, or `ssl.SSLError` if a handshake fails: `outgoing` returns the alert then.
        """
        if self._proxy is not None:
            self._proxied = self._proxy.receive(data)
            if self._proxied is None:
                return b""
            data, self._proxy = self._proxy.left, None
        if not self._begun and data:
            self._begun = True
            context = self._listener.context()
            if context is not None and data.startswith(client_hello.HANDSHAKE):
                self.tls = TlsLayer(context)
            elif self._listener.tls_only:
                raise bad_request("plaintext connection to a port that requires TLS (ECHO_TLS_ONLY)")
        return self.tls.receive(data) if self.tls else data

    def put(self, data: bytes) -> bytes:
        """Return the wire bytes that carry the protocol handler's."""
        if self.tls is None:
            return data
        self.tls.send(data)
        return self.tls.outgoing()

    def close(self) -> None:
        """Send close_notify, if TLS is in use."""
        if self.tls is not None:
            self.tls.close()

    def outgoing(self) -> bytes:
        """Return the bytes that the filters themselves send."""
        return self.tls.outgoing() if self.tls is not None else b""

    def info(self, peer: Endpoint, own: Endpoint) -> ConnectionInfo:
        """Return what is known of the connection; `peer` and `own` are the two endpoints of its socket."""
        asked = self._proxied.destination if self._proxied else None
        return ConnectionInfo(
            client=client_of(peer, self._proxied),
            server=asked if isinstance(asked, Endpoint) else own,
            tls=self.tls.facts() if self.tls else None,
            proxy=self._proxied,
        )
