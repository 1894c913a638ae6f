"""TLS without I/O: ciphertext in, plaintext out, and the other way; and the certificates, read again when they change.

asyncio could do TLS itself, but a PROXY protocol header comes in clear before it, and one port serves both who begins
with TLS and who does not: so the bytes pass through here (`ssl.MemoryBIO`, `ssl.SSLObject`).
"""

import hashlib
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET

from app.settings import Settings
from app.tls import TLS, Certificate

# RFC 8446, 5.1: the content type of a handshake record, which is what a client that speaks TLS begins with. No method
# of HTTP does.
HANDSHAKE: Final = b"\x16"
_ALPN: Final = ["h2", "http/1.1"]
_READ: Final = 1 << 18  # bytes taken out at a time


class TlsError(Exception):
    """The certificate files can't be used; the message says which and why."""


class TlsFiles(msgspec.Struct, frozen=True):
    """What TLS is served with: paths of PEM files, and what is asked of clients.

    `client_ca` is empty when clients need no certificate; `client_required` tells whether one without is refused.
    `minimum` is `1.2` or `1.3`; `ciphers` is OpenSSL's list for TLS 1.2, empty for its default.
    """

    cert: str
    key: str
    client_ca: str = ""
    client_required: bool = True
    minimum: str = "1.2"
    ciphers: str = ""


def files_of(settings: Settings) -> TlsFiles | None:
    """Give what the settings say, or None when TLS is not served."""
    if not settings.tls_cert:
        return None
    return TlsFiles(
        cert=settings.tls_cert,
        key=settings.tls_key,
        client_ca=settings.tls_client_ca,
        client_required=settings.tls_client_auth == "require",
        minimum=settings.tls_min_version,
        ciphers=settings.tls_ciphers,
    )


class _Server(ssl.SSLObject):
    """The server's side of one connection; it remembers the name that the client asked for."""

    asked_name = ""


def context(files: TlsFiles) -> ssl.SSLContext:
    """Give a context that serves with these files. Raises `TlsError`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3 if files.minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    made.set_alpn_protocols(_ALPN)
    made.sslobject_class = _Server
    made.sni_callback = _remember_name
    _load(lambda: made.load_cert_chain(files.cert, files.key), f"{files.cert} and {files.key}")
    if files.client_ca:
        _load(lambda: made.load_verify_locations(files.client_ca), files.client_ca)
        made.verify_mode = ssl.CERT_REQUIRED if files.client_required else ssl.CERT_OPTIONAL
    if files.ciphers:
        _load(lambda: made.set_ciphers(files.ciphers), f"the ciphers {files.ciphers!r}")
    return made


def _load(load: Callable[[], None], what: str) -> None:
    try:
        load()
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise TlsError(f"TLS can't be served with {what}: {reason}") from error


def _remember_name(server: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    if isinstance(server, _Server):
        server.asked_name = name or ""


class Contexts:
    """The context of today's files: `refresh` reads them again when they have changed on disk.

    It is made before the workers are forked: each has one from the start, whatever becomes of the files, and all of
    them take up the sessions of each other.

    Kubernetes changes a mounted Secret by pointing a symbolic link elsewhere; so what a path leads to is looked at.
    https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read the files. Raises `TlsError`."""
        self._files = files
        self._seen = self._look()
        self.current = context(files)

    def refresh(self, report: Callable[[str], None]) -> None:
        """Use the files anew if they are others than before; connections that are open keep what they have.

        Files that can't be used are reported, once, and the ones before stay in use.
        """
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.current = context(self._files)
        except TlsError as error:
            report(f"{error}; the certificate before it stays in use")

    def _look(self) -> tuple[object, ...]:
        return tuple(_look_at(path) for path in (self._files.cert, self._files.key, self._files.client_ca) if path)


def _look_at(path: str) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


class TlsLayer:
    """One connection's TLS: `receive` ciphertext, `send` plaintext, and write what `outgoing` gives to the wire."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._from_wire = ssl.MemoryBIO()
        self._to_wire = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_wire, self._to_wire, server_side=True)
        self.established = False
        self.ended = False  # the client has said that nothing more comes

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the wire; give the plaintext that they complete.

        Raises `ssl.SSLError` when it is no TLS, or not one that is served here; `outgoing` has the alert then.
        """
        self._from_wire.write(data)
        plain = []
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            while piece := self._tls.read(_READ):
                plain.append(piece)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(plain)

    def send(self, data: bytes) -> None:
        """Take plaintext for the client."""
        self._tls.write(data)

    def close(self) -> None:
        """Say that nothing more is sent (close_notify; RFC 8446, 6.1)."""
        if self.established:
            with suppress(ssl.SSLError):  # the client's own close_notify is not waited for
                self._tls.unwrap()

    def outgoing(self) -> bytes:
        """Give what is to be written to the wire."""
        return self._to_wire.read()

    @property
    def protocol(self) -> str | None:
        """What ALPN agreed on (RFC 7301), `h2` or `http/1.1`, or None."""
        return self._tls.selected_alpn_protocol()

    def facts(self) -> TLS:
        """Give what is shown of an established connection."""
        der = self._tls.getpeercert(binary_form=True)
        cipher = self._tls.cipher()
        return TLS(
            version=self._tls.version() or "",
            server_name=self._tls.asked_name if isinstance(self._tls, _Server) else "",
            cipher_suite=cipher[0] if cipher else "",
            negotiated_protocol=self.protocol or UNSET,
            peer_certificates=tuple(ssl.DER_cert_to_PEM_cert(each) for each in self._chain(der)) if der else UNSET,
            client_certificate=_certificate(self._tls.getpeercert() or {}, der) if der else UNSET,
        )

    def _chain(self, leaf: bytes) -> list[bytes]:
        # What the client sent beside its own certificate can be asked for from Python 3.13 on.
        asked = getattr(self._tls, "get_unverified_chain", None)
        return (asked() if asked else None) or [leaf]


def _certificate(decoded: dict[str, Any], der: bytes) -> Certificate:
    return Certificate(
        subject=_names(decoded.get("subject", ())),
        issuer=_names(decoded.get("issuer", ())),
        subject_alt_names=tuple((kind, _text(name)) for kind, name in decoded.get("subjectAltName", ())),
        not_before=_time(decoded["notBefore"]),
        not_after=_time(decoded["notAfter"]),
        serial_number=decoded["serialNumber"].lower(),
        sha256=hashlib.sha256(der).hexdigest(),
    )


def _names(relative_names: tuple[tuple[tuple[str, str], ...], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(pair for each in relative_names for pair in each)


def _text(name: object) -> str:
    """Give an alternative name as one string; a directory name is a sequence of its own."""
    return name if isinstance(name, str) else ", ".join(f"{key}={value}" for key, value in _names(name))  # type: ignore[arg-type]


def _time(openssl: str) -> str:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(openssl), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
