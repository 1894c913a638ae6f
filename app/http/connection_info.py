"""Addresses of a connection: of the socket and of the PROXY protocol.

The names of the PROXY protocol are those of its specification, in camelCase; values that were not sent are omitted.
https://github.com/haproxy/haproxy/blob/master/doc/proxy-protocol.txt
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """IP address and port of one end of a connection.

    The address is as inet_ntop(3) writes it.
    """

    address: str
    port: int


class UnixEndpoint(msgspec.Struct, frozen=True, gc=False):
    """Path of one end of a UNIX socket connection.

    It is empty if the socket has no path, as with most clients.
    """

    address: str


class RawTlv(msgspec.Struct, frozen=True, gc=False):
    """PROXY protocol TLV that is unknown, repeated or malformed.

    `type` is in hexadecimal, such as `0xE1`.
    """

    type: str
    base64: str


class SslTlv(msgspec.Struct, frozen=True, rename="camel"):
    """Client's TLS connection, as reported by the proxy.

    PROXY protocol specification, 2.2.6. `client` lists the flags that are set: `SSL` if the client connected over TLS,
    `CERT_CONN` and `CERT_SESS` if it sent a certificate on this connection, or in this session. An unknown flag is
    listed in hexadecimal, such as `0x08`. `verify` is 0 if the certificate was verified, else the proxy's error number.
    `cn` is the common name of the client's certificate, `client_cert` the whole certificate, DER in base64; `sig_alg`
    and `key_alg` are those of the proxy's certificate.
    """

    client: tuple[str, ...]
    verify: int
    version: str | UnsetType = UNSET
    cn: str | UnsetType = UNSET
    cipher: str | UnsetType = UNSET
    sig_alg: str | UnsetType = UNSET
    key_alg: str | UnsetType = UNSET
    group: str | UnsetType = UNSET
    sig_scheme: str | UnsetType = UNSET
    client_cert: str | UnsetType = UNSET
    others: tuple[RawTlv, ...] | UnsetType = UNSET


class Tlvs(msgspec.Struct, frozen=True, rename="camel"):
    """TLVs of a PROXY protocol version 2 header.

    PROXY protocol specification, 2.2.1 to 2.2.8. `crc32c` was verified; it has eight hexadecimal digits. `unique_id` is
    text if it is valid UTF-8, else `unique_id_base64` is set instead. `gcp_psc_connection_id` has 64 bits, more than
    many JSON parsers keep of a number, so it is a string, as in gcloud.
    """

    alpn: str | UnsetType = UNSET
    authority: str | UnsetType = UNSET
    crc32c: str | UnsetType = UNSET
    unique_id: str | UnsetType = UNSET
    unique_id_base64: str | UnsetType = UNSET
    ssl: SslTlv | UnsetType = UNSET
    netns: str | UnsetType = UNSET
    aws_vpce_id: str | UnsetType = UNSET
    azure_link_id: int | UnsetType = UNSET
    gcp_psc_connection_id: str | UnsetType = UNSET
    others: tuple[RawTlv, ...] | UnsetType = UNSET


class ProxyProtocol(msgspec.Struct, frozen=True):
    """PROXY protocol header of a connection.

    `LOCAL` is a connection of the proxy itself, a health check: everything else is then absent. `transport` is `TCP4`,
    `TCP6`, `UDP4`, `UDP6`, `UNIX_STREAM` or `UNIX_DGRAM`; `UNKNOWN` (version 1) and `UNSPEC` (version 2) have no
    addresses.
    """

    version: Literal[1, 2]
    command: Literal["PROXY", "LOCAL"]
    transport: str | UnsetType = UNSET
    source: Endpoint | UnixEndpoint | UnsetType = UNSET
    destination: Endpoint | UnixEndpoint | UnsetType = UNSET
    tlvs: Tlvs | UnsetType = UNSET


def original_client(peer: Endpoint, proxy_header: ProxyProtocol | None) -> Endpoint:
    """Return the client of a connection: the source in the PROXY protocol header, else the peer.

    It is also the peer if the header has no IP source. For LOCAL, UNKNOWN and UNSPEC the specification requires the
    addresses of the real connection (2.1, 2.2); the client of a UNIX socket has no address.
    """
    if proxy_header is not None and isinstance(proxy_header.source, Endpoint):
        return proxy_header.source
    return peer
