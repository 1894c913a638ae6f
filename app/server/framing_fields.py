"""Headers that decide framing, in every version of HTTP (RFC 9110)."""

import re
from http import HTTPStatus
from typing import Final

from app.http.errors import ProtocolError, bad_request
from app.http.headers.names import BoundedCache
from app.http.request import HeaderList
from app.http.text import quote_bytes

# RFC 9112, 3.2 and RFC 3986, 3.2.2: uri-host [":" port]. The content of brackets is not parsed.
_HOST = re.compile(
    rb"(?:\[[A-Za-z0-9\-._~!$&'()*+,;=:%]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+)(?::[0-9]*)?"
)
_DIGITS = re.compile(rb"[0-9]+")

# Names that decide how a message is parsed. Others are only reflected.
HOST: Final = b"host"
CONTENT_LENGTH: Final = b"content-length"
TRANSFER_ENCODING: Final = b"transfer-encoding"
CONNECTION: Final = b"connection"
EXPECT: Final = b"expect"
UPGRADE: Final = b"upgrade"
_FRAMING_NAMES = frozenset({HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT, UPGRADE})

_MAX_LENGTH_DIGITS: Final = 18  # larger numbers exceed any limit, and what int() should be asked to parse


def framing_values(headers: HeaderList) -> dict[bytes, list[bytes]]:
    """Return the values of the headers that decide how the message is parsed, by lower-case name."""
    framing: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        lower = _framing_name(name)
        if lower:
            framing.setdefault(lower, []).append(value)
    return framing


def _uncached_framing_name(name: bytes) -> bytes:
    lower = name.lower()
    return lower if lower in _FRAMING_NAMES else b""


_framing_name = BoundedCache(_uncached_framing_name).__getitem__


def _uncached_host_error(host: bytes) -> str:
    return "" if _HOST.fullmatch(host) else f"invalid host: {quote_bytes(host)}"


_host_error = BoundedCache(_uncached_host_error).__getitem__


def split_list(values: list[bytes]) -> list[bytes]:
    """Return the lower-case elements of a list header (RFC 9110, 5.6.1)."""
    return [element for value in values for part in value.split(b",") if (element := part.strip(b" \t").lower())]


def check_host(hosts: list[bytes], version: str) -> None:
    """Check Host. Raise `ProtocolError`, 400, if it is missing, repeated or malformed (RFC 9112, 3.2)."""
    if len(hosts) > 1:
        raise bad_request("more than one Host header")
    if not hosts and version != "HTTP/1.0":
        raise bad_request("no Host header")
    if hosts and (error := _host_error(hosts[0])):
        raise bad_request(error)


def content_length(values: list[bytes]) -> int:
    """Return the body length in the only Content-Length (RFC 9110, 8.6; RFC 9112, 6.3).

    Raise `ProtocolError`: 400 for anything but one number, 413 for one beyond any limit.
    """
    if len(values) > 1:
        raise bad_request("more than one Content-Length header")
    if not _DIGITS.fullmatch(values[0]):
        raise bad_request(f"invalid Content-Length: {quote_bytes(values[0])}")
    if len(values[0].lstrip(b"0")) > _MAX_LENGTH_DIGITS:
        reason = f"request body of {quote_bytes(values[0])} bytes is too large (ECHO_MAX_BODY)"
        raise ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
    return int(values[0])


def expects_continue(framing: dict[bytes, list[bytes]]) -> bool:
    """Return whether the client waits for 100 before it sends its body (RFC 9110, 10.1.1).

    Raise `ProtocolError`: 417 for another expectation.
    """
    if EXPECT not in framing:
        return False
    if set(split_list(framing[EXPECT])) != {b"100-continue"}:
        raise ProtocolError(HTTPStatus.EXPECTATION_FAILED, "unsupported expectation; only 100-continue is supported")
    return True
