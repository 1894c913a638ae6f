"""The way of a request at a glance: who sent what, through which hops, to which pod."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from app.echo.formats.html.components import counted, shortened
from app.echo.reflection.model import Reflection
from app.http.headers.client_address import Hop

_MOST: Final = 6  # stops that are shown, so that they fit beside each other
_FIRST, _LAST = 2, 3  # of them, those that are shown of a longer way, beside one for the others
_LONGEST: Final = 48  # characters of a name or target that are shown here; the sections have all of it


class Stop(msgspec.Struct, frozen=True):
    """One stop: its `role`, its name, and a few words each about it.

    A `claim` is a stop that only somebody who is not trusted tells of; `more` stands for several.
    """

    kind: Literal["client", "claim", "proxy", "more", "pod"]
    role: str
    name: str
    details: tuple[str, ...] = ()


class Journey(msgspec.Struct, frozen=True):
    """The stops, and a sentence in pieces, each of which is stressed or not."""

    stops: Sequence[Stop]
    sentence: Sequence[tuple[str, bool]]


def journey_of(reflected: Reflection) -> Journey:
    """Give the way of a request, by what is known and what is said of it."""
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
    """Give the place of the last hop that is no trusted proxy; of trusted ones alone, that of the first."""
    return max((place for place, hop in enumerate(hops) if not hop.trusted), default=0)


def _told(hop: Hop, reflected: Reflection) -> str:
    if hop.told != "connection":
        return f"reported by {hop.told}"
    proxied = reflected.client.proxy_protocol
    if proxied is not UNSET and proxied.source is not UNSET:
        return "reported by the PROXY protocol"
    return "peer of the connection"


def _stop(hop: Hop, behind: int, told: str) -> Stop:
    """Give the stop of a hop that stands so many places behind the one that asks."""
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
