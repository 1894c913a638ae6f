"""What lies between a socket and a session: the header of the PROXY protocol, then TLS. Without I/O."""

import ssl
from collections.abc import Callable

import msgspec

from app.http.connection_info import Endpoint, ProxyProtocol, client_of
from app.http.errors import bad_request
from app.http.observer import UNWATCHED, Watch
from app.http.request import Application, ConnectionInfo, Environ
from app.server import tls
from app.server.proxy_protocol.header import ProxyReader
from app.server.tls import TlsLayer


class Listener(msgspec.Struct, frozen=True, eq=False):
    """What the connections of one port have in common. It is known by its identity.

    One that is not `counted` takes connections also when there are enough. `context` gives what TLS is served with, or
    None; `tls_only` refuses who does not begin with it; `proxied` tells whether a PROXY protocol header comes first.
    `watch` is who watches them.
    """

    application: Application
    environ: Environ
    counted: bool = True
    proxied: bool = False
    context: Callable[[], ssl.SSLContext | None] = lambda: None
    tls_only: bool = False
    watch: Watch = UNWATCHED


class Layers:
    """Takes off one connection's bytes what a session does not see, and puts it on what goes out."""

    def __init__(self, listener: Listener) -> None:
        self.tls: TlsLayer | None = None
        self._listener = listener
        self._proxy = ProxyReader() if listener.proxied else None  # while its header is not whole
        self._proxied: ProxyProtocol | None = None
        self._begun = False  # whether the first byte behind that has shown if TLS is spoken

    @property
    def opening(self) -> bool:
        """Whether something has begun that the client has to finish before it can ask: a header, a handshake."""
        return self._proxy is not None or (self.tls is not None and not self.tls.established)

    @property
    def ended(self) -> bool:
        """Whether TLS has told that nothing more comes."""
        return self.tls is not None and self.tls.ended

    @property
    def http2(self) -> bool:
        """Whether HTTP/2 was agreed on."""
        return self.tls is not None and self.tls.protocol == "h2"

    def take(self, data: bytes) -> bytes:
        """Take bytes of the wire; give what is a session's of them.

        Raises `ProtocolError`, or `ssl.SSLError` when a handshake fails: `outgoing` has the alert then.
        """
        if self._proxy is not None:
            self._proxied = self._proxy.receive(data)
            if self._proxied is None:
                return b""
            data, self._proxy = self._proxy.left, None
        if not self._begun and data:
            self._begun = True
            context = self._listener.context()
            if context is not None and data.startswith(tls.HANDSHAKE):
                self.tls = TlsLayer(context)
            elif self._listener.tls_only:
                raise bad_request("plaintext connection to a port that requires TLS (ECHO_TLS_ONLY)")
        return self.tls.receive(data) if self.tls else data

    def put(self, data: bytes) -> bytes:
        """Give the bytes of the wire that carry a session's."""
        if self.tls is None:
            return data
        self.tls.send(data)
        return self.tls.outgoing()

    def close(self) -> None:
        """Say that nothing more is sent, where that can be said."""
        if self.tls is not None:
            self.tls.close()

    def outgoing(self) -> bytes:
        """Give what the layers have to say themselves."""
        return self.tls.outgoing() if self.tls is not None else b""

    def info(self, peer: Endpoint, own: Endpoint) -> ConnectionInfo:
        """Give what is known of the connection, whose two ends are these by its socket."""
        asked = self._proxied.destination if self._proxied else None
        return ConnectionInfo(
            client=client_of(peer, self._proxied),
            server=asked if isinstance(asked, Endpoint) else own,
            tls=self.tls.facts() if self.tls else None,
            proxy=self._proxied,
        )
