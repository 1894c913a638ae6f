"""Grammar of HTTP/1.1 requests: request line, header lines, framing.

Pure functions of bytes. Each rule is next to the RFC section that it follows; every rejection has its reason.
"""

import re
from http import HTTPStatus
from typing import Final

from app.http.errors import ProtocolError, bad_request
from app.http.request import HeaderList
from app.http.text import quote_bytes
from app.http.tokens import TCHAR_BYTES
from app.server.framing_fields import CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE, content_length, split_list
from app.server.http1.events import CHUNKED

# RFC 9110, 5.6.2
_TOKEN = TCHAR_BYTES + b"+"
# RFC 9110, 5.5: visible characters, SP, HTAB and obs-text; never CR, LF, NUL or another control character.
_FIELD_CONTENT = rb"[^\x00-\x08\x0a-\x1f\x7f]*"

# RFC 9112, 3: one space between the parts. The target is any octet that is neither control nor space: clients send raw
# UTF-8 there, and an echo reflects it.
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/([0-9])\.([0-9])")
# RFC 9112, 5: no space before the colon, no folding (a line that begins with a space is no header line). The possessive
# quantifiers prevent backtracking: for a line that fails at its end it would take quadratic time.
_HEADER_LINE = re.compile(rb"^(" + _TOKEN + rb"):[ \t]*+(" + _FIELD_CONTENT + rb"+)\r\n", re.MULTILINE)
# The part of an invalid header line that is reported: its value may belong to a header that ECHO_REDACT names.
_HEADER_NAME = re.compile(rb"^[^: \t]*+[ \t]*+:?")
# Bytes that no request line contains: control characters, except the CR and LF that end it.
_NOT_IN_REQUEST_LINE = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]")
BARE_LF: Final = re.compile(rb"(?<!\r)\n")

BARE_LF_ERROR: Final = "line ends with LF alone; CRLF is required"


def parse_request_line(line: bytes) -> tuple[bytes, bytes, str]:
    """Return method, target and version of a request line without its CRLF (RFC 9112, 3).

    Raise `ProtocolError`: 400, or 505 for another major version than 1.
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        if b"\n" in line:
            raise bad_request(BARE_LF_ERROR)  # RFC 9112, 2.2
        raise bad_request(f"invalid request line: {quote_bytes(line)}")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise ProtocolError(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "unsupported HTTP version; only HTTP/1.0 and HTTP/1.1 are supported"
        )
    return method, target, "HTTP/1." + minor.decode()


def check_incomplete_head(received: bytes) -> None:
    """Check a head that is still incomplete, of which `received` has arrived. Raise `ProtocolError`: 400, or 505.

    A client of another protocol may never send the empty line that ends a head.
    """
    line, end, _ = received.partition(b"\n")
    if not end and not _NOT_IN_REQUEST_LINE.search(line):
        return
    if end and not line.endswith(b"\r"):
        raise bad_request(BARE_LF_ERROR)  # RFC 9112, 2.2
    parse_request_line(line[:-1] if end else line)


def parse_headers(block: bytes, limit: int) -> HeaderList:
    """Parse header lines, each with its CRLF (RFC 9112, 5).

    Names and values are returned as sent, without the whitespace around the value. Raise `ProtocolError`: 400, or 431
    for more than `limit` headers.
    """
    headers = _HEADER_LINE.findall(block)
    # Every match is one whole line, so as many matches as lines means that every line is a valid header.
    if len(headers) != block.count(b"\n"):
        raise bad_request(_describe_header_error(block))
    if len(headers) > limit:
        raise ProtocolError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"{len(headers)} headers exceed the limit of {limit} (ECHO_MAX_HEADERS)",
        )
    if b" \r\n" in block or b"\t\r\n" in block:
        return tuple([(name, value.rstrip(b" \t")) for name, value in headers])
    return tuple(headers)


def _describe_header_error(block: bytes) -> str:
    for line in block.split(b"\n"):
        if _HEADER_LINE.fullmatch(line + b"\n"):
            continue
        if line.startswith((b" ", b"\t")):
            return "obsolete line folding in a header"  # RFC 9112, 5.2
        if not line.endswith(b"\r"):
            return BARE_LF_ERROR
        if b":" not in line:
            return "invalid header line: no colon"
        return f"invalid header line: {quote_bytes(_HEADER_NAME.findall(line)[0])}"
    return "invalid header lines"


def body_length(framing: dict[bytes, list[bytes]], version: str) -> int:
    """Return the number of body bytes after the head, or `CHUNKED` (RFC 9112, 6.3).

    Raise `ProtocolError`, 400 or 501: whatever two recipients could interpret differently is rejected, because it
    enables request smuggling.
    """
    lengths = framing.get(CONTENT_LENGTH, [])
    if TRANSFER_ENCODING in framing:
        if version == "HTTP/1.0":
            raise bad_request("Transfer-Encoding in HTTP/1.0; use Content-Length")  # 6.1
        if lengths:
            raise bad_request("both Transfer-Encoding and Content-Length")  # 6.3, 3
        codings = split_list(framing[TRANSFER_ENCODING])
        if codings != [b"chunked"]:
            if codings[-1:] != [b"chunked"] or codings.count(b"chunked") > 1:
                raise bad_request("invalid Transfer-Encoding: chunked must be last, and only once")  # 6.3, 4
            raise ProtocolError(
                HTTPStatus.NOT_IMPLEMENTED, "unsupported transfer coding; only chunked is supported"
            )  # 6.1
        return CHUNKED
    if not lengths:
        return 0  # 6.3, 7
    return content_length(lengths)


def keeps_alive(framing: dict[bytes, list[bytes]], version: str) -> bool:
    """Return whether the client wants the connection to persist after the response (RFC 9112, 9.3)."""
    options = split_list(framing[CONNECTION]) if CONNECTION in framing else []
    if version == "HTTP/1.0":
        return b"keep-alive" in options and b"close" not in options
    return b"close" not in options


def is_websocket_upgrade(framing: dict[bytes, list[bytes]], version: str) -> bool:
    """Return whether the client requests an upgrade to WebSocket; others are ignored (RFC 9110, 7.8)."""
    if UPGRADE not in framing or version == "HTTP/1.0" or b"upgrade" not in split_list(framing.get(CONNECTION, [])):
        return False
    return b"websocket" in split_list(framing[UPGRADE])
