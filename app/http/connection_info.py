"""Who is at the other end of a connection, as values to be shown: by the socket, and by the PROXY protocol.

The names of the PROXY protocol are those of its specification, in camelCase; what did not come does not show.
https://github.com/haproxy/haproxy/blob/master/doc/proxy-protocol.txt
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """One end of a connection over IP: its address, as inet_ntop(3) writes it, and its port."""

    address: str
    port: int


class UnixEndpoint(msgspec.Struct, frozen=True, gc=False):
    """One end of a connection over a UNIX socket: its path; empty where it has none, as most clients."""

    address: str


class RawTlv(msgspec.Struct, frozen=True, gc=False):
    """An extension that is not known here, repeated, or of another form than its type has: `type` is as in `0xE1`."""

    type: str
    base64: str


class SslTlv(msgspec.Struct, frozen=True, rename="camel"):
    """What a proxy says of the client's TLS (2.2.6).

    `client` names the flags that are set: `SSL` the client came over TLS, `CERT_CONN` and `CERT_SESS` it gave a
    certificate on this connection, or in this session; a flag that has no name shows as in `0x08`. `verify` is 0 for
    a certificate that was verified, else the proxy's number of what was wrong. `cn` is of the client's certificate,
    `client_cert` all of it, DER in base64; `sig_alg` and `key_alg` are of the proxy's.
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
    """The extensions of a header of version 2 (2.2.1 to 2.2.8).

    `crc32c` was verified, eight hexadecimal digits. `unique_id` is text where it is UTF-8, else base64 under a name of
    its own. `gcp_psc_connection_id` is 64 bits wide, more than a JSON number keeps in many readers, and so a string,
    as gcloud shows it.
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
    """What a connection's PROXY protocol header says.

    `LOCAL` is a connection of the proxy's own, a health check: all else is absent then. `transport` is `TCP4`, `TCP6`,
    `UDP4`, `UDP6`, `UNIX_STREAM`, `UNIX_DGRAM`; `UNKNOWN` (version 1) and `UNSPEC` (version 2) come without addresses.
    """

    version: Literal[1, 2]
    command: Literal["PROXY", "LOCAL"]
    transport: str | UnsetType = UNSET
    source: Endpoint | UnixEndpoint | UnsetType = UNSET
    destination: Endpoint | UnixEndpoint | UnsetType = UNSET
    tlvs: Tlvs | UnsetType = UNSET


def client_of(peer: Endpoint, proxied: ProxyProtocol | None) -> Endpoint:
    """Give whose requests come on a connection: the header's source, else the peer itself.

    The peer it is also where the header has no source over IP: for LOCAL, UNKNOWN and UNSPEC the specification asks
    for the real connection's (2.1, 2.2); a client of a UNIX socket has no address.
    """
    if proxied is not None and isinstance(proxied.source, Endpoint):
        return proxied.source
    return peer
