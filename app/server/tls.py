"""TLS without I/O, and certificates that are reloaded when they change.

asyncio could do TLS itself, but a PROXY protocol header comes unencrypted before it, and one port serves clients with
and without TLS. So the bytes pass through here (`ssl.MemoryBIO`, `ssl.SSLObject`).
"""

import hashlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from app.config.settings import Settings
from app.http.request import shown
from app.http.tls_info import TLS, Certificate

# RFC 8446, 5.1: the content type of a handshake record, the first byte from a TLS client. No HTTP method begins with
# it.
HANDSHAKE: Final = b"\x16"
_ALPN: Final = ["h2", "http/1.1"]
# Bytes passed through OpenSSL at a time: the size of one record (RFC 8446, 5.1). A `MemoryBIO` keeps the memory of its
# largest content: with larger pieces, an idle connection would occupy as much as its largest upload.
_PIECE: Final = 1 << 14
# Maximum bytes of a client's first data searched for its server name: far above any genuine ClientHello.
_HELLO: Final = 1 << 16
_SERVER_NAME: Final = b"\0\0"  # type of the extension (RFC 6066, 3)
# Plain texts for OpenSSL's reasons.
_REASONS: Final = {
    "KEY_VALUES_MISMATCH": "the key does not match the certificate",
    "NO_CERTIFICATE_ASSIGNED": "the key does not match the certificate",  # the key is of another type
    "NO_CERTIFICATE_OR_CRL_FOUND": "no certificate found",
}


class TlsError(Exception):
    """The certificate files can't be used; the message says which and why."""


class TlsFiles(msgspec.Struct, frozen=True):
    """TLS configuration: paths of PEM files, and requirements on clients.

    `client_ca` is empty if clients need no certificate; `client_required` rejects clients without one. `minimum` is
    `1.2` or `1.3`; `ciphers` is OpenSSL's list for TLS 1.2, empty for its default.
    """

    cert: str
    key: str
    client_ca: str = ""
    client_required: bool = True
    minimum: str = "1.2"
    ciphers: str = ""


def files_of(settings: Settings) -> TlsFiles | None:
    """Return the TLS configuration of the settings, or None if TLS is not served."""
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


