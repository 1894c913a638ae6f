"""Emulation of Kubernetes' echoserver and its text response.

https://github.com/kubernetes/kubernetes/tree/v1.26.0/test/images/echoserver
"""

from typing import Final

from app import __version__
from app.echo.context import Context
from app.echo.formats.dialects import go_http
from app.http.request import HttpRequest, split_target
from app.http.response import TEXT, RenderedResponse

# Characters that its template escapes as for HTML, though its response is plain text.
_ESCAPED: Final = ((b"&", b"&amp;"), (b"<", b"&lt;"), (b">", b"&gt;"), (b'"', b"&quot;"), (b"'", b"&#39;"))
# HTTP versions as nginx reports them.
_VERSIONS: Final = {"HTTP/1.0": b"1", "HTTP/1.1": b"1.1", "HTTP/2.0": b"2"}


def echoserver(context: Context) -> RenderedResponse:
    """Return echoserver's response to any path: the server, then the request with the kept part of its body."""
    lines = [b"", b"", b"Hostname: " + go_http.hostname().encode(), b""]
    lines += [b"Pod Information:", *_pod(context), b""]
    lines += [b"Server values:", b"\tserver_version=echo: " + __version__.encode(), b""]
    lines += [b"Request Information:", *_request(context), b""]
    lines += [b"Request Headers:", *_headers(context.request), b""]
    lines += [b"Request Body:", _escape_html(context.request.body.prefix) or b"\t-no body in request-", b"", b""]
    return RenderedResponse(b"\n".join(lines), TEXT)


def _pod(context: Context) -> list[bytes]:
    pod_info = context.policy.pod_info
    if pod_info.pod is None:
        return [b"\t-no pod information available-"]
    values = {
        "node name": pod_info.kubernetes.node,
        "pod name": pod_info.pod,
        "pod namespace": pod_info.namespace,
        "pod IP": pod_info.kubernetes.pod_ip,
    }
    return [f"\t{name}:\t{value or 'N/A'}".encode() for name, value in values.items()]


def _request(context: Context) -> list[bytes]:
    request = context.request
    scheme = b"https" if context.connection.tls else b"http"
    path, query = split_target(request.target)
    target = path + (b"?" + query if b"?" in request.target else b"")
    host = _without_port(go_http.host(request)).lower()
    return [
        b"\tclient_address=" + context.connection.client.address.encode(),
        b"\tmethod=" + _escape_html(request.method),
        b"\treal path=" + _escape_html(target),
        b"\tquery=" + _escape_html(query),
        b"\trequest_version=" + _VERSIONS.get(request.version, request.version.encode()),
        b"\trequest_scheme=" + scheme,
        b"\trequest_uri=%s://%s:%d%s"
        % (scheme, _escape_html(host), context.connection.server.port, _escape_html(target)),
    ]


def _without_port(host: bytes) -> bytes:
    """Return a host without its port; an IPv6 address is in brackets (RFC 3986, 3.2.2)."""
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host


def _headers(request: HttpRequest) -> list[bytes]:
    """Return the headers sorted, with names in lower case; two spaces follow the value of a name with only one."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in request.headers:
        values.setdefault(name.lower(), []).append(value)
    if request.authority:
        values.setdefault(b"host", [request.authority])
    return [
        b"\t" + _escape_html(name) + b"=" + _escape_html(value) + (b"" if len(values[name]) > 1 else b"  ")
        for name in sorted(values)
        for value in values[name]
    ]


def _escape_html(raw: bytes) -> bytes:
    for plain, entity in _ESCAPED:
        raw = raw.replace(plain, entity)
    return raw
