"""The reflection: what a request was, as a value to be shown.

The fields up to `pod` and their meaning are those of the Gateway API's echo server, so that its conformance client
can read ours; the others are ours. https://github.com/kubernetes-sigs/gateway-api, conformance/echo-basic
"""

import msgspec
from msgspec import UNSET, UnsetType

from app.identity import Identity, Kubernetes
from app.names import canonical
from app.peers import Endpoint, ProxyProtocol
from app.reflected_body import ReflectedBody, reflect_body
from app.tls import TLS
from app.wire import ConnectionInfo, WireRequest, query_pairs, shown, shown_pairs, split_target


class Client(msgspec.Struct, frozen=True, rename="camel"):
    """Who sent the request, as far as the connection tells: its other end, or whom a proxy says it stands for."""

    address: str
    port: int
    proxy_protocol: ProxyProtocol | UnsetType = UNSET


class Reflection(msgspec.Struct, frozen=True):
    """One request and who answers it.

    `path` is the whole request target, `headers` are by canonical name. `pseudo` has the pseudo-fields of HTTP/2,
    `received` every other field, as they came, in order; `query` the pairs of the query, decoded, in order; `trailers`
    the fields behind the body. `tls` is there when TLS carried it.
    """

    path: str
    host: str
    method: str
    proto: str
    headers: dict[str, list[str]]
    namespace: str | None
    pod: str | None
    tls: TLS | UnsetType
    pseudo: list[tuple[str, str]] | UnsetType
    received: list[tuple[str, str]]
    query: list[tuple[str, str]]
    body: ReflectedBody
    trailers: list[tuple[str, str]]
    client: Client
    server: Endpoint
    kubernetes: Kubernetes


def reflect(request: WireRequest, connection: ConnectionInfo, identity: Identity) -> Reflection:
    """Give a request's reflection. Values of one name stand in the order in which they came."""
    received = shown_pairs(request.fields)
    headers: dict[str, list[str]] = {}
    for (name, _), (_, value) in zip(request.fields, received, strict=True):
        headers.setdefault(canonical(name), []).append(value)
    return Reflection(
        path=shown(request.target),
        host=shown(request.authority) if request.pseudo else headers.get("Host", [""])[0],
        method=shown(request.method),
        proto=request.version,
        headers=headers,
        namespace=identity.namespace,
        pod=identity.pod,
        tls=connection.tls or UNSET,
        pseudo=shown_pairs(request.pseudo) if request.pseudo else UNSET,
        received=received,
        query=shown_pairs(query_pairs(split_target(request.target)[1])),
        body=reflect_body(request.body, request.fields),
        trailers=shown_pairs(request.trailers),
        client=Client(connection.client.address, connection.client.port, connection.proxy or UNSET),
        server=connection.server,
        kubernetes=identity.kubernetes,
    )
