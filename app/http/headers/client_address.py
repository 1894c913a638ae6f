"""Client address of a request: connection, and headers of proxies.

Any client can send these headers, so none is trusted by itself. They are trusted as far as the chain consists of
trusted proxies, starting at the connection.
"""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.http.connection_info import ProxyProtocol
from app.http.headers.forwarded import forwarded, forwarded_for, node, told_by_forwarded
from app.http.networks import Networks, address, among
from app.http.request import ConnectionInfo

Told = Literal["Forwarded", "X-Forwarded-For", "X-Real-IP", "connection"]

# Maximum number of hops that are read, starting at the connection. Each is an address to be compared, and 64 KiB could
# hold 30,000. No real chain is as long, and hops beyond the first untrusted one don't affect the client address.
MOST_HOPS: Final = 256

_FORWARDED: Final = "Forwarded"
_FORWARDED_FOR: Final = "X-Forwarded-For"
_REAL_IP: Final = "X-Real-Ip"
_X_FORWARDED: Final = "X-Forwarded-"


class Hop(msgspec.Struct, frozen=True):
    """Node on the path of a request.

    `address` is without brackets and port; one that is not an IP address (`unknown`, `_hidden`, malformed text) is
    unchanged. `told` is the header it comes from, or `connection` for the peer of the connection. `port` is omitted if
    unknown. `trusted` is true for a proxy in ECHO_TRUSTED_PROXIES.
    """

    address: str
    told: Told
    trusted: bool
    port: int | UnsetType = UNSET


class Client(msgspec.Struct, frozen=True, rename="camel"):
    """Client of a request.

    `address` and `port` are those of the connection's peer, or those in the PROXY protocol header. `effective` is the
    client address derived from `chain`: the last one outside the trusted proxies. The chain begins at the client, ends
    at the connection, and is omitted if no header names a node. `forwarded` are the elements of Forwarded (RFC 7239),
    with quoted values unquoted; a malformed element has the only key `invalid`. `x_forwarded` are the values of
    X-Forwarded-* and X-Real-IP by header name.
    """

    address: str
    port: int
    effective: str
    proxy_protocol: ProxyProtocol | UnsetType = UNSET
    chain: list[Hop] | UnsetType = UNSET
    forwarded: list[dict[str, str]] | UnsetType = UNSET
    x_forwarded: dict[str, list[str]] | UnsetType = UNSET


class Way(msgspec.Struct, frozen=True):
    """Path of a request as reported by headers: `nodes` are address, port and source header."""

    nodes: list[tuple[str, int | UnsetType, Told]]
    forwarded: list[dict[str, str]] | UnsetType
    x_forwarded: dict[str, list[str]] | UnsetType


def way_of(headers: dict[str, list[str]]) -> Way | None:
    """Parse the forwarding headers (lossless text by canonical name); return None if there are none."""
    # A single search in all names: most requests have none of these headers.
    if _FORWARDED not in (names := "\n".join(headers)) and _REAL_IP not in names:
        return None
    elements = forwarded(headers[_FORWARDED]) if _FORWARDED in headers else []
    others = {
        name: values
        for name, values in headers.items()
        if name[:1] == "X" and (name.startswith(_X_FORWARDED) or name == _REAL_IP)  # most names begin otherwise
    }
    nodes = [(*node(text), by) for text, by in _told(headers, elements)[-MOST_HOPS:]]
    return Way(nodes, elements or UNSET, others or UNSET)


def client_by(way: Way | None, connection: ConnectionInfo, trusted: Networks) -> Client:
    """Return the client of a request, from its parsed forwarding headers and its connection."""
    end, proxy = connection.client, connection.proxy or UNSET
    if way is None:
        return Client(end.address, end.port, end.address, proxy)
    chain = [Hop(where, by, among(where, trusted), port) for where, port, by in way.nodes]
    chain.append(Hop(end.address, "connection", among(end.address, trusted), end.port))
    told = chain if way.nodes else UNSET
    return Client(end.address, end.port, _effective(chain), proxy, told, way.forwarded, way.x_forwarded)


def client_of(headers: dict[str, list[str]], connection: ConnectionInfo, trusted: Networks) -> Client:
    """Return the client of a request, from its headers (lossless text by canonical name) and its connection."""
    return client_by(way_of(headers), connection, trusted)


def _told(headers: dict[str, list[str]], elements: list[dict[str, str]]) -> list[tuple[str, Told]]:
    """Return the nodes reported by one header, the client first.

    Only one header is used: in a chain combined from several, a client could choose the position of an address.
    X-Forwarded-For takes precedence over Forwarded, since most proxies write it and most servers read it (nginx, Envoy,
    Express, uvicorn). Such proxies forward a client's Forwarded header unchanged, and it must not be mistaken for
    theirs.
    """
    nodes = forwarded_for(headers.get(_FORWARDED_FOR, []))
    if nodes:
        return [(text, "X-Forwarded-For") for text in nodes]
    if elements:
        return [(told_by_forwarded(element), "Forwarded") for element in elements]
    # nginx sets X-Real-IP to one address; of several, the last is from the nearest proxy.
    return [(text, "X-Real-IP") for text in forwarded_for(headers.get(_REAL_IP, []))[-1:]]


def _effective(chain: list[Hop]) -> str:
    """Return the address of the first untrusted hop, starting at the connection, else that of the chain's first hop.

    If that hop has no IP address, return that of the previous hop, nearer to the connection: the last one known.
    """
    known = chain[-1].address
    for hop in reversed(chain):
        if not hop.trusted:
            return known if address(hop.address) is None else hop.address
        known = hop.address
    return known