def context(files: TlsFiles) -> ssl.SSLContext:
    """Create a server context from these files. Raise `TlsError`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3 if files.minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    made.set_alpn_protocols(_ALPN)
    if files.ciphers:  # before the certificate: the list may set the security level that decides whether it is accepted
        _load(lambda: made.set_ciphers(files.ciphers), f"the cipher list {files.ciphers!r}", "no usable cipher suite")
    _load_certificate(made, files)
    if files.client_ca:
        _load_authorities(made, files.client_ca)
        # A listed CA is trusted even if it is an intermediate that another CA has signed.
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        made.verify_mode = ssl.CERT_REQUIRED if files.client_required else ssl.CERT_OPTIONAL
    return made


def _load_certificate(made: ssl.SSLContext, files: TlsFiles) -> None:
    # OpenSSL does not say which of the two files is at fault, so each is checked on its own first.
    _load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files.cert)
    _load(Path(files.key).read_bytes, files.key)
    _load(
        lambda: made.load_cert_chain(files.cert, files.key, _no_passphrase),
        f"{files.cert} and {files.key}",
        "no readable private key",
    )


def _load_authorities(made: ssl.SSLContext, path: str) -> None:
    _load(lambda: made.load_verify_locations(path), path, "no readable certificate")


def _no_passphrase() -> str:
    # Without this, OpenSSL would prompt at the terminal, and a worker would wait there forever.
    raise ValueError("the private key is encrypted: must be unencrypted")


def _load(load: Callable[[], object], what: str, unreadable: str = "it can't be read") -> None:
    try:
        load()
    except ssl.SSLError as error:
        reason: str = getattr(error, "reason", None) or ""  # some have none, and their text names Python's source
        raise _unusable(what, _REASONS.get(reason, reason) or unreadable) from error
    except OSError as error:
        raise _unusable(what, error.strerror or str(error)) from error
    except ValueError as error:
        raise _unusable(what, str(error)) from error


def _unusable(what: str, why: str) -> TlsError:
    return TlsError(f"can't use {what} for TLS: {why}")


class Contexts:
    """Store of the current context; `refresh` reloads the files when they have changed on disk.

    It is created before the workers are forked: each worker has a context from the start, whatever happens to the
    files, and all of them can resume each other's sessions.

    Kubernetes updates a mounted Secret by pointing a symbolic link elsewhere; so the file that a path leads to is
    compared.
    https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read the files. Raise `TlsError`."""
        self._files = files
        self._seen = self._look()
        self.current = context(files)

    def refresh(self, report: Callable[[str], None]) -> None:
        """Reload the files if they have changed; open connections keep their certificate.

        Unusable files are reported, once, and the previous ones stay in use.
        """
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.current = context(self._files)
        except TlsError as error:
            if seen == self._look():  # otherwise they changed while they were read: the next check sees it
                report(f"{error}; keeping the current certificate")

    def _look(self) -> tuple[object, ...]:
        return tuple(_look_at(path) for path in (self._files.cert, self._files.key, self._files.client_ca) if path)


def _look_at(path: str) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    # Mode and ctime count, too: a file that could not be read may be readable now. Two changes within one tick of the
    # kernel's clock have the same time (inode(7)), so the size counts as well.
    return found.st_dev, found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns, found.st_size


class TlsLayer:
    """TLS of one connection: `receive` ciphertext, `send` plaintext, and write `outgoing` to the wire."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._from_wire = ssl.MemoryBIO()
        self._to_wire = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_wire, self._to_wire, server_side=True)
        self._sealed: list[bytes] = []
        self._began = bytearray()  # first bytes from the client, until the handshake is complete
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
        self._began += data[: _HELLO - len(self._began)]
        self._tls.do_handshake()
        self.established = True
        self._server_name = shown(asked_name(self._began))
        self._began = bytearray()

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
        der = self._tls.getpeercert(binary_form=True)
        cipher = self._tls.cipher()
        return TLS(
            version=self._tls.version() or "",
            server_name=self._server_name,
            cipher_suite=cipher[0] if cipher else "",
            negotiated_protocol=self.protocol or UNSET,
            peer_certificates=tuple(ssl.DER_cert_to_PEM_cert(each) for each in self._chain(der)) if der else UNSET,
            client_certificate=self._certificate(der) if der else UNSET,
        )

    def _chain(self, leaf: bytes) -> list[bytes]:
        # The certificates that the client sent beside its own are available from Python 3.13 on.
        asked = getattr(self._tls, "get_unverified_chain", None)
        return (asked() if asked else None) or [leaf]

    def _certificate(self, der: bytes) -> Certificate | UnsetType:
        try:
            return _certificate(self._tls.getpeercert() or {}, der)
        except (ValueError, ssl.SSLError):  # Python decodes names as UTF-8, whatever a CA has signed
            return UNSET


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))


def asked_name(began: bytes | bytearray) -> bytes:
    """Return the server name (SNI; RFC 6066, 3) in the client's first bytes, or empty bytes.

    OpenSSL has read the same bytes and found them well-formed. Python's own SNI interface can't pass a name that is not
    ASCII, and complains on stderr.
    """
    rest = _hello(memoryview(began))[34:]  # after version and random
    for width in (1, 2, 1):  # session ID, cipher suites, compression methods (RFC 8446, 4.1.2)
        _, rest = _vector(rest, width)
    extensions, _ = _vector(rest, 2)
    while extensions:
        kind = extensions[:2]
        content, extensions = _vector(extensions[2:], 2)
        if kind.tobytes() == _SERVER_NAME:
            names, _ = _vector(content, 2)
            return bytes(_vector(names[1:], 2)[0])  # after its type; the only type is host_name
    return b""


def _hello(records: memoryview) -> memoryview:
    """Return the body of the first handshake message, which may span several records (RFC 8446, 4 and 5.1)."""
    message = bytearray()
    while records[:1].tobytes() == HANDSHAKE:
        fragment, records = _vector(records[3:], 2)
        message += fragment
    return _vector(memoryview(message)[1:], 3)[0]


def _vector(data: memoryview, width: int) -> tuple[memoryview, memoryview]:
    """Split off a vector, preceded by its length in `width` bytes; return it and the remaining data (RFC 8446, 3.4)."""
    end = width + int.from_bytes(data[:width], "big")
    return data[width:end], data[end:]


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
    """Return an alternative name as one string; a directory name is a sequence of pairs."""
    if isinstance(name, str):
        return name
    pairs = _names(name)  # type: ignore[arg-type] # ssl's own type says that it may be anything
    return ", ".join(f"{key}={value}" for key, value in pairs)


def _time(openssl: str) -> str:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(openssl), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
