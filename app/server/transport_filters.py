"""Transport filters of a connection: PROXY protocol header, then TLS.

They lie between a socket and a protocol handler, and do no I/O.
"""

import ssl
from collections.abc import Callable

import msgspec

from app.http.connection_info import Endpoint, ProxyProtocol, original_client
from app.http.errors import bad_request
from app.http.observer import NULL_OBSERVER, ConnectionObserver
from app.http.request import Application, ConnectionInfo, Environ
from app.server import client_hello
from app.server.proxy_protocol.header import ProxyHeaderParser
from app.server.tls import TlsLayer


class ListenerConfig(msgspec.Struct, frozen=True, eq=False):
    """Configuration shared by the connections of one port, compared by identity.

    A listener that is not `counts_toward_limit` accepts connections above the connection limit, too. `get_ssl_context`
    returns the SSL context to serve TLS with, or None; `tls_only` rejects plaintext connections; `expects_proxy_header`
    means that a PROXY protocol header comes first. `observer` observes the connections.
    """

    application: Application
    environ: Environ
    counts_toward_limit: bool = True
    expects_proxy_header: bool = False
    get_ssl_context: Callable[[], ssl.SSLContext | None] = lambda: None
    tls_only: bool = False
    observer: ConnectionObserver = NULL_OBSERVER


class TransportFilters:
    """Removes PROXY header and TLS from the bytes of one connection, and encrypts what is sent."""

    def __init__(self, listener: ListenerConfig) -> None:
        self.tls: TlsLayer | None = None
        self._listener = listener
        self._proxy_parser = (
            ProxyHeaderParser() if listener.expects_proxy_header else None
        )  # while its header is incomplete
        self._proxy_header: ProxyProtocol | None = None
        self._tls_decided = False  # whether the first byte after the header has shown if the client uses TLS

    @property
    def is_handshaking(self) -> bool:
        """Whether the client has to complete a PROXY header or a TLS handshake before its first request."""
        return self._proxy_parser is not None or (self.tls is not None and not self.tls.is_established)

    @property
    def is_closed_by_peer(self) -> bool:
        """Whether the client has sent close_notify."""
        return self.tls is not None and self.tls.is_closed_by_peer

    @property
    def negotiated_http2(self) -> bool:
        """Whether ALPN has selected HTTP/2."""
        return self.tls is not None and self.tls.alpn_protocol == "h2"

    def decode_wire(self, data: bytes) -> bytes:
        """Process bytes from the wire; return the plaintext for the protocol handler.

        Raise `ProtocolError`, or `ssl.SSLError` if a handshake fails: `tls_output` returns the alert then.
        """
        if self._proxy_parser is not None:
            self._proxy_header = self._proxy_parser.feed(data)
            if self._proxy_header is None:
                return b""
            data, self._proxy_parser = self._proxy_parser.unparsed, None
        if not self._tls_decided and data:
            self._tls_decided = True
            context = self._listener.get_ssl_context()
            if context is not None and data.startswith(client_hello.HANDSHAKE_RECORD):
                self.tls = TlsLayer(context)
            elif self._listener.tls_only:
                raise bad_request("plaintext connection to a port that requires TLS (ECHO_TLS_ONLY)")
        return self.tls.decrypt(data) if self.tls else data

    def encode_wire(self, data: bytes) -> bytes:
        """Return the wire bytes that carry the protocol handler's."""
        if self.tls is None:
            return data
        self.tls.encrypt(data)
        return self.tls.ciphertext_to_send()

    def send_close_notify(self) -> None:
        """Send close_notify, if TLS is in use."""
        if self.tls is not None:
            self.tls.send_close_notify()

    def tls_output(self) -> bytes:
        """Return the bytes that the filters themselves send."""
        return self.tls.ciphertext_to_send() if self.tls is not None else b""

    def connection_info(self, peer: Endpoint, local: Endpoint) -> ConnectionInfo:
        """Return what is known of the connection; `peer` and `local` are the two endpoints of its socket."""
        destination = self._proxy_header.destination if self._proxy_header else None
        return ConnectionInfo(
            client=original_client(peer, self._proxy_header),
            server=destination if isinstance(destination, Endpoint) else local,
            tls=self.tls.info() if self.tls else None,
            proxy=self._proxy_header,
        )
