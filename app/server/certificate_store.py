"""Certificates and SSL contexts, reloaded when their files change."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from app.config.settings import Settings

_ALPN: Final = ["h2", "http/1.1"]
# Plain texts for OpenSSL's reasons.
_REASON_TEXTS: Final = {
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


def files_from_settings(settings: Settings) -> TlsFiles | None:
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


def create_context(files: TlsFiles) -> ssl.SSLContext:
    """Create a server context from these files. Raise `TlsError`."""
    tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls_context.minimum_version = ssl.TLSVersion.TLSv1_3 if files.minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    tls_context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    tls_context.set_alpn_protocols(_ALPN)
    if files.ciphers:  # before the certificate: the list may set the security level that decides whether it is accepted
        _load(
            lambda: tls_context.set_ciphers(files.ciphers),
            f"the cipher list {files.ciphers!r}",
            "no usable cipher suite",
        )
    _load_certificate(tls_context, files)
    if files.client_ca:
        _load_authorities(tls_context, files.client_ca)
        # A listed CA is trusted even if it is an intermediate that another CA has signed.
        tls_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        tls_context.verify_mode = ssl.CERT_REQUIRED if files.client_required else ssl.CERT_OPTIONAL
    return tls_context


def _load_certificate(tls_context: ssl.SSLContext, files: TlsFiles) -> None:
    # OpenSSL does not say which of the two files is at fault, so each is checked on its own first.
    _load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files.cert)
    _load(Path(files.key).read_bytes, files.key)
    _load(
        lambda: tls_context.load_cert_chain(files.cert, files.key, _no_passphrase),
        f"{files.cert} and {files.key}",
        "no readable private key",
    )


def _load_authorities(tls_context: ssl.SSLContext, path: str) -> None:
    _load(lambda: tls_context.load_verify_locations(path), path, "no readable certificate")


def _no_passphrase() -> str:
    # Without this, OpenSSL would prompt at the terminal, and a worker would wait there forever.
    raise ValueError("the private key is encrypted: must be unencrypted")


def _load(load_file: Callable[[], object], source: str, default_reason: str = "it can't be read") -> None:
    try:
        load_file()
    except ssl.SSLError as error:
        reason: str = getattr(error, "reason", None) or ""  # some have none, and their text names Python's source
        raise _tls_error(source, _REASON_TEXTS.get(reason, reason) or default_reason) from error
    except OSError as error:
        raise _tls_error(source, error.strerror or str(error)) from error
    except ValueError as error:
        raise _tls_error(source, str(error)) from error


def _tls_error(source: str, reason: str) -> TlsError:
    return TlsError(f"can't use {source} for TLS: {reason}")


class CertificateStore:
    """Store of the current context; `reload_if_changed` reloads the files when they have changed on disk.

    It is created before the workers are forked: each worker has a context from the start, whatever happens to the
    files, and all of them can resume each other's sessions.

    Kubernetes updates a mounted Secret by pointing a symbolic link elsewhere; so the file that a path leads to is
    compared.
    https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read the files. Raise `TlsError`."""
        self._files = files
        self._loaded_versions = self._current_versions()
        self.current_context = create_context(files)

    def reload_if_changed(self, report: Callable[[str], None]) -> None:
        """Reload the files if they have changed; open connections keep their certificate.

        Unusable files are reported, once, and the previous ones stay in use.
        """
        versions = self._current_versions()
        if versions == self._loaded_versions:
            return
        self._loaded_versions = versions
        try:
            self.current_context = create_context(self._files)
        except TlsError as error:
            # If the files changed while they were read, the next check sees it.
            if versions == self._current_versions():
                report(f"{error}; keeping the current certificate")

    def _current_versions(self) -> tuple[object, ...]:
        return tuple(
            _version_of_file(path) for path in (self._files.cert, self._files.key, self._files.client_ca) if path
        )


def _version_of_file(path: str) -> tuple[int, ...]:
    try:
        status = Path(path).stat()
    except OSError:
        return ()
    # Mode and ctime count, too: a file that could not be read may be readable now. Two changes within one tick of the
    # kernel's clock have the same time (inode(7)), so the size counts as well.
    return status.st_dev, status.st_ino, status.st_mode, status.st_mtime_ns, status.st_ctime_ns, status.st_size
