"""TLS details of a connection, as shown in the reflection.

The names of `TlsInfo` are those of the Gateway API's echo server (conformance/echo-basic), so that its conformance
client can parse our reflection; `clientCertificate` is our addition.
"""

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

# Cipher suites whose names in OpenSSL differ from those in Go, which uses the IANA names. Names of TLS 1.3 are equal.
# https://pkg.go.dev/crypto/tls#pkg-constants
CIPHER_SUITES: Final = {
    "AES128-SHA": "TLS_RSA_WITH_AES_128_CBC_SHA",
    "AES256-SHA": "TLS_RSA_WITH_AES_256_CBC_SHA",
    "AES128-SHA256": "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "AES128-GCM-SHA256": "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "AES256-GCM-SHA384": "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-AES128-SHA": "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "ECDHE-ECDSA-AES256-SHA": "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "ECDHE-RSA-AES128-SHA": "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "ECDHE-RSA-AES256-SHA": "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "ECDHE-ECDSA-AES128-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "ECDHE-RSA-AES128-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305": "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}


class Certificate(msgspec.Struct, frozen=True, rename="camel"):
    """X.509 leaf certificate of the client (RFC 5280, 4.1.2).

    `subject` and `issuer` are (attribute, value) pairs in the certificate's order, `subject_alt_names` (kind, value)
    pairs. `not_before` and `not_after` are RFC 3339 timestamps, `serial_number` and `sha256` (of the DER form)
    hexadecimal digits.
    """

    subject: tuple[tuple[str, str], ...]
    issuer: tuple[tuple[str, str], ...]
    subject_alt_names: tuple[tuple[str, str], ...]
    not_before: str
    not_after: str
    serial_number: str
    sha256: str


class TlsInfo(msgspec.Struct, frozen=True, rename="camel"):
    """TLS details of the connection.

    `version` is such as `TLSv1.3`; `cipher_suite` is OpenSSL's name. `server_name` is the SNI host name as converted by
    `app.http.request.shown`, or empty; `negotiated_protocol` is from ALPN. `peer_certificates` are PEM, the client's
    own first. `client_certificate` is omitted also if its names can't be parsed.
    """

    version: str
    server_name: str
    cipher_suite: str
    negotiated_protocol: str | UnsetType = UNSET
    peer_certificates: tuple[str, ...] | UnsetType = UNSET
    client_certificate: Certificate | UnsetType = UNSET
