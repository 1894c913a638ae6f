"""TLS without I/O: ciphertext in, plaintext out, and the other way; and the certificates, read again when they change.

asyncio could do TLS itself, but a PROXY protocol header comes in clear before it, and one port serves both who begins
with TLS and who does not: so the bytes pass through here (`ssl.MemoryBIO`, `ssl.SSLObject`).
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

# RFC 8446, 5.1: the content type of a handshake record, which is what a client that speaks TLS begins with. No method
# of HTTP does.
HANDSHAKE: Final = b"\x16"
_ALPN: Final = ["h2", "http/1.1"]
# Bytes that go through OpenSSL at a time: what one record holds (RFC 8446, 5.1). A `MemoryBIO` keeps room for the most
# that was ever in it: with more at a time, a connection that is idle would hold as much as its largest upload.
_PIECE: Final = 1 << 14
# Bytes of what a client begins with in which its name is looked for: far above any ClientHello that means it.
_HELLO: Final = 1 << 16
_SERVER_NAME: Final = b"\0\0"  # the extension's type (RFC 6066, 3)
# OpenSSL's words, in a person's.
_REASONS: Final = {
    "KEY_VALUES_MISMATCH": "the key does not match the certificate",
    "NO_CERTIFICATE_ASSIGNED": "the key does not match the certificate",  # of another type
    "NO_CERTIFICATE_OR_CRL_FOUND": "no certificate found",
}


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


def context(files: TlsFiles) -> ssl.SSLContext:
    """Give a context that serves with these files. Raises `TlsError`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3 if files.minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    made.set_alpn_protocols(_ALPN)
    if files.ciphers:  # before the certificate: they may have the security level by which that is taken
        _load(lambda: made.set_ciphers(files.ciphers), f"the cipher list {files.ciphers!r}", "no usable cipher suite")
    _load_certificate(made, files)
    if files.client_ca:
        _load_authorities(made, files.client_ca)
        # An authority that is named is trusted, whether or not another one vouches for it.
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        made.verify_mode = ssl.CERT_REQUIRED if files.client_required else ssl.CERT_OPTIONAL
    return made


def _load_certificate(made: ssl.SSLContext, files: TlsFiles) -> None:
    # OpenSSL does not say which of the two files is at fault: so each is looked at alone first.
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
    # Without this, OpenSSL would ask at the terminal, and a worker would wait there for ever.
    raise ValueError("the private key is encrypted: must be unencrypted")


def _load(load: Callable[[], object], what: str, unreadable: str = "it can't be read") -> None:
    try:
        load()
    except ssl.SSLError as error:
        reason: str = getattr(error, "reason", None) or ""  # some have none, and their text is about Python's source
        raise _unusable(what, _REASONS.get(reason, reason) or unreadable) from error
    except OSError as error:
        raise _unusable(what, error.strerror or str(error)) from error
    except ValueError as error:
        raise _unusable(what, str(error)) from error


def _unusable(what: str, why: str) -> TlsError:
    return TlsError(f"can't use {what} for TLS: {why}")


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
            if seen == self._look():  # else they were changed while they were read: the next look sees it
                report(f"{error}; keeping the current certificate")

    def _look(self) -> tuple[object, ...]:
        return tuple(_look_at(path) for path in (self._files.cert, self._files.key, self._files.client_ca) if path)


def _look_at(path: str) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    # Permissions and the time of their last change, too: one that could not be read may be readable now. Two changes
    # within a tick of the kernel's clock have one time (inode(7)).
    return found.st_dev, found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns, found.st_size


