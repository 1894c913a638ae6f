"""The grammar of HTTP/1.1 as far as a server meets it: request line, fields, framing.

Pure functions over bytes. Each rule stands beside the RFC section that it follows; what is refused says why.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from app.carrier.errors import ProtocolError, bad_request
from app.wire import Fields

# RFC 9110, 5.6.2
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# RFC 9110, 5.5: visible characters, SP, HTAB and obs-text; never CR, LF, NUL or another control character.
_FIELD_CONTENT = rb"[^\x00-\x08\x0a-\x1f\x7f]*"

# RFC 9112, 3: one space between the parts. The target is any octet that is neither control nor space: clients send
# raw UTF-8 there, and an echo shows it.
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/([0-9])\.([0-9])")
# RFC 9112, 5: no space before the colon, no folding (a line that begins with one is no field line). What was matched is
# never tried otherwise (`+` behind `*`): where the line fails at its end, that would take quadratic time.
_FIELD_LINE = re.compile(rb"^(" + _TOKEN + rb"):[ \t]*+(" + _FIELD_CONTENT + rb"+)\r\n", re.MULTILINE)
# What no request line has: control characters, but for the CR and LF that end it.
_NO_REQUEST_LINE = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]")
# RFC 9112, 3.2 and RFC 3986, 3.2.2: uri-host [":" port]. The inside of brackets is not taken apart.
_HOST = re.compile(
    rb"(?:\[[A-Za-z0-9\-._~!$&'()*+,;=:%]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+)(?::[0-9]*)?"
)
_DIGITS = re.compile(rb"[0-9]+")

# Names that decide how a message is read. Others are only shown.
HOST: Final = b"host"
CONTENT_LENGTH: Final = b"content-length"
TRANSFER_ENCODING: Final = b"transfer-encoding"
CONNECTION: Final = b"connection"
EXPECT: Final = b"expect"
UPGRADE: Final = b"upgrade"
_DECISIVE = frozenset({HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT, UPGRADE})

_UPGRADES = frozenset({b"websocket", b"h2c"})  # RFC 6455, 4.1; RFC 7540, 3.2

WITHOUT_CR: Final = "a line that ends without CR"
_EXCERPT: Final = 40  # bytes of what was wrong that are shown
_LENGTH_DIGITS: Final = 18  # more are beyond any limit, and beyond what int() should be asked to read

CHUNKED: Final = -1  # a body's length when chunks carry it


def excerpt(raw: bytes) -> str:
    """Show the beginning of what was wrong, in one line of ASCII."""
    return ascii(raw[:_EXCERPT] + (b"..." if len(raw) > _EXCERPT else b""))[1:]


def parse_request_line(line: bytes) -> tuple[bytes, bytes, str]:
    """Give method, target and version of a request line without its CRLF (RFC 9112, 3).

    Raises `ProtocolError`: 400, or 505 for another major version than 1.
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        if b"\n" in line:
            raise bad_request(WITHOUT_CR)  # RFC 9112, 2.2
        raise bad_request(f"not a request line: {excerpt(line)}")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise ProtocolError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    return method, target, "HTTP/1." + minor.decode()


def check_beginning(begun: bytes) -> None:
    """Refuse what can't become a request, before its head is whole: another protocol may never send an empty line.

    `begun` is all that has come of the head.
    """
    line, end, _ = begun.partition(b"\n")
    if not end and not _NO_REQUEST_LINE.search(line):
        return
    if end and not line.endswith(b"\r"):
        raise bad_request(WITHOUT_CR)  # RFC 9112, 2.2
    parse_request_line(line[:-1] if end else line)


def parse_fields(block: bytes, most: int, most_bytes: int) -> Fields:
    """Give the fields of a block of field lines, each line with its CRLF (RFC 9112, 5).

    Names and values are as sent, without the white space around the value. Raises `ProtocolError`: 400, or 431
    for more than `most` fields, or one of more than `most_bytes`.
    """
    fields = _FIELD_LINE.findall(block)
    # Every match takes one whole line, so that as many matches as lines means that all of the block was a field.
    if len(fields) != block.count(b"\n"):
        raise bad_request(_what_is_wrong(block))
    if len(fields) > most:
        raise ProtocolError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"{len(fields)} fields; at most {most} are taken"
        )
    if len(block) > most_bytes:
        check_field_sizes(fields, most_bytes)
    return tuple((name, value.rstrip(b" \t")) for name, value in fields)


