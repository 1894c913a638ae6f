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
from app.echo.formats.dialects.limits import WishError, delay, permit
from app.http.headers.allowed import is_for_caches, why_not
from app.http.response import JSON, TEXT, Answer
from app.http.status import MAX_STATUS, MIN_STATUS
from app.http.text import quoted
from app.http.tls_info import CIPHER_SUITES, TLS

# The whole target, as in echo-basic, except for a query that selects this dialect.
_STATUS: Final = re.compile(rb"/status/([0-9]{3})(?:\?echo[_-]format=gateway-api)?")
_SET_HEADER: Final = "X-Echo-Set-Header"


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


def gateway_api(context: Context) -> Answer:
    """Return echo-basic's response: `/health`, `/status/NNN`, and the request for every other path.

    `delay` in the query or a form delays the response; X-Echo-Set-Header adds headers to it. The response to an invalid
    request is 400 with a message.
    """
    request = context.request
    try:
        first, *rest = go_http.segments(request)
        if first == "health" and not rest:
            return Answer(b"OK", TEXT)
        if first == "status" and rest:
            return _status(context)
        values = go_http.query(request) | go_http.form(request)
        seconds = delay(values.get("delay", ""), context.policy.limits)
        fields = _fields(context)
    except (WishError, ParseError) as error:
        return Answer(go_http.json({"message": str(error)}), JSON, 400)
    return Answer(go_http.json(_assertions(context), indent=1), JSON, fields=fields, delay=seconds)


def _assertions(context: Context) -> _Assertions:
    request, identity = context.request, context.policy.identity
    return _Assertions(
        path=go_http.text(request.target),
        host=go_http.text(go_http.host(request)),
        method=go_http.text(request.method),
        proto=request.version,
        headers=go_http.shown(go_http.header(request)),
        http_port=str(context.policy.port),
        namespace=identity.namespace or "",
        ingress=identity.ingress or "",
        service=identity.service or "",
        pod=identity.pod or "",
        tls=_tls(context.connection.tls) if context.connection.tls else UNSET,
    )


def _tls(tls: TLS) -> _Tls:
    return _Tls(
        version=tls.version,
        peer_certificates=tls.peer_certificates or UNSET,
        server_name=tls.server_name,
        negotiated_protocol=tls.negotiated_protocol or UNSET,
        cipher_suite=CIPHER_SUITES.get(tls.cipher_suite, tls.cipher_suite),
    )


def _status(context: Context) -> Answer:
    """Return an empty response with the status in the path; 400 if that is not a final status code."""
    match = _STATUS.fullmatch(context.request.target)
    status = int(match[1]) if match else 0
    if not MIN_STATUS <= status <= MAX_STATUS:
        return Answer(b"", TEXT, 400)
    permit("status", context.policy.limits)
    return Answer(b"", TEXT, status)


def _fields(context: Context) -> tuple[tuple[str, str], ...]:
    """Return the response headers in X-Echo-Set-Header: `name:value`, several after commas or in repeated headers.

    The values of one name are joined by commas. Raise `WishError` for a header that a response must not have.
    """
    asked: dict[str, list[str]] = {}
    for line in go_http.header(context.request).get(_SET_HEADER, ()):
        for pair in line.decode("utf-8", "replace").split(","):
            name, _, value = pair.strip(" \t").partition(":")
            if name:
                asked.setdefault(name, []).append(value.strip(" \t"))
    if asked:
        permit("header", context.policy.limits)
    fields = tuple((name, ",".join(values)) for name, values in asked.items())
    for name, value in fields:
        if reason := why_not(name, value) or (is_for_caches(name) and "a field does not ask for that"):
            raise WishError(f"{_SET_HEADER}: {quoted(name)}: {reason}")
    return fields
