"""Emulation of the Gateway API's echo server, echo-basic.

Its conformance client can parse the JSON, and its delay, status and response headers can be requested.
https://github.com/kubernetes-sigs/gateway-api/blob/v1.4.1/conformance/echo-basic/echo-basic.go
"""

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from app.echo.context import Context
from app.echo.formats.dialects import go_http
from app.echo.formats.dialects.go_values import ParseError
from app.echo.formats.dialects.limits import DialectError, parse_delay, require_allowed
from app.http.headers.allowed import is_caching_header, rejection_reason
from app.http.response import JSON, TEXT, RenderedResponse
from app.http.status import MAX_STATUS, MIN_STATUS
from app.http.text import quote_excerpt
from app.http.tls_info import CIPHER_SUITES, TlsInfo

# The whole target, as in echo-basic, except for a query that selects this dialect.
_STATUS: Final = re.compile(rb"/status/([0-9]{3})(?:\?echo[_-]format=gateway-api)?")
_SET_HEADER_NAME: Final = "X-Echo-Set-Header"


class _Tls(msgspec.Struct, frozen=True, rename="camel"):
    version: str
    peer_certificates: tuple[str, ...] | UnsetType
    server_name: str
    negotiated_protocol: str | UnsetType
    cipher_suite: str


class _Assertions(msgspec.Struct, frozen=True):
    """The JSON about a request. `httpPort` is from versions later than v1.4.1."""

    path: str
    host: str
    method: str
    proto: str
    headers: go_http.Values
    http_port: str = msgspec.field(name="httpPort")
    namespace: str
    ingress: str
    service: str
    pod: str
    tls: _Tls | UnsetType


def gateway_api(context: Context) -> RenderedResponse:
    """Return echo-basic's response: `/health`, `/status/NNN`, and the request for every other path.

    `parse_delay` in the query or a form delays the response; X-Echo-Set-Header adds headers to it. The response to an
    invalid request is 400 with a message.
    """
    request = context.request
    try:
        first, *further_segments = go_http.segments(request)
        if first == "health" and not further_segments:
            return RenderedResponse(b"OK", TEXT)
        if first == "status" and further_segments:
            return _status(context)
        values = go_http.query(request) | go_http.form(request)
        seconds = parse_delay(values.get("delay", ""), context.policy.dialect_limits)
        headers = _requested_headers(context)
    except (DialectError, ParseError) as error:
        return RenderedResponse(go_http.json({"message": str(error)}), JSON, 400)
    return RenderedResponse(go_http.json(_assertions(context), indent=1), JSON, headers=headers, delay=seconds)


def _assertions(context: Context) -> _Assertions:
    request, pod_info = context.request, context.policy.pod_info
    return _Assertions(
        path=go_http.decode_text(request.target),
        host=go_http.decode_text(go_http.host(request)),
        method=go_http.decode_text(request.method),
        proto=request.version,
        headers=go_http.decode_values(go_http.headers_by_name(request)),
        http_port=str(context.policy.port),
        namespace=pod_info.namespace or "",
        ingress=pod_info.ingress or "",
        service=pod_info.service or "",
        pod=pod_info.pod or "",
        tls=_tls(context.connection.tls) if context.connection.tls else UNSET,
    )


def _tls(tls: TlsInfo) -> _Tls:
    return _Tls(
        version=tls.version,
        peer_certificates=tls.peer_certificates or UNSET,
        server_name=tls.server_name,
        negotiated_protocol=tls.negotiated_protocol or UNSET,
        cipher_suite=CIPHER_SUITES.get(tls.cipher_suite, tls.cipher_suite),
    )


def _status(context: Context) -> RenderedResponse:
    """Return an empty response with the status in the path; 400 if that is not a final status code."""
    match = _STATUS.fullmatch(context.request.target)
    status = int(match[1]) if match else 0
    if not MIN_STATUS <= status <= MAX_STATUS:
        return RenderedResponse(b"", TEXT, 400)
    require_allowed("status", context.policy.dialect_limits)
    return RenderedResponse(b"", TEXT, status)


def _requested_headers(context: Context) -> tuple[tuple[str, str], ...]:
    """Return the response headers in X-Echo-Set-Header: `name:value`, several after commas or in repeated headers.

    The values of one name are joined by commas. Raise `DialectError` for a header that a response must not have.
    """
    values_by_name: dict[str, list[str]] = {}
    for line in go_http.headers_by_name(context.request).get(_SET_HEADER_NAME, ()):
        for pair in line.decode("utf-8", "replace").split(","):
            name, _, value = pair.strip(" \t").partition(":")
            if name:
                values_by_name.setdefault(name, []).append(value.strip(" \t"))
    if values_by_name:
        require_allowed("header", context.policy.dialect_limits)
    headers = tuple((name, ",".join(values)) for name, values in values_by_name.items())
    for name, value in headers:
        if reason := rejection_reason(name, value) or (is_caching_header(name) and "a field does not ask for that"):
            raise DialectError(f"{_SET_HEADER_NAME}: {quote_excerpt(name)}: {reason}")
    return headers
