"""Emulation of Traefik's whoami.

It shows the server, and the request as net/http would forward it.

https://github.com/traefik/whoami
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from app.echo.context import Context
from app.echo.formats.dialects import go_http
from app.echo.formats.dialects.go_values import ParseError
from app.echo.formats.dialects.limits import DialectError, parse_delay
from app.echo.formats.dialects.whoami_data import render_data
from app.http.request import HttpRequest
from app.http.response import JSON, TEXT, RenderedResponse
from app.http.tls_info import Certificate

_BENCH_TYPE: Final = "text/plain"
# net/http, Request.Write: User-Agent precedes the other headers, and Content-Length follows from the body's framing.
_ORDERED_HEADERS: Final = frozenset(("User-Agent", "Content-Length"))
# crypto/x509/pkix, Name.String: the attributes in this order, with these names; others, which it shows as numbers,
# come last.
_ATTRIBUTES: Final = {
    "serialNumber": "SERIALNUMBER",
    "commonName": "CN",
    "organizationalUnitName": "OU",
    "organizationName": "O",
    "postalCode": "POSTALCODE",
    "streetAddress": "STREET",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
}
_SPECIAL: Final = re.compile(r'[,+"\\<>;]|^[ #]| $')


class _Data(msgspec.Struct, frozen=True, omit_defaults=True):
    hostname: str = ""
    ip: list[str] = []
    headers: go_http.Values = {}
    url: str = ""
    host: str = ""
    method: str = ""
    remote_addr: str = msgspec.field(name="remoteAddr", default="")


def whoami(context: Context) -> RenderedResponse:
    """Return whoami's response: `/api`, `/bench`, `/data`, `/health`, and the text for every other path.

    Unlike whoami, it never shows the environment, and clients can't set the health.
    """
    path = "/".join(go_http.segments(context.request))
    try:
        return _ROUTES.get(path, _text)(context)
    except DialectError as error:
        return RenderedResponse(f"{error}\n".encode(), TEXT, 400)


def _text(context: Context) -> RenderedResponse:
    lines = [f"Hostname: {go_http.hostname()}"]
    lines += [f"IP: {address}" for address in _addresses(context)]
    lines.append(f"RemoteAddr: {go_http.address(context.connection.client)}")
    tls = context.connection.tls
    if tls and isinstance(tls.client_certificate, Certificate):
        lines.append(f"Certificate[0] Subject: {_subject(tls.client_certificate)}")
    response_text = "".join(f"{line}\n" for line in lines).encode() + _encode_request(context.request)
    return RenderedResponse(response_text, TEXT, delay=_requested_delay(context))


def _requested_delay(context: Context) -> float:
    """Return the delay in `wait` in seconds, 0 if it is invalid."""
    delay_text = go_http.query(context.request).get("wait", "")
    try:
        return parse_delay(delay_text, context.policy.dialect_limits)
    except ParseError:
        return 0.0


def _addresses(context: Context) -> list[str]:
    """Return the known addresses of this pod: the one reported by Kubernetes, and that of the connection."""
    addresses = (context.policy.pod_info.kubernetes.pod_ip, context.connection.server.address)
    return list(dict.fromkeys(address for address in addresses if address))


def _subject(certificate: Certificate) -> str:
    """Return the subject of a certificate as text (RFC 2253)."""
    by_name: dict[str, list[str]] = {name: [] for name in _ATTRIBUTES}
    for name, value in certificate.subject:
        escaped = _SPECIAL.sub(lambda match: "\\" + match[0], value)
        by_name.setdefault(name, []).append(f"{_ATTRIBUTES.get(name, name)}={escaped}")
    return ",".join("+".join(values) for values in by_name.values() if values)


def _encode_request(request: HttpRequest) -> bytes:
    """Encode the request as HTTP/1.1, as net/http forwards it: headers sorted, the body chunked if it was before.

    If only the beginning of the body is kept, only that is included, and the last chunk is omitted.
    """
    headers = go_http.headers_by_name(request)
    lines = [request.method + b" " + go_http.path_and_query(request) + b" HTTP/1.1", b"Host: " + go_http.host(request)]
    if agent := go_http.first_value(headers, "User-Agent"):
        lines.append(b"User-Agent: " + agent)
    chunked, body = go_http.is_chunked(request), request.body
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif body.length or (request.method in {b"POST", b"PUT", b"PATCH"}):
        lines.append(b"Content-Length: %d" % body.length)
    lines += [
        name.encode("ascii") + b": " + value
        for name, values in headers.items()
        if name not in _ORDERED_HEADERS
        for value in values
    ]
    content = _chunks(request) if chunked else body.prefix
    return b"\r\n".join((*lines, b"", content))


def _chunks(request: HttpRequest) -> bytes:
    body = request.body
    chunk = b"%x\r\n%s\r\n" % (len(body.prefix), body.prefix) if body.prefix else b""
    return chunk + (b"0\r\n\r\n" if go_http.is_complete(body) else b"")


def _api(context: Context) -> RenderedResponse:
    request = context.request
    data = _Data(
        hostname=go_http.hostname(),
        ip=_addresses(context),
        headers=go_http.decode_values(go_http.headers_by_name(request)),
        url=go_http.decode_text(go_http.path_and_query(request)),
        host=go_http.decode_text(go_http.host(request)),
        method=go_http.decode_text(request.method),
        remote_addr=go_http.address(context.connection.client),
    )
    return RenderedResponse(go_http.json(data) + b"\n", JSON)


def _bench(context: Context) -> RenderedResponse:
    del context  # the response is constant
    return RenderedResponse(b"1", _BENCH_TYPE)


def _health(context: Context) -> RenderedResponse:
    """Return 200; reject POST with 405, as a health set by one client would apply to all."""
    if context.request.method == b"POST":
        return RenderedResponse(b"the health is not to be set\n", TEXT, 405, (("Allow", "GET, HEAD"),))
    return RenderedResponse(b"", TEXT)


_ROUTES: Final[dict[str, Callable[[Context], RenderedResponse]]] = {
    "api": _api,
    "bench": _bench,
    "data": render_data,
    "health": _health,
}