class TlsLayer:
    """One connection's TLS: `receive` ciphertext, `send` plaintext, and write what `outgoing` gives to the wire."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._from_wire = ssl.MemoryBIO()
        self._to_wire = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_wire, self._to_wire, server_side=True)
        self._sealed: list[bytes] = []
        self._began = bytearray()  # what came first, until hands are shaken
        self._server_name = ""
        self.established = False
        self.ended = False  # the client has said that nothing more comes

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the wire; give the plaintext that they complete. What comes behind the end is dropped.

        Raises `ssl.SSLError` when it is no TLS, or not one that is served here; `outgoing` has the alert then.
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
            except ssl.SSLZeroReturnError:  # the same, when we have sent ours
                self.ended = True
        return b"".join(plain)

    def _shake_hands(self, data: bytes) -> None:
        self._began += data[: _HELLO - len(self._began)]
        self._tls.do_handshake()
        self.established = True
        self._server_name = shown(asked_name(self._began))
        self._began = bytearray()

    def send(self, data: bytes) -> None:
        """Take plaintext for the client."""
        for piece in _pieces(data):
            self._tls.write(piece)
            self._sealed.append(self._to_wire.read())

    def close(self) -> None:
        """Say that nothing more is sent (close_notify; RFC 8446, 6.1)."""
        if self.established:
            with suppress(ssl.SSLError):  # the client's own close_notify is not waited for
                self._tls.unwrap()

    def outgoing(self) -> bytes:
        """Give what is to be written to the wire."""
        out = b"".join((*self._sealed, self._to_wire.read()))
        self._sealed.clear()
        return out

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
            server_name=self._server_name,
            cipher_suite=cipher[0] if cipher else "",
            negotiated_protocol=self.protocol or UNSET,
            peer_certificates=tuple(ssl.DER_cert_to_PEM_cert(each) for each in self._chain(der)) if der else UNSET,
            client_certificate=self._certificate(der) if der else UNSET,
        )

    def _chain(self, leaf: bytes) -> list[bytes]:
        # What the client sent beside its own certificate can be asked for from Python 3.13 on.
        asked = getattr(self._tls, "get_unverified_chain", None)
        return (asked() if asked else None) or [leaf]

    def _certificate(self, der: bytes) -> Certificate | UnsetType:
        try:
            return _certificate(self._tls.getpeercert() or {}, der)
        except (ValueError, ssl.SSLError):  # Python takes names for UTF-8, whatever an authority has signed
            return UNSET


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))


def asked_name(began: bytes | bytearray) -> bytes:
    """Give the name that a client asks for (SNI; RFC 6066, 3), from what it begins with, or nothing.

    OpenSSL has read the same and found it well-formed; Python's own way to that name can't be told one that is not
    ASCII, and complains on stderr.
    """
    rest = _hello(memoryview(began))[34:]  # behind version and random
    for width in (1, 2, 1):  # session id, cipher suites, compression methods (RFC 8446, 4.1.2)
        _, rest = _vector(rest, width)
    extensions, _ = _vector(rest, 2)
    while extensions:
        kind = extensions[:2]
        content, extensions = _vector(extensions[2:], 2)
        if kind.tobytes() == _SERVER_NAME:
            names, _ = _vector(content, 2)
            return bytes(_vector(names[1:], 2)[0])  # behind its type, of which there is one, host_name
    return b""


def _hello(records: memoryview) -> memoryview:
    """Give the body of the first handshake message, which may be spread over records (RFC 8446, 4 and 5.1)."""
    message = bytearray()
    while records[:1].tobytes() == HANDSHAKE:
        fragment, records = _vector(records[3:], 2)
        message += fragment
    return _vector(memoryview(message)[1:], 3)[0]


def _vector(data: memoryview, width: int) -> tuple[memoryview, memoryview]:
    """Give a vector, whose length stands before it in so many bytes, and what is behind it (RFC 8446, 3.4)."""
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
    """Give an alternative name as one string; a directory name is a sequence of its own."""
    if isinstance(name, str):
        return name
    pairs = _names(name)  # type: ignore[arg-type] # ssl's own type says that it may be anything
    return ", ".join(f"{key}={value}" for key, value in pairs)


def _time(openssl: str) -> str:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(openssl), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
