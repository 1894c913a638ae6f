"""Requests from HTTP/2 header lists: parsing, validation (RFC 9113, 8)."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from app.http.errors import ProtocolError, bad_request, excerpt
from app.http.request import Fields, WireRequest
from app.server import framing_fields
from app.server.limits import Limits

# 8.2.1: visible ASCII without upper case and colon; RFC 9110, 5.1 restricts it to a token.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
# 8.2.1: no NUL, CR, LF anywhere, no whitespace at the ends; RFC 9110, 5.5 excludes the other control characters.
_VALUE = re.compile(rb"(?![ \t])[^\x00-\x08\x0a-\x1f\x7f]*(?<![ \t])")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PATH = re.compile(rb"/[^\x00-\x20\x7f]*|\*")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*")

_CONNECTION_SPECIFIC: Final = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}  # 8.2.2
)
_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})  # 8.3.1; RFC 8441, 4
VERSION: Final = "HTTP/2.0"


class Requested(msgspec.Struct, frozen=True, gc=False):
    """Parsed head of a request: the request, its `content-length` if it has one, and what it requests.

    `protocol` is that of an extended CONNECT (RFC 8441), otherwise empty.
    """

    request: WireRequest
    length: int | None
    expects_continue: bool
    protocol: bytes


def read(fields: Fields, limits: Limits) -> Requested:
    """Parse a request's header list.

    Raise `ProtocolError`: 400 for a malformed request (8.1.1), 413 for an excessive `content-length`, 417, or 431 for
    too many headers.
    """
    pseudo, regular = _apart(fields)
    _check_count(regular, limits)
    known = _known(pseudo)
    method, authority = known[b":method"], known.get(b":authority", b"")
    found = framing_fields.decisive(regular)
    hosts = found.get(framing_fields.HOST, [])
    if not any((authority, *hosts)):
        raise bad_request("no :authority and no Host")  # 8.3.1
    framing_fields.check_host(hosts or [authority], VERSION)
    framing_fields.check_host([authority], VERSION)
    if hosts and authority and hosts[0].lower() != authority.lower():
        raise bad_request("Host and :authority differ")  # 8.3.1
    protocol = known.get(b":protocol", b"")
    target = known.get(b":path", authority)
    request = WireRequest(method, target, VERSION, regular, pseudo=pseudo, authority=authority or b"".join(hosts))
    lengths = found.get(framing_fields.CONTENT_LENGTH)
    length = framing_fields.content_length(lengths) if lengths else None
    return Requested(request, length, framing_fields.expects_continue(found), protocol)


def read_trailers(fields: Fields, limits: Limits) -> Fields:
    """Validate and return trailers (8.1). Raise `ProtocolError`."""
    pseudo, regular = _apart(fields)
    if pseudo:
        raise bad_request(f"pseudo-header in the trailers: {excerpt(pseudo[0][0])}")
    _check_count(regular, limits)
    return regular


def _check_count(fields: Fields, limits: Limits) -> None:
    if len(fields) > limits.fields:
        raise ProtocolError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"{len(fields)} headers exceed the limit of {limits.fields} (ECHO_MAX_HEADERS)",
        )


def _apart(fields: Fields) -> tuple[Fields, Fields]:
    """Split a header list into pseudo-headers, which must come first, and regular headers. Raise `ProtocolError`."""
    count = sum(name.startswith(b":") for name, _ in fields)
    pseudo, regular = fields[:count], fields[count:]
    for name, _ in regular:
        if name.startswith(b":"):
            raise bad_request(f"pseudo-header after a regular header: {excerpt(name)}")  # 8.3
        if not _NAME.fullmatch(name):
            raise bad_request(f"invalid HTTP/2 header name: {excerpt(name)}")
        if name in _CONNECTION_SPECIFIC:
            raise bad_request(f"connection-specific header in HTTP/2: {excerpt(name)}")
    for name, value in fields:
        if not _VALUE.fullmatch(value):
            # The value is not reported: it may be one that ECHO_REDACT names.
            raise bad_request(f"invalid value of {excerpt(name)}: control character, or leading or trailing whitespace")
        if name == b"te" and value.lower() != b"trailers":
            raise bad_request(f"invalid te: {excerpt(value)}; must be trailers")  # 8.2.2
    return pseudo, regular


def _known(pseudo: Fields) -> Mapping[bytes, bytes]:
    known = dict(pseudo)
    if len(known) < len(pseudo):
        raise bad_request("duplicate pseudo-header")
    unknown = known.keys() - _PSEUDO
    if unknown:
        raise bad_request(f"unknown pseudo-header: {excerpt(min(unknown))}")
    if not _METHOD.fullmatch(known.get(b":method", b"")):
        raise bad_request(f"invalid :method: {excerpt(known.get(b':method', b''))}")
    if known[b":method"] == b"CONNECT" and b":protocol" not in known:
        _require(known, (b":authority",))
        if b":scheme" in known or b":path" in known:
            raise bad_request("CONNECT with :scheme or :path")  # 8.5
        return known
    _require(known, (b":scheme", b":path"))
    if b":protocol" in known and known[b":method"] != b"CONNECT":
        raise bad_request(":protocol with another method than CONNECT")  # RFC 8441, 4
    if not _SCHEME.fullmatch(known[b":scheme"]):
        raise bad_request(f"invalid :scheme: {excerpt(known[b':scheme'])}")
    if not _PATH.fullmatch(known[b":path"]):
        raise bad_request(f"invalid :path: {excerpt(known[b':path'])}")
    return known


def _require(known: Mapping[bytes, bytes], names: Sequence[bytes]) -> None:
    for name in names:
        if not known.get(name):
            raise bad_request(f"missing {name.decode()}")
