"""The reflection: what a request was, as a value to be shown.

The fields and their meaning are those of the Gateway API's echo server, so that its conformance client can read
ours; `kubernetes` is ours. https://github.com/kubernetes-sigs/gateway-api, conformance/echo-basic
"""

import msgspec

from app.identity import Identity, Kubernetes
from app.names import canonical
from app.wire import WireRequest, shown


class Reflection(msgspec.Struct, frozen=True):
    """One request and who answers it. `path` is the whole request target, `headers` are by canonical name."""

    path: str
    host: str
    method: str
    proto: str
    headers: dict[str, list[str]]
    namespace: str | None
    pod: str | None
    kubernetes: Kubernetes


def reflect(request: WireRequest, identity: Identity) -> Reflection:
    """Give a request's reflection. Values of one name stand in the order in which they came."""
    headers: dict[str, list[str]] = {}
    for name, value in request.fields:
        headers.setdefault(canonical(name), []).append(shown(value))
    return Reflection(
        path=shown(request.target),
        host=headers.get("Host", [""])[0],
        method=shown(request.method),
        proto=request.version,
        headers=headers,
        namespace=identity.namespace,
        pod=identity.pod,
        kubernetes=identity.kubernetes,
    )
