"""The client certificate of a TLS connection, decoded for the reflection."""

import hashlib
import ssl
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, UnsetType

from app.http.tls_info import Certificate


def pem_chain(tls: ssl.SSLObject) -> tuple[str, ...] | UnsetType:
    """Return the certificates that the client sent as PEM, its own first, or UNSET if there are none.

    Before Python 3.13, and in a resumed session, only the client's own is available.
    """
    leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        return UNSET
    # Not `get_verified_chain`: it has the CA's certificate too, which the client need not have sent.
    get_chain = getattr(tls, "get_unverified_chain", None)
    chain = (get_chain() if get_chain else None) or [leaf]
    return tuple(ssl.DER_cert_to_PEM_cert(each) for each in chain)


def client_certificate(tls: ssl.SSLObject) -> Certificate | UnsetType:
    """Return the client's own certificate, or UNSET if it has none or one whose names can't be decoded."""
    der = tls.getpeercert(binary_form=True)
    if der is None:
        return UNSET
    try:
        return _parse_certificate(tls.getpeercert() or {}, der)
    except (ValueError, ssl.SSLError):  # Python decodes names as UTF-8, whatever a CA has signed
        return UNSET


def _parse_certificate(decoded: dict[str, Any], der: bytes) -> Certificate:
    return Certificate(
        subject=_flatten_names(decoded.get("subject", ())),
        issuer=_flatten_names(decoded.get("issuer", ())),
        subject_alt_names=tuple((kind, _alt_name_text(name)) for kind, name in decoded.get("subjectAltName", ())),
        not_before=_rfc3339(decoded["notBefore"]),
        not_after=_rfc3339(decoded["notAfter"]),
        serial_number=decoded["serialNumber"].lower(),
        sha256=hashlib.sha256(der).hexdigest(),
    )


def _flatten_names(relative_names: tuple[tuple[tuple[str, str], ...], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(pair for each in relative_names for pair in each)


def _alt_name_text(name: object) -> str:
    """Return an alternative name as one string; a directory name is a sequence of pairs."""
    if isinstance(name, str):
        return name
    pairs = _flatten_names(name)  # type: ignore[arg-type] # ssl's own type says that it may be anything
    return ", ".join(f"{key}={value}" for key, value in pairs)


def _rfc3339(openssl: str) -> str:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(openssl), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
