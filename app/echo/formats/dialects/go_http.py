"""A request as Go's net/http passes it to a handler.

Echo servers written in Go show no more of it. The order and case of names are lost, as in Go, and bytes that are not
UTF-8, each of which Go's JSON shows as U+FFFD. The reflection shows them. https://pkg.go.dev/net/http#Request
"""

import re
from functools import lru_cache
from socket import gethostname
from typing import Any, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from app.http.body import Body
from app.http.connection_info import Endpoint
from app.http.headers.names import canonical_name
from app.http.request import HttpRequest, split_target

Values = dict[str, list[str]]

_FORM: Final = "application/x-www-form-urlencoded"
# Methods of the requests whose body Request.ParseForm reads.
_FORM_METHODS: Final = frozenset((b"POST", b"PUT", b"PATCH"))
# Headers that net/http removes from Request.Header, as Request has other attributes for them.
_SEPARATE_HEADERS: Final = frozenset(("Host", "Transfer-Encoding", "Trailer"))
_AUTHORITY: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#@]*@)?([^/?#]*)")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_BYTE: Final = re.compile("[\udc80-\udcff]")
# Unescaped characters of a path besides letters, digits and `_.-~`: net/url, validEncoded.
_PATH_SAFE: Final = "/!$&'()*+,;=:@[]%"
# Characters that encoding/json escapes; JSON has them only within strings.
_ESCAPED: Final = (
    (b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"),
)  # fmt: skip


def decode_text(raw: bytes) -> str:
    """Decode bytes as Go's JSON shows them: each that is not UTF-8 as U+FFFD."""
    if raw.isascii():
        return raw.decode("ascii")
    return _BYTE.sub("\N{REPLACEMENT CHARACTER}", raw.decode("utf-8", "surrogateescape"))


def headers_by_name(request: HttpRequest) -> dict[str, list[bytes]]:
    """Return the headers by canonical name, sorted, without those that Go keeps elsewhere."""
    values: dict[str, list[bytes]] = {}
    for name, value in request.headers:
        values.setdefault(canonical_name(name), []).append(value)
    return {name: values[name] for name in sorted(values) if name not in _SEPARATE_HEADERS}


def decode_values(values: dict[str, list[bytes]]) -> Values:
    """Decode the values of each name."""
    return {name: [decode_text(value) for value in raw_values] for name, raw_values in values.items()}


def first_value(values: dict[str, list[bytes]], name: str) -> bytes:
    """Return the first value of a name, empty if there is none."""
    return values[name][0] if name in values else b""


def host(request: HttpRequest) -> bytes:
    """Return the host of a request: from :authority or an absolute target, else from Host (RFC 9112, 3.3)."""
    if request.authority:
        return request.authority
    absolute = _AUTHORITY.match(request.target)
    if absolute and absolute[1]:
        return absolute[1]
    return next((value for name, value in request.headers if name.lower() == b"host"), b"")


def is_chunked(request: HttpRequest) -> bool:
    """Return whether the body was chunked: by Transfer-Encoding in HTTP/1.1, never in HTTP/2."""
    return any(name.lower() == b"transfer-encoding" for name, _ in request.headers)


def path_and_query(request: HttpRequest) -> bytes:
    """Return path and query as net/url writes them, with invalid characters of the path escaped."""
    path, query = split_target(request.target)
    path = quote_from_bytes(path, _PATH_SAFE).encode("ascii")
    return path + (b"?" + query if b"?" in request.target else b"")


def segments(request: HttpRequest) -> list[str]:
    """Return the first segment of the path and, if there is more, the rest, each percent-decoded."""
    path = split_target(request.target)[0]
    return [decode_text(unquote_to_bytes(segment)) for segment in path.removeprefix(b"/").split(b"/", 1)]


def query(request: HttpRequest) -> dict[str, str]:
    """Return the first value of each name in the query."""
    return first_values(split_target(request.target)[1])


def first_values(encoded: bytes) -> dict[str, str]:
    """Return the first value of each name in a query or form; a pair that Go can't parse is ignored."""
    values: dict[str, str] = {}
    for pair in encoded.split(b"&"):
        if pair and b";" not in pair and not _BAD_ESCAPE.search(pair):
            name, _, value = pair.partition(b"=")
            values.setdefault(_decode_form_text(name), _decode_form_text(value))
    return values


def _decode_form_text(raw: bytes) -> str:
    return decode_text(unquote_to_bytes(raw.replace(b"+", b" ")))


def form(request: HttpRequest) -> dict[str, str]:
    """Return the first value of each name in a form; empty if the method has no form or part of the body is lost."""
    if request.method not in _FORM_METHODS or not is_complete(request.body):
        return {}
    content_type = decode_text(first_value(headers_by_name(request), "Content-Type")).partition(";")[0].strip().lower()
    return first_values(request.body.prefix) if content_type == _FORM else {}


def is_complete(body: Body) -> bool:
    """Return whether all of a body is kept."""
    return body.length == len(body.prefix)


def address(endpoint: Endpoint) -> str:
    """Return an address and its port: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    template = "[{}]:{}" if ":" in endpoint.address else "{}:{}"
    return template.format(endpoint.address, endpoint.port)


@lru_cache(maxsize=1)
def hostname() -> str:
    """Return the host name of this machine, which is the pod's name in a pod."""
    return gethostname()


def json(value: Any, *, indent: int = 0) -> bytes:
    """Encode a value as encoding/json does."""
    encoded = msgspec.json.encode(value)
    if indent:
        encoded = msgspec.json.format(encoded, indent=indent)
    for plain, escape in _ESCAPED:
        encoded = encoded.replace(plain, escape)
    return encoded
