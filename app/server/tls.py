"""TLS without I/O: the layer between a socket and a protocol handler.

asyncio could do TLS itself, but a PROXY protocol header comes unencrypted before it, and one port serves clients with
and without TLS. So the bytes pass through here (`ssl.MemoryBIO`, `ssl.SSLObject`).
"""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from msgspec import UNSET

from app.http.request import decode_lossless
from app.http.tls_info import TlsInfo
from app.server import client_hello, peer_certificate

# Bytes passed through OpenSSL at a time: the size of one record (RFC 8446, 5.1). A `MemoryBIO` keeps the memory of its
# largest content: with larger pieces, an idle connection would occupy as much as its largest upload.
_RECORD_SIZE: Final = 1 << 14


class TlsLayer:
    """TLS of one connection: `decrypt` ciphertext, `encrypt` plaintext, and write `ciphertext_to_send` to the wire."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._from_wire = ssl.MemoryBIO()
        self._to_wire = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_wire, self._to_wire, server_side=True)
        self._ciphertext: list[bytes] = []
        self._first_bytes = bytearray()  # from the client, until the handshake is complete
        self._server_name = ""
        self.is_established = False
        self.is_closed_by_peer = False  # the client has sent close_notify

    def decrypt(self, data: bytes) -> bytes:
        """Process bytes from the wire; return the plaintext that they complete. Data after close_notify is dropped.

        Raise `ssl.SSLError` if it is not TLS, or no supported version; `ciphertext_to_send` returns the alert then.
        """
        plaintext: list[bytes] = []
        for piece in _split_records(data):
            if self.is_closed_by_peer:
                break
            self._from_wire.write(piece)
            try:
                if not self.is_established:
                    self._handshake(piece)
                while decrypted := self._tls.read(_RECORD_SIZE):
                    plaintext.append(decrypted)
                self.is_closed_by_peer = True  # close_notify (RFC 8446, 6.1)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:  # the same, after our own close_notify
                self.is_closed_by_peer = True
        return b"".join(plaintext)

    def _handshake(self, data: bytes) -> None:
        self._first_bytes += data[: client_hello.MAX_BYTES - len(self._first_bytes)]
        self._tls.do_handshake()
        self.is_established = True
        self._server_name = decode_lossless(client_hello.server_name(self._first_bytes))
        self._first_bytes = bytearray()

    def encrypt(self, data: bytes) -> None:
        """Encrypt plaintext for the client."""
        for piece in _split_records(data):
            self._tls.write(piece)
            self._ciphertext.append(self._to_wire.read())

    def send_close_notify(self) -> None:
        """Send close_notify (RFC 8446, 6.1)."""
        if self.is_established:
            with suppress(ssl.SSLError):  # don't wait for the client's own close_notify
                self._tls.unwrap()

    def ciphertext_to_send(self) -> bytes:
        """Return the bytes to write to the wire."""
        ciphertext = b"".join((*self._ciphertext, self._to_wire.read()))
        self._ciphertext.clear()
        return ciphertext

    @property
    def alpn_protocol(self) -> str | None:
        """Protocol selected by ALPN (RFC 7301), `h2` or `http/1.1`, or None."""
        return self._tls.selected_alpn_protocol()

    def info(self) -> TlsInfo:
        """Return what the reflection shows of an established connection."""
        cipher = self._tls.cipher()
        return TlsInfo(
            version=self._tls.version() or "",
            server_name=self._server_name,
            cipher_suite=cipher[0] if cipher else "",
            negotiated_protocol=self.alpn_protocol or UNSET,
            peer_certificates=peer_certificate.pem_chain(self._tls),
            client_certificate=peer_certificate.client_certificate(self._tls),
        )


def _split_records(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _RECORD_SIZE] for start in range(0, len(data), _RECORD_SIZE))
