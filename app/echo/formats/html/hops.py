"""The hop diagram: a request's path from the client to the pod."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from app.echo.formats.html.components import counted, shortened
from app.echo.reflection.model import Reflection
from app.http.headers.client_address import Hop

_MOST: Final = 6  # maximum nodes before the pod, so that they fit side by side
_FIRST, _LAST = 2, 3  # the first and last nodes of a longer path, with one node for those between
_LONGEST: Final = 48  # maximum characters of a name or target in the diagram; the sections show all of it


class Stop(msgspec.Struct, frozen=True):
    """A node of the diagram: its `role`, its name, and short details.

    A `claim` is a hop that only an untrusted peer reports; `more` stands for several hops.
    """

    kind: Literal["client", "claim", "proxy", "more", "pod"]
    role: str
    name: str
    details: tuple[str, ...] = ()


class Journey(msgspec.Struct, frozen=True):
    """The hop diagram: its nodes, and a sentence in pieces, each emphasized or not."""

    stops: Sequence[Stop]
    sentence: Sequence[tuple[str, bool]]


def journey_of(reflected: Reflection) -> Journey:
    """Return the hop diagram of a request, from its connection and the hops that headers report."""
    hops = _hops(reflected)
    asking = _who_asks(hops)
    stops = [_stop(hop, place - asking, _told(hop, reflected)) for place, hop in enumerate(hops)]
    return Journey([*_few(stops), _pod(reflected)], _sentence(reflected, hops, asking))


def _hops(reflected: Reflection) -> list[Hop]:
    client = reflected.client
    if client.chain is not UNSET and client.chain:
        return client.chain
    return [Hop(client.address, "connection", trusted=False)]


def _who_asks(hops: Sequence[Hop]) -> int:
    """Return the index of the last hop that is not a trusted proxy, 0 if all are trusted."""
    return max((place for place, hop in enumerate(hops) if not hop.trusted), default=0)


def _told(hop: Hop, reflected: Reflection) -> str:
    if hop.told != "connection":
        return f"reported by {hop.told}"
    proxied = reflected.client.proxy_protocol
    if proxied is not UNSET and proxied.source is not UNSET:
        return "reported by the PROXY protocol"
    return "peer of the connection"


def _stop(hop: Hop, behind: int, told: str) -> Stop:
    """Return the node of a hop that is so many places after the client, negative before it."""
    name = _name(hop)
    if behind < 0:
        return Stop("claim", "Claimed", name, (told, "not verified"))
    if behind:
        return Stop("proxy", "Trusted proxy", name, (told,))
    return Stop("client", "Client", name, (told,))


def _name(hop: Hop) -> str:
    return shortened(hop.address, _LONGEST) or "unknown"


def _few(stops: list[Stop]) -> list[Stop]:
    if len(stops) < _MOST:
        return stops
    between = len(stops) - _FIRST - _LAST
    return [*stops[:_FIRST], Stop("more", "Between", counted(between, "more hop")), *stops[-_LAST:]]


def _pod(reflected: Reflection) -> Stop:
    where = reflected.kubernetes
    place = (
        ("namespace", reflected.namespace),
        ("node", where.node),
        ("zone", where.zone),
    )
    details = tuple(f"{label} {value}" for label, value in place if value)
    if reflected.pod:
        return Stop("pod", "Pod", reflected.pod, details)
    return Stop("pod", "Echo", _address(reflected), details or ("not in a known cluster",))


def _address(reflected: Reflection) -> str:
    address = reflected.server.address
    return f"[{address}]:{reflected.server.port}" if ":" in address else f"{address}:{reflected.server.port}"


def _sentence(reflected: Reflection, hops: Sequence[Hop], asking: int) -> list[tuple[str, bool]]:
    said = [
        (_name(hops[asking]), True),
        (" sent ", False),
        (shortened(f"{reflected.method} {reflected.path}", _LONGEST), True),
        (f" with {reflected.proto}", False),
        (f" over {reflected.tls.version}" if reflected.tls is not UNSET else "", False),
    ]
    if proxies := len(hops) - 1 - asking:
        said += [(" through ", False), (counted(proxies, "trusted proxy", "trusted proxies"), False)]
    if reflected.pod:
        said += [(" to pod ", False), (reflected.pod, True)]
        said.append((f" in namespace {reflected.namespace}" if reflected.namespace else "", False))
    else:
        said += [(" to echo at ", False), (_address(reflected), True)]
    said.append((".", False))
    if asking:
        said.append((f" It reports {counted(asking, 'hop')} before itself, but is not a trusted proxy.", False))
    return [(text, stressed) for text, stressed in said if text]
