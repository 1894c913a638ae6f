"""Client address of a request: connection, and headers of proxies.

Any client can send these headers, so none is trusted by itself. They are trusted as far as the chain consists of
trusted proxies, starting at the connection.
"""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.http.connection_info import ProxyProtocol
from app.http.headers.forwarded import node_of_element, parse_forwarded, parse_node, parse_x_forwarded_for
from app.http.networks import Networks, in_networks, parse_address
from app.http.request import ConnectionInfo

NodeSource = Literal["Forwarded", "X-Forwarded-For", "X-Real-IP", "connection"]

# Maximum number of hops that are read, starting at the connection. Each is an address to be compared, and 64 KiB could
# hold 30,000. No real chain is as long, and hops beyond the first untrusted one don't affect the client address.
MAX_HOPS: Final = 256

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
    source: NodeSource = msgspec.field(name="told")
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


class ForwardingInfo(msgspec.Struct, frozen=True):
    """Path of a request as reported by headers: `nodes` are address, port and source header."""

    nodes: list[tuple[str, int | UnsetType, NodeSource]]
    forwarded: list[dict[str, str]] | UnsetType
    x_forwarded: dict[str, list[str]] | UnsetType


def parse_forwarding(headers: dict[str, list[str]]) -> ForwardingInfo | None:
    """Parse the forwarding headers (lossless text by canonical name); return None if there are none."""
    # A single search in all names: most requests have none of these headers.
    if _FORWARDED not in (names := "\n".join(headers)) and _REAL_IP not in names:
        return None
    elements = parse_forwarded(headers[_FORWARDED]) if _FORWARDED in headers else []
    x_forwarded = {
        name: values
        for name, values in headers.items()
        if name[:1] == "X" and (name.startswith(_X_FORWARDED) or name == _REAL_IP)  # most names begin otherwise
    }
    nodes = [(*parse_node(text), source) for text, source in _reported_nodes(headers, elements)[-MAX_HOPS:]]
    return ForwardingInfo(nodes, elements or UNSET, x_forwarded or UNSET)


def client_from_forwarding(forwarding: ForwardingInfo | None, connection: ConnectionInfo, trusted: Networks) -> Client:
    """Return the client of a request, from its parsed forwarding headers and its connection."""
    peer, proxy = connection.client, connection.proxy or UNSET
    if forwarding is None:
        return Client(peer.address, peer.port, peer.address, proxy)
    chain = [
        Hop(node_address, source, in_networks(node_address, trusted), port)
        for node_address, port, source in forwarding.nodes
    ]
    chain.append(Hop(peer.address, "connection", in_networks(peer.address, trusted), peer.port))
    reported_chain = chain if forwarding.nodes else UNSET
    return Client(
        peer.address,
        peer.port,
        _effective_address(chain),
        proxy,
        reported_chain,
        forwarding.forwarded,
        forwarding.x_forwarded,
    )


def client_from_headers(headers: dict[str, list[str]], connection: ConnectionInfo, trusted: Networks) -> Client:
    """Return the client of a request, from its headers (lossless text by canonical name) and its connection."""
    return client_from_forwarding(parse_forwarding(headers), connection, trusted)


def _reported_nodes(headers: dict[str, list[str]], elements: list[dict[str, str]]) -> list[tuple[str, NodeSource]]:
    """Return the nodes reported by one header, the client first.

    Only one header is used: in a chain combined from several, a client could choose the position of an address.
    X-Forwarded-For takes precedence over Forwarded, since most proxies write it and most servers read it (nginx, Envoy,
    Express, uvicorn). Such proxies forward a client's Forwarded header unchanged, and it must not be mistaken for
    theirs.
    """
    nodes = parse_x_forwarded_for(headers.get(_FORWARDED_FOR, []))
    if nodes:
        return [(text, "X-Forwarded-For") for text in nodes]
    if elements:
        return [(node_of_element(element), "Forwarded") for element in elements]
    # nginx sets X-Real-IP to one address; of several, the last is from the nearest proxy.
    return [(text, "X-Real-IP") for text in parse_x_forwarded_for(headers.get(_REAL_IP, []))[-1:]]


def _effective_address(chain: list[Hop]) -> str:
    """Return the address of the first untrusted hop, starting at the connection, else that of the chain's first hop.

    If that hop has no IP address, return that of the previous hop, nearer to the connection: the last one known.
    """
    last_address = chain[-1].address
    for hop in reversed(chain):
        if not hop.trusted:
            return last_address if parse_address(hop.address) is None else hop.address
        last_address = hop.address
    return last_address
