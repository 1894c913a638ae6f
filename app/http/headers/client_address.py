"""Who sent a request: the connection's other end, and what proxies on the way say about who is behind it.

None of what a field says is known to be so: anybody can send it. It is believed as far as the chain is made of proxies
that the operator trusts, from the connection backwards.
"""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.http.connection_info import ProxyProtocol
from app.http.headers.forwarded import forwarded, forwarded_for, node, told_by_forwarded
from app.http.networks import Networks, address, among
from app.http.request import ConnectionInfo

Told = Literal["Forwarded", "X-Forwarded-For", "X-Real-IP", "connection"]

# Hops of a chain that are looked at, from the connection backwards: each is an address to be compared, and 64 KiB
# could name 30,000. No real way is as long, and who believes one is done at the first hop that is not trusted.
MOST_HOPS: Final = 256

_FORWARDED: Final = "Forwarded"
_FORWARDED_FOR: Final = "X-Forwarded-For"
_REAL_IP: Final = "X-Real-Ip"
_X_FORWARDED: Final = "X-Forwarded-"


class Hop(msgspec.Struct, frozen=True):
    """One node on the way: its `address` as it is told, and by which field; `connection` is what the socket tells.

    The address stands without brackets and port; what is none (`unknown`, `_hidden`, junk) as it was written. `port` is
    there where one is told. `trusted` tells whether it is a proxy of ECHO_TRUSTED_PROXIES.
    """

    address: str
    told: Told
    trusted: bool
    port: int | UnsetType = UNSET


class Client(msgspec.Struct, frozen=True, rename="camel"):
    """Who sent the request.

    `address` and `port` are the connection's other end, or whom the PROXY protocol names. `effective` is the address
    that follows from the `chain`, which begins at the client, ends at the connection, and is absent where no field
    tells of one: the last that no trusted proxy has. `forwarded` are the elements of Forwarded (RFC 7239), its quoted
    values without quotation marks; one that can't be read is under the name `invalid`. `x_forwarded` are the values of
    X-Forwarded-* and X-Real-IP by name.
    """

    address: str
    port: int
    effective: str
    proxy_protocol: ProxyProtocol | UnsetType = UNSET
    chain: list[Hop] | UnsetType = UNSET
    forwarded: list[dict[str, str]] | UnsetType = UNSET
    x_forwarded: dict[str, list[str]] | UnsetType = UNSET


class Way(msgspec.Struct, frozen=True):
    """What fields say of the way on which a request came: `nodes` by address and port, with the field that has them."""

    nodes: list[tuple[str, int | UnsetType, Told]]
    forwarded: list[dict[str, str]] | UnsetType
    x_forwarded: dict[str, list[str]] | UnsetType


def way_of(headers: dict[str, list[str]]) -> Way | None:
    """Give what fields (shown values by canonical name) say of the way, None where they say nothing."""
    # One look through all names at once: most requests have none of these.
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
    """Give who sent a request, by the way that its fields tell of and by its connection."""
    end, proxy = connection.client, connection.proxy or UNSET
    if way is None:
        return Client(end.address, end.port, end.address, proxy)
    chain = [Hop(where, by, among(where, trusted), port) for where, port, by in way.nodes]
    chain.append(Hop(end.address, "connection", among(end.address, trusted), end.port))
    told = chain if way.nodes else UNSET
    return Client(end.address, end.port, _effective(chain), proxy, told, way.forwarded, way.x_forwarded)


def client_of(headers: dict[str, list[str]], connection: ConnectionInfo, trusted: Networks) -> Client:
    """Give who sent a request, by its fields (shown values by canonical name) and its connection."""
    return client_by(way_of(headers), connection, trusted)


def _told(headers: dict[str, list[str]], elements: list[dict[str, str]]) -> list[tuple[str, Told]]:
    """Give the nodes that one field tells of, the client first.

    One field alone: if the chain were pieced together from several, a client could choose what stands where.
    X-Forwarded-For wins over Forwarded, since it is what most proxies write, and what most servers read (nginx, Envoy,
    Express, uvicorn): they hand a Forwarded of the client's on as it came, and it must not be taken for theirs.
    """
    nodes = forwarded_for(headers.get(_FORWARDED_FOR, []))
    if nodes:
        return [(text, "X-Forwarded-For") for text in nodes]
    if elements:
        return [(told_by_forwarded(element), "Forwarded") for element in elements]
    # nginx sets it to one address; of several, the last is the nearest proxy's.
    return [(text, "X-Real-IP") for text in forwarded_for(headers.get(_REAL_IP, []))[-1:]]


def _effective(chain: list[Hop]) -> str:
    """Give the address of the first hop that is not trusted, from the connection backwards, else of the chain's first.

    Where that hop is no address, it is the one before: the last of which anything is known.
    """
    known = chain[-1].address
    for hop in reversed(chain):
        if not hop.trusted:
            return known if address(hop.address) is None else hop.address
        known = hop.address
    return known
