"""Requests from HTTP/2 header lists: parsing, validation (RFC 9113, 8)."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from app.http.errors import ProtocolError, bad_request
from app.http.request import HeaderList, HttpRequest
from app.http.text import quote_bytes
from app.http.tokens import TCHAR_BYTES
from app.server import framing_fields
from app.server.limits import RequestLimits

# 8.2.1: visible ASCII without upper case and colon; RFC 9110, 5.1 restricts it to a token.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
# 8.2.1: no NUL, CR, LF anywhere, no whitespace at the ends; RFC 9110, 5.5 excludes the other control characters.
_VALUE = re.compile(rb"(?![ \t])[^\x00-\x08\x0a-\x1f\x7f]*(?<![ \t])")
_METHOD = re.compile(TCHAR_BYTES + b"+")
_PATH = re.compile(rb"/[^\x00-\x20\x7f]*|\*")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*")

_CONNECTION_SPECIFIC: Final = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}  # 8.2.2
)
_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})  # 8.3.1; RFC 8441, 4
HTTP_VERSION: Final = "HTTP/2.0"


class ParsedRequest(msgspec.Struct, frozen=True, gc=False):
    """Parsed head of a request: the request, its `content-length` if it has one, and what it requests.

    `protocol` is that of an extended CONNECT (RFC 8441), otherwise empty.
    """

    request: HttpRequest
    length: int | None
    expects_continue: bool
    protocol: bytes


def parse_request(headers: HeaderList, limits: RequestLimits) -> ParsedRequest:
    """Parse a request's header list.

    Raise `ProtocolError`: 400 for a malformed request (8.1.1), 413 for an excessive `content-length`, 417, or 431 for
    too many headers.
    """
    pseudo, regular = _split_pseudo(headers)
    _check_count(regular, limits)
    pseudo_values = _check_pseudo(pseudo)
    method, authority = pseudo_values[b":method"], pseudo_values.get(b":authority", b"")
    framing = framing_fields.framing_values(regular)
    hosts = framing.get(framing_fields.HOST, [])
    if not any((authority, *hosts)):
        raise bad_request("no :authority and no Host")  # 8.3.1
    framing_fields.check_host(hosts or [authority], HTTP_VERSION)
    framing_fields.check_host([authority], HTTP_VERSION)
    if hosts and authority and hosts[0].lower() != authority.lower():
        raise bad_request("Host and :authority differ")  # 8.3.1
    protocol = pseudo_values.get(b":protocol", b"")
    target = pseudo_values.get(b":path", authority)
    request = HttpRequest(method, target, HTTP_VERSION, regular, pseudo=pseudo, authority=authority or b"".join(hosts))
    lengths = framing.get(framing_fields.CONTENT_LENGTH)
    length = framing_fields.content_length(lengths) if lengths else None
    return ParsedRequest(request, length, framing_fields.expects_continue(framing), protocol)


def parse_trailers(headers: HeaderList, limits: RequestLimits) -> HeaderList:
    """Validate and return trailers (8.1). Raise `ProtocolError`."""
    pseudo, regular = _split_pseudo(headers)
    if pseudo:
        raise bad_request(f"pseudo-header in the trailers: {quote_bytes(pseudo[0][0])}")
    _check_count(regular, limits)
    return regular


def _check_count(headers: HeaderList, limits: RequestLimits) -> None:
    if len(headers) > limits.header_count:
        raise ProtocolError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"{len(headers)} headers exceed the limit of {limits.header_count} (ECHO_MAX_HEADERS)",
        )


def _split_pseudo(headers: HeaderList) -> tuple[HeaderList, HeaderList]:
    """Split a header list into pseudo-headers, which must come first, and regular headers. Raise `ProtocolError`."""
    count = sum(name.startswith(b":") for name, _ in headers)
    pseudo, regular = headers[:count], headers[count:]
    for name, _ in regular:
        if name.startswith(b":"):
            raise bad_request(f"pseudo-header after a regular header: {quote_bytes(name)}")  # 8.3
        if not _NAME.fullmatch(name):
            raise bad_request(f"invalid HTTP/2 header name: {quote_bytes(name)}")
        if name in _CONNECTION_SPECIFIC:
            raise bad_request(f"connection-specific header in HTTP/2: {quote_bytes(name)}")
    for name, value in headers:
        if not _VALUE.fullmatch(value):
            # The value is not reported: it may be one that ECHO_REDACT names.
            raise bad_request(
                f"invalid value of {quote_bytes(name)}: control character, or leading or trailing whitespace"
            )
        if name == b"te" and value.lower() != b"trailers":
            raise bad_request(f"invalid te: {quote_bytes(value)}; must be trailers")  # 8.2.2
    return pseudo, regular


def _check_pseudo(pseudo: HeaderList) -> Mapping[bytes, bytes]:
    pseudo_values = dict(pseudo)
    if len(pseudo_values) < len(pseudo):
        raise bad_request("duplicate pseudo-header")
    unknown_names = pseudo_values.keys() - _PSEUDO
    if unknown_names:
        raise bad_request(f"unknown pseudo-header: {quote_bytes(min(unknown_names))}")
    if not _METHOD.fullmatch(pseudo_values.get(b":method", b"")):
        raise bad_request(f"invalid :method: {quote_bytes(pseudo_values.get(b':method', b''))}")
    if pseudo_values[b":method"] == b"CONNECT" and b":protocol" not in pseudo_values:
        _require(pseudo_values, (b":authority",))
        if b":scheme" in pseudo_values or b":path" in pseudo_values:
            raise bad_request("CONNECT with :scheme or :path")  # 8.5
        return pseudo_values
    _require(pseudo_values, (b":scheme", b":path"))
    if b":protocol" in pseudo_values and pseudo_values[b":method"] != b"CONNECT":
        raise bad_request(":protocol with another method than CONNECT")  # RFC 8441, 4
    if not _SCHEME.fullmatch(pseudo_values[b":scheme"]):
        raise bad_request(f"invalid :scheme: {quote_bytes(pseudo_values[b':scheme'])}")
    if not _PATH.fullmatch(pseudo_values[b":path"]):
        raise bad_request(f"invalid :path: {quote_bytes(pseudo_values[b':path'])}")
    return pseudo_values


def _require(pseudo_values: Mapping[bytes, bytes], names: Sequence[bytes]) -> None:
    for name in names:
        if not pseudo_values.get(name):
            raise bad_request(f"missing {name.decode()}")
