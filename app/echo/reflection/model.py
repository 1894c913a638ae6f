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
from app.echo.reflection.credentials import Credentials, parse_credentials
from app.http.connection_info import Endpoint
from app.http.controls_report import ControlsReport
from app.http.headers.client_address import Client, ForwardingInfo, client_from_forwarding, parse_forwarding
from app.http.headers.names import BoundedCache, canonical_name
from app.http.headers.trace_context import Trace, parse_trace
from app.http.request import (
    HttpRequest,
    decode_lossless,
    decode_lossless_pairs,
    is_plain_ascii,
    memoize,
    parse_query,
    split_target,
)
from app.http.tls_info import TlsInfo

_decode_header_name = BoundedCache(lambda name: (decode_lossless(name), canonical_name(name))).__getitem__


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
    tls: TlsInfo | UnsetType
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
    applied: ControlsReport
    id: str
    time: str
    version: str


def reflect(context: Context) -> Reflection:
    """Return the reflection of a request. The values of one header are in the order received."""
    request, policy = context.request, context.policy
    head = memoize(request, _HeadView, _view_head)
    headers = head.headers
    return Reflection(
        path=head.path,
        host=head.host,
        method=head.method,
        proto=request.version,
        headers=headers,
        http_port=str(policy.port),
        namespace=policy.pod_info.namespace,
        ingress=policy.pod_info.ingress,
        service=policy.pod_info.service,
        pod=policy.pod_info.pod,
        tls=context.connection.tls or UNSET,
        pseudo=decode_lossless_pairs(request.pseudo) if request.pseudo else UNSET,
        received=head.received,
        query=head.query,
        cookies=head.cookies,
        body=reflect_body(request.body, request.headers),
        trailers=decode_lossless_pairs(request.trailers),
        client=client_from_forwarding(head.forwarding, context.connection, policy.trusted_proxies),
        server=context.connection.server,
        kubernetes=policy.pod_info.kubernetes,
        trace=head.trace,
        credentials=parse_credentials(headers, policy),
        applied=context.controls_report,
        id=context.id,
        time=context.time,
        version=__version__,
    )


class _HeadView(msgspec.Struct, frozen=True):
    """The part of a reflection that depends on the request head alone."""

    path: str
    host: str
    method: str
    headers: dict[str, list[str]]
    received: list[tuple[str, str]]
    query: list[tuple[str, str]]
    cookies: list[tuple[str, str]]
    forwarding: ForwardingInfo | None
    trace: Trace | UnsetType


def _view_head(request: HttpRequest) -> _HeadView:
    received, headers = _decode_headers(request)
    return _HeadView(
        decode_lossless(request.target),
        decode_lossless(request.authority) if request.pseudo else headers.get("Host", [""])[0],
        decode_lossless(request.method),
        headers,
        received,
        decode_lossless_pairs(parse_query(split_target(request.target)[1])),
        _parse_cookies(headers["Cookie"]) if "Cookie" in headers else [],
        parse_forwarding(headers),
        parse_trace(headers),
    )


def _decode_headers(request: HttpRequest) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    """Return the headers as received, and their values by canonical name."""
    decode_value = bytes.decode if is_plain_ascii(request.head) else decode_lossless
    received: list[tuple[str, str]] = []
    headers: dict[str, list[str]] = {}
    for raw, value in request.headers:
        text, (name, header_name) = decode_value(value), _decode_header_name(raw)
        received.append((name, text))
        if header_name in headers:
            headers[header_name].append(text)
        else:
            headers[header_name] = [text]
    return received, headers


def _parse_cookies(values: list[str]) -> list[tuple[str, str]]:
    """Return the pairs of Cookie headers, undecoded (RFC 6265, 4.2.1); text without `=` is a name without a value."""
    pairs = (pair.strip(" \t").partition("=") for value in values for pair in value.split(";"))
    return [(name, value) for name, _, value in pairs if name or value]
