"""What TLS said of a connection, as values that can be shown.

The names of `TLS` are those of the Gateway API's echo server (conformance/echo-basic), so that its conformance client
can read ours; `clientCertificate` is ours.
"""

import msgspec
from msgspec import UNSET, UnsetType


class Certificate(msgspec.Struct, frozen=True, rename="camel"):
    """An X.509 certificate, from its leaf (RFC 5280, 4.1.2).

    `subject` and `issuer` are (attribute, value) pairs in the certificate's order, `subject_alt_names` (kind, value)
    pairs. `not_before` and `not_after` are RFC 3339, `serial_number` and `sha256` (of the DER form) hexadecimal digits.
    """

    subject: tuple[tuple[str, str], ...]
    issuer: tuple[tuple[str, str], ...]
    subject_alt_names: tuple[tuple[str, str], ...]
    not_before: str
    not_after: str
    serial_number: str
    sha256: str


class TLS(msgspec.Struct, frozen=True, rename="camel"):
    """One connection's TLS.

    `version` as `TLSv1.3`, `cipher_suite` by OpenSSL's name, `server_name` what the client asked for by SNI, as
    `app.http.request.shown`, or empty; `negotiated_protocol` by ALPN; `peer_certificates` PEM, the client's own first.
    `client_certificate` is not there either when its names can't be read.
    """

    version: str
    server_name: str
    cipher_suite: str
    negotiated_protocol: str | UnsetType = UNSET
    peer_certificates: tuple[str, ...] | UnsetType = UNSET
    client_certificate: Certificate | UnsetType = UNSET
