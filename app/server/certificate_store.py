"""Certificates and SSL contexts, reloaded when their files change."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from app.config.settings import Settings

_ALPN: Final = ["h2", "http/1.1"]
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
