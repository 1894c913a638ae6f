"""Emulation of Kubernetes' echoserver and its text response.

https://github.com/kubernetes/kubernetes/tree/v1.26.0/test/images/echoserver
"""

from typing import Final

from app import __version__
from app.echo.context import Context
from app.echo.formats.dialects import go_http
from app.http.request import WireRequest, split_target
from app.http.response import TEXT, Answer

# Characters that its template escapes as for HTML, though its response is plain text.
_ESCAPED: Final = ((b"&", b"&amp;"), (b"<", b"&lt;"), (b">", b"&gt;"), (b'"', b"&quot;"), (b"'", b"&#39;"))
# HTTP versions as nginx reports them.
_VERSIONS: Final = {"HTTP/1.0": b"1", "HTTP/1.1": b"1.1", "HTTP/2.0": b"2"}


def echoserver(context: Context) -> Answer:
    """Return echoserver's response to any path: the server, then the request with the kept part of its body."""
    lines = [b"", b"", b"Hostname: " + go_http.hostname().encode(), b""]
    lines += [b"Pod Information:", *_pod(context), b""]
    lines += [b"Server values:", b"\tserver_version=echo: " + __version__.encode(), b""]
    lines += [b"Request Information:", *_request(context), b""]
    lines += [b"Request Headers:", *_headers(context.request), b""]
    lines += [b"Request Body:", _escaped(context.request.body.kept) or b"\t-no body in request-", b"", b""]
    return Answer(b"\n".join(lines), TEXT)


def _pod(context: Context) -> list[bytes]:
    identity = context.policy.identity
    if identity.pod is None:
        return [b"\t-no pod information available-"]
    known = {
        "node name": identity.kubernetes.node,
        "pod name": identity.pod,
        "pod namespace": identity.namespace,
        "pod IP": identity.kubernetes.pod_ip,
    }
    return [f"\t{name}:\t{value or 'N/A'}".encode() for name, value in known.items()]


def _request(context: Context) -> list[bytes]:
    request = context.request
    scheme = b"https" if context.connection.tls else b"http"
    path, query = split_target(request.target)
    target = path + (b"?" + query if b"?" in request.target else b"")
    host = _without_port(go_http.host(request)).lower()
    return [
        b"\tclient_address=" + context.connection.client.address.encode(),
        b"\tmethod=" + _escaped(request.method),
        b"\treal path=" + _escaped(target),
        b"\tquery=" + _escaped(query),
        b"\trequest_version=" + _VERSIONS.get(request.version, request.version.encode()),
        b"\trequest_scheme=" + scheme,
        b"\trequest_uri=%s://%s:%d%s" % (scheme, _escaped(host), context.connection.server.port, _escaped(target)),
    ]


def _without_port(host: bytes) -> bytes:
    """Return a host without its port; an IPv6 address is in brackets (RFC 3986, 3.2.2)."""
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host


def _headers(request: WireRequest) -> list[bytes]:
    """Return the headers sorted, with names in lower case; two spaces follow the value of a name with only one."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in request.fields:
        values.setdefault(name.lower(), []).append(value)
    if request.authority:
        values.setdefault(b"host", [request.authority])
    return [
        b"\t" + _escaped(name) + b"=" + _escaped(value) + (b"" if len(values[name]) > 1 else b"  ")
        for name in sorted(values)
        for value in values[name]
    ]


def _escaped(raw: bytes) -> bytes:
    for plain, entity in _ESCAPED:
        raw = raw.replace(plain, entity)
    return raw
