"""The reflection: what a request was, as a value to be shown.

The fields up to `pod` and their meaning are those of the Gateway API's echo server, so that its conformance client
can read ours; the others are ours. https://github.com/kubernetes-sigs/gateway-api, conformance/echo-basic
"""

import codecs
from base64 import b64encode

import msgspec
from msgspec import UNSET, UnsetType, structs

from app.bodies import Body
from app.identity import Identity, Kubernetes
from app.names import canonical
from app.wire import Fields, WireRequest, query_pairs, shown, split_target


class ReflectedBody(msgspec.Struct, frozen=True):
    """A body: of the whole, its length in bytes and its SHA-256; of its beginning, `text` if UTF-8, else `base64`.

    `truncated` tells that the beginning is not the whole.
    """

    length: int
    sha256: str
    chunked: bool
    truncated: bool
    text: str | UnsetType = UNSET
    base64: str | UnsetType = UNSET


class Reflection(msgspec.Struct, frozen=True):
    """One request and who answers it.

    `path` is the whole request target, `headers` are by canonical name. `received` has every field as it came, in
    order; `query` the pairs of the query, decoded, in order; `trailers` the fields behind a chunked body.
    """

    path: str
    host: str
    method: str
    proto: str
    headers: dict[str, list[str]]
    namespace: str | None
    pod: str | None
    received: list[tuple[str, str]]
    query: list[tuple[str, str]]
    body: ReflectedBody
    trailers: list[tuple[str, str]]
    kubernetes: Kubernetes


def reflect(request: WireRequest, identity: Identity) -> Reflection:
    """Give a request's reflection. Values of one name stand in the order in which they came."""
    received = _pairs(request.fields)
    headers: dict[str, list[str]] = {}
    for (name, _), (_, value) in zip(request.fields, received, strict=True):
        headers.setdefault(canonical(name), []).append(value)
    return Reflection(
        path=shown(request.target),
        host=headers.get("Host", [""])[0],
        method=shown(request.method),
        proto=request.version,
        headers=headers,
        namespace=identity.namespace,
        pod=identity.pod,
        received=received,
        query=_pairs(query_pairs(split_target(request.target)[1])),
        body=_reflect_body(request.body),
        trailers=_pairs(request.trailers),
        kubernetes=identity.kubernetes,
    )


def _pairs(fields: Fields) -> list[tuple[str, str]]:
    return [(shown(name), shown(value)) for name, value in fields]


def _reflect_body(body: Body) -> ReflectedBody:
    truncated = body.length > len(body.kept)
    measured = ReflectedBody(body.length, body.sha256, body.chunked, truncated)
    try:
        # A cut may go through a character: the rest of it is left out.
        text, _ = codecs.utf_8_decode(body.kept, "strict", not truncated)
    except UnicodeDecodeError:
        return structs.replace(measured, base64=b64encode(body.kept).decode("ascii"))
    return structs.replace(measured, text=text)
