"""The hop diagram: a request's path from the client to the pod."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from app.echo.formats.html.components import ellipsize, pluralize
from app.echo.reflection.model import Reflection
from app.http.headers.client_address import Hop

_MAX_NODES: Final = 6  # maximum nodes before the pod, so that they fit side by side
_FIRST_NODES, _LAST_NODES = 2, 3  # the first and last nodes of a longer path, with one node for those between
_MAX_NAME: Final = 48  # maximum characters of a name or target in the diagram; the sections show all of it


class HopNode(msgspec.Struct, frozen=True):
    """A node of the diagram: its `role`, its name, and short details.

    A `claim` is a hop that only an untrusted peer reports; `more` stands for several hops.
    """

    kind: Literal["client", "claim", "proxy", "more", "pod"]
    role: str
    name: str
    details: tuple[str, ...] = ()


class HopDiagram(msgspec.Struct, frozen=True):
    """The hop diagram: its nodes, and a sentence in pieces, each emphasized or not."""

    nodes: Sequence[HopNode]
    sentence: Sequence[tuple[str, bool]]


def build_hop_diagram(reflection: Reflection) -> HopDiagram:
    """Return the hop diagram of a request, from its connection and the hops that headers report."""
    hops = _hops(reflection)
    client_index = _client_index(hops)
    nodes = [_node(hop, index - client_index, _source_text(hop, reflection)) for index, hop in enumerate(hops)]
    return HopDiagram([*_collapse_nodes(nodes), _pod(reflection)], _sentence(reflection, hops, client_index))


def _hops(reflection: Reflection) -> list[Hop]:
    client = reflection.client
    if client.chain is not UNSET and client.chain:
        return client.chain
    return [Hop(client.address, "connection", trusted=False)]


def _client_index(hops: Sequence[Hop]) -> int:
    """Return the index of the last hop that is not a trusted proxy, 0 if all are trusted."""
    return max((index for index, hop in enumerate(hops) if not hop.trusted), default=0)


def _source_text(hop: Hop, reflection: Reflection) -> str:
    if hop.source != "connection":
        return f"reported by {hop.source}"
    proxy_header = reflection.client.proxy_protocol
    if proxy_header is not UNSET and proxy_header.source is not UNSET:
        return "reported by the PROXY protocol"
    return "peer of the connection"


def _node(hop: Hop, distance: int, source: str) -> HopNode:
    """Return the node of a hop that is so many places after the client, negative before it."""
    name = _name(hop)
    if distance < 0:
        return HopNode("claim", "Claimed", name, (source, "not verified"))
    if distance:
        return HopNode("proxy", "Trusted proxy", name, (source,))
    return HopNode("client", "Client", name, (source,))


def _name(hop: Hop) -> str:
    return ellipsize(hop.address, _MAX_NAME) or "unknown"


def _collapse_nodes(nodes: list[HopNode]) -> list[HopNode]:
    if len(nodes) < _MAX_NODES:
        return nodes
    omitted_count = len(nodes) - _FIRST_NODES - _LAST_NODES
    return [
        *nodes[:_FIRST_NODES],
        HopNode("more", "Between", pluralize(omitted_count, "more hop")),
        *nodes[-_LAST_NODES:],
    ]


def _pod(reflection: Reflection) -> HopNode:
    kubernetes = reflection.kubernetes
    location = (
        ("namespace", reflection.namespace),
        ("node", kubernetes.node),
        ("zone", kubernetes.zone),
    )
    details = tuple(f"{label} {value}" for label, value in location if value)
    if reflection.pod:
        return HopNode("pod", "Pod", reflection.pod, details)
    return HopNode("pod", "Echo", _address(reflection), details or ("not in a known cluster",))


def _address(reflection: Reflection) -> str:
    address = reflection.server.address
    return f"[{address}]:{reflection.server.port}" if ":" in address else f"{address}:{reflection.server.port}"


def _sentence(reflection: Reflection, hops: Sequence[Hop], client_index: int) -> list[tuple[str, bool]]:
    phrases = [
        (_name(hops[client_index]), True),
        (" sent ", False),
        (ellipsize(f"{reflection.method} {reflection.path}", _MAX_NAME), True),
        (f" with {reflection.proto}", False),
        (f" over {reflection.tls.version}" if reflection.tls is not UNSET else "", False),
    ]
    if proxies := len(hops) - 1 - client_index:
        phrases += [(" through ", False), (pluralize(proxies, "trusted proxy", "trusted proxies"), False)]
    if reflection.pod:
        phrases += [(" to pod ", False), (reflection.pod, True)]
        phrases.append((f" in namespace {reflection.namespace}" if reflection.namespace else "", False))
    else:
        phrases += [(" to echo at ", False), (_address(reflection), True)]
    phrases.append((".", False))
    if client_index:
        phrases.append(
            (f" It reports {pluralize(client_index, 'hop')} before itself, but is not a trusted proxy.", False)
        )
    return [(text, is_emphasized) for text, is_emphasized in phrases if text]