def check_field_sizes(fields: Iterable[tuple[bytes, bytes]], most: int) -> None:
    """Refuse a field whose name and value have more than `most` bytes (RFC 6585, 5)."""
    for name, value in fields:
        if len(name) + len(value) > most:
            raise ProtocolError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a field above {most} bytes: {excerpt(name)}"
            )


def _what_is_wrong(block: bytes) -> str:
    for line in block.split(b"\n"):
        if _FIELD_LINE.fullmatch(line + b"\n"):
            continue
        if line.startswith((b" ", b"\t")):
            return f"a folded field line: {excerpt(line)}"  # RFC 9112, 5.2
        if not line.endswith(b"\r"):
            return WITHOUT_CR
        return f"not a field line: {excerpt(line)}"
    return "not field lines"


def decisive(fields: Fields) -> dict[bytes, list[bytes]]:
    """Give the values of the fields that decide how the message is read, by lower-case name."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        lower = name.lower()
        if lower in _DECISIVE:
            found.setdefault(lower, []).append(value)
    return found


def elements(values: list[bytes]) -> list[bytes]:
    """Give the lower-case elements of a field that is a list (RFC 9110, 5.6.1)."""
    return [element for value in values for part in value.split(b",") if (element := part.strip(b" \t").lower())]


def check_host(hosts: list[bytes], version: str) -> None:
    """Refuse a request whose Host is missing, doubled or malformed (RFC 9112, 3.2)."""
    if len(hosts) > 1:
        raise bad_request("more than one Host field")
    if not hosts and version != "HTTP/1.0":
        raise bad_request("no Host field")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise bad_request(f"not a host: {excerpt(hosts[0])}")


def body_length(found: dict[bytes, list[bytes]], version: str) -> int:
    """Give how many bytes of body follow the head, or `CHUNKED` (RFC 9112, 6.3).

    Anything that two recipients could read differently is refused: it is how requests are smuggled.
    """
    lengths = found.get(CONTENT_LENGTH, [])
    if TRANSFER_ENCODING in found:
        if version == "HTTP/1.0":
            raise bad_request("Transfer-Encoding in HTTP/1.0")  # 6.1
        if lengths:
            raise bad_request("both Transfer-Encoding and Content-Length")  # 6.3, 3
        codings = elements(found[TRANSFER_ENCODING])
        if codings != [b"chunked"]:
            if codings[-1:] != [b"chunked"] or codings.count(b"chunked") > 1:
                raise bad_request("Transfer-Encoding that does not end in one chunked")  # 6.3, 4
            raise ProtocolError(HTTPStatus.NOT_IMPLEMENTED, "chunked is the only transfer coding read here")  # 6.1
        return CHUNKED
    if not lengths:
        return 0  # 6.3, 7
    if len(lengths) > 1:
        raise bad_request("more than one Content-Length field")
    if not _DIGITS.fullmatch(lengths[0]):
        raise bad_request(f"not a Content-Length: {excerpt(lengths[0])}")
    if len(lengths[0].lstrip(b"0")) > _LENGTH_DIGITS:
        raise ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of {excerpt(lengths[0])} bytes")
    return int(lengths[0])


def keeps_alive(found: dict[bytes, list[bytes]], version: str) -> bool:
    """Tell whether the client wants the connection kept after the answer (RFC 9112, 9.3)."""
    options = elements(found[CONNECTION]) if CONNECTION in found else []
    if version == "HTTP/1.0":
        return b"keep-alive" in options and b"close" not in options
    return b"close" not in options


def expects_continue(found: dict[bytes, list[bytes]]) -> bool:
    """Tell whether the client waits for 100 before it sends its body (RFC 9110, 10.1.1).

    Raises `ProtocolError`: 417 for another expectation.
    """
    if EXPECT not in found:
        return False
    if set(elements(found[EXPECT])) != {b"100-continue"}:
        raise ProtocolError(HTTPStatus.EXPECTATION_FAILED, "100-continue is the only expectation known here")
    return True


def upgrade(found: dict[bytes, list[bytes]], version: str) -> bytes:
    """Give the protocol that the client would rather speak, if it is known here, or nothing (RFC 9110, 7.8)."""
    if UPGRADE not in found or version == "HTTP/1.0" or b"upgrade" not in elements(found.get(CONNECTION, [])):
        return b""
    return next((each for each in elements(found[UPGRADE]) if each in _UPGRADES), b"")
