"""Certificates for TLS tests: CA, mounted Secret and trusting clients."""

import json
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509

from tests.http.process import Echo, read_answer

AUTHORITY = trustme.CA()


class Secret:
    """A folder mounted like a Kubernetes Secret: the files are links through `..data` to a folder that is swapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.serial = 0
        self._count = 0
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(Path("..data") / name)
        self.swap()

    def swap(self) -> None:
        """Replace the certificate with a new one, as the kubelet does."""
        self._count += 1
        new = self.folder / f"..{self._count}"
        new.mkdir()
        issued = AUTHORITY.issue_cert("localhost")
        (new / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        (new / "tls.key").write_bytes(issued.private_key_pem.bytes())
        self.serial = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number
        link = self.folder / "..data_tmp"
        link.symlink_to(new.name)
        link.replace(self.folder / "..data")

    @property
    def settings(self) -> dict[str, object]:
        """Return the settings that make the echo serve this certificate."""
        return {"tls_cert": self.folder / "tls.crt", "tls_key": self.folder / "tls.key"}


def trusting(*, alpn: str = "", certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Return a client's TLS context with the CA it trusts and the protocol and certificate it offers."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the system's CAs, which load slower than a handshake
    AUTHORITY.configure_trust(made)
    if alpn:
        made.set_alpn_protocols([alpn])
    if certificate:
        certificate.configure_cert(made)
    return made


def connect(echo: Echo, **offered: Any) -> ssl.SSLSocket:
    """Open a TLS connection on which an end without close_notify raises `ssl.SSLEOFError`."""
    return shake_hands(echo.connect(), **offered)


def shake_hands(sock: socket.socket, **offered: Any) -> ssl.SSLSocket:
    """Start TLS on a connection."""
    return trusting(**offered).wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)


def reflect(sock: socket.socket) -> dict[str, Any]:
    """Request the reflection on a connection that stays open."""
    sock.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n")
    told: dict[str, Any] = json.loads(read_answer(sock)[1])
    return told


def served_serial(echo: Echo) -> int:
    """Return the serial number of the certificate served on a new connection."""
    with connect(echo) as sock:
        der = sock.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der).serial_number


class Slow:
    """A client that drives TLS itself: it can send in pieces, and close its sending side while it still reads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting().wrap_bio(self._came, self._goes, server_hostname="localhost")

    def begin(self) -> None:
        """Send one byte of the handshake, so that it is in progress."""
        self._done(self._tls.do_handshake)
        self._sock.sendall(self._goes.read(1))

    def shake_hands(self) -> None:
        """Perform the handshake, one byte at a time."""
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not self._done(self._tls.do_handshake):
            while byte := self._goes.read(1):
                self._sock.sendall(byte)
            self._came.write(self._sock.recv(65_536))
        self._sock.sendall(self._goes.read())

    def send_all(self, data: bytes) -> None:
        """Send the data, then close the sending side with a TLS close_notify and a TCP FIN."""
        self._tls.write(data)
        self._done(self._tls.unwrap)
        self._sock.sendall(self._goes.read())
        self._sock.shutdown(socket.SHUT_WR)

    def read_to_end(self) -> bytes:
        """Return everything received until close_notify; without it, `ssl.SSLWantReadError` is raised."""
        while piece := self._sock.recv(65_536):
            self._came.write(piece)
        taken = []
        with suppress(ssl.SSLZeroReturnError):  # the peer's close_notify, after ours was sent
            while piece := self._tls.read(65_536):
                taken.append(piece)
        return b"".join(taken)

    @staticmethod
    def _done(step: Callable[[], object]) -> bool:
        try:
            step()
        except ssl.SSLWantReadError:
            return False
        return True
