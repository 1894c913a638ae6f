"""The reflection: the model of a request that formats render.

The keys up to `pod` and their meaning are those of the Gateway API's echo server, so that its conformance client can
parse this JSON; the other keys are additions. https://github.com/kubernetes-sigs/gateway-api, conformance/echo-basic
"""

import msgspec
from msgspec import UNSET, UnsetType

from app import __version__
from app.config.downward_api import Kubernetes
from app.echo.context import Context
from app.echo.reflection.body import ReflectedBody, reflect_body
from app.echo.reflection.credentials import Credentials, credentials_of
from app.http.connection_info import Endpoint
from app.http.controls_report import Applied
from app.http.headers.client_address import Client, Way, client_by, way_of
from app.http.headers.names import Remembered, canonical
from app.http.headers.trace_context import Trace, trace_of
from app.http.request import WireRequest, is_plain, once, query_pairs, shown, shown_pairs, split_target
from app.http.tls_info import TLS

_spellings = Remembered(lambda name: (shown(name), canonical(name))).__getitem__


class Reflection(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and the server that responds to it.

    `path` is the whole request target; `headers` has the values by canonical name. `pseudo` has the pseudo-headers of
    HTTP/2, `received` all other headers, both unchanged and in order. `query` has the decoded pairs of the query in
    order, `cookies` the pairs of the cookies, `trailers` the headers after the body. `tls` is set if the connection
    uses TLS, `trace` and `credentials` if headers contain them. `time` is in RFC 3339 format.
    """

    path: str
    host: str
    method: str
    proto: str
    headers: dict[str, list[str]]
    http_port: str = msgspec.field(name="httpPort")
    namespace: str | None
    ingress: str | None
    service: str | None
    pod: str | None
    tls: TLS | UnsetType
    pseudo: list[tuple[str, str]] | UnsetType
    received: list[tuple[str, str]]
    query: list[tuple[str, str]]
    cookies: list[tuple[str, str]]
    body: ReflectedBody
    trailers: list[tuple[str, str]]
    client: Client
    server: Endpoint
    kubernetes: Kubernetes
    trace: Trace | UnsetType
    credentials: Credentials | UnsetType
    applied: Applied
    id: str
    time: str
    version: str


def reflect(context: Context) -> Reflection:
    """Return the reflection of a request. The values of one header are in the order received."""
    request, policy = context.request, context.policy
    said = once(request, _Said, _said)
    headers = said.headers
    return Reflection(
        path=said.path,
        host=said.host,
        method=said.method,
        proto=request.version,
        headers=headers,
        http_port=str(policy.port),
        namespace=policy.identity.namespace,
        ingress=policy.identity.ingress,
        service=policy.identity.service,
        pod=policy.identity.pod,
        tls=context.connection.tls or UNSET,
        pseudo=shown_pairs(request.pseudo) if request.pseudo else UNSET,
        received=said.received,
        query=said.query,
        cookies=said.cookies,
        body=reflect_body(request.body, request.fields),
        trailers=shown_pairs(request.trailers),
        client=client_by(said.way, context.connection, policy.trusted),
        server=context.connection.server,
        kubernetes=policy.identity.kubernetes,
        trace=said.trace,
        credentials=credentials_of(headers, policy),
        applied=context.applied,
        id=context.id,
        time=context.time,
        version=__version__,
    )


class _Said(msgspec.Struct, frozen=True):
    """The part of a reflection that depends on the request head alone."""

    path: str
    host: str
    method: str
    headers: dict[str, list[str]]
    received: list[tuple[str, str]]
    query: list[tuple[str, str]]
    cookies: list[tuple[str, str]]
    way: Way | None
    trace: Trace | UnsetType


def _said(request: WireRequest) -> _Said:
    received, headers = _fields(request)
    return _Said(
        shown(request.target),
        shown(request.authority) if request.pseudo else headers.get("Host", [""])[0],
        shown(request.method),
        headers,
        received,
        shown_pairs(query_pairs(split_target(request.target)[1])),
        _cookies(headers["Cookie"]) if "Cookie" in headers else [],
        way_of(headers),
        trace_of(headers),
    )


def _fields(request: WireRequest) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    """Return the headers as received, and their values by canonical name."""
    show = bytes.decode if is_plain(request.head) else shown
    received: list[tuple[str, str]] = []
    headers: dict[str, list[str]] = {}
    for raw, value in request.fields:
        text, (name, canonical) = show(value), _spellings(raw)
        received.append((name, text))
        if canonical in headers:
            headers[canonical].append(text)
        else:
            headers[canonical] = [text]
    return received, headers


def _cookies(values: list[str]) -> list[tuple[str, str]]:
    """Return the pairs of Cookie headers, undecoded (RFC 6265, 4.2.1); text without `=` is a name without a value."""
    pairs = (pair.strip(" \t").partition("=") for value in values for pair in value.split(";"))
    return [(name, value) for name, _, value in pairs if name or value]
