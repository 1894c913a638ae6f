"""TLS without I/O: the layer between a socket and a protocol handler.

asyncio could do TLS itself, but a PROXY protocol header comes unencrypted before it, and one port serves clients with
and without TLS. So the bytes pass through here (`ssl.MemoryBIO`, `ssl.SSLObject`).
"""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from msgspec import UNSET

from app.http.request import shown
from app.http.tls_info import TLS
from app.server import client_hello, peer_certificate

# Bytes passed through OpenSSL at a time: the size of one record (RFC 8446, 5.1). A `MemoryBIO` keeps the memory of its
# largest content: with larger pieces, an idle connection would occupy as much as its largest upload.
_PIECE: Final = 1 << 14


class TlsLayer:
    """TLS of one connection: `receive` ciphertext, `send` plaintext, and write `outgoing` to the wire."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._from_wire = ssl.MemoryBIO()
        self._to_wire = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_wire, self._to_wire, server_side=True)
        self._sealed: list[bytes] = []
        self._first_bytes = bytearray()  # from the client, until the handshake is complete
        self._server_name = ""
        self.established = False
        self.ended = False  # the client has sent close_notify

    def receive(self, data: bytes) -> bytes:
        """Process bytes from the wire; return the plaintext that they complete. Data after close_notify is dropped.

        Raise `ssl.SSLError` if it is not TLS, or no supported version; `outgoing` returns the alert then.
        """
        plain: list[bytes] = []
        for piece in _pieces(data):
            if self.ended:
                break
            self._from_wire.write(piece)
            try:
                if not self.established:
                    self._shake_hands(piece)
                while taken := self._tls.read(_PIECE):
                    plain.append(taken)
                self.ended = True  # close_notify (RFC 8446, 6.1)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:  # the same, after our own close_notify
                self.ended = True
        return b"".join(plain)

    def _shake_hands(self, data: bytes) -> None:
        self._first_bytes += data[: client_hello.MAX_BYTES - len(self._first_bytes)]
        self._tls.do_handshake()
        self.established = True
        self._server_name = shown(client_hello.server_name(self._first_bytes))
        self._first_bytes = bytearray()

    def send(self, data: bytes) -> None:
        """Encrypt plaintext for the client."""
        for piece in _pieces(data):
            self._tls.write(piece)
            self._sealed.append(self._to_wire.read())

    def close(self) -> None:
        """Send close_notify (RFC 8446, 6.1)."""
        if self.established:
            with suppress(ssl.SSLError):  # don't wait for the client's own close_notify
                self._tls.unwrap()

    def outgoing(self) -> bytes:
        """Return the bytes to write to the wire."""
        out = b"".join((*self._sealed, self._to_wire.read()))
        self._sealed.clear()
        return out

    @property
    def protocol(self) -> str | None:
        """Protocol selected by ALPN (RFC 7301), `h2` or `http/1.1`, or None."""
        return self._tls.selected_alpn_protocol()

    def facts(self) -> TLS:
        """Return what the reflection shows of an established connection."""
        cipher = self._tls.cipher()
        return TLS(
            version=self._tls.version() or "",
            server_name=self._server_name,
            cipher_suite=cipher[0] if cipher else "",
            negotiated_protocol=self.protocol or UNSET,
            peer_certificates=peer_certificate.pem_chain(self._tls),
            client_certificate=peer_certificate.certificate(self._tls),
        )


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
