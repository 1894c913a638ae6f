"""Redaction of the headers in ECHO_REDACT.

Values are masked in the request itself, before anything is derived from it.
"""

import re
from typing import Final

from msgspec import structs

from app.http.request import HeaderList, HttpRequest
from app.http.text import quote_excerpt
from app.http.tokens import TCHAR

MASK: Final = "***"

# Name of a header or pseudo-header (RFC 9113, 8.3).
_NAME = re.compile(f":?{TCHAR}+")
_MASK_BYTES: Final = MASK.encode("ascii")
_HEADER_LINE = re.compile(rb"^([^:\r\n]++)(:[ \t]*+)([^\r\n]*+)", re.MULTILINE)

_HOST: Final = b"host"
_AUTHORITY: Final = b":authority"
_PATH: Final = b":path"


def parse_header_names(text: str) -> frozenset[bytes]:
    """Parse a comma-separated list of header names; return them in lower case.

    Raise `ValueError` with a sentence that quotes the invalid name.
    """
    stripped_names = [part for element in text.split(",") if (part := element.strip())]
    for part in stripped_names:
        if not _NAME.fullmatch(part):
            raise ValueError(f"{quote_excerpt(part)} is not a header name, such as Authorization")
    return frozenset(part.lower().encode("ascii") for part in stripped_names)


def redact(request: HttpRequest, names: frozenset[bytes]) -> HttpRequest:
    """Return a request in which the headers of these names (lower case) have the value `***`.

    This applies to headers, trailers and the raw request head, whose other bytes are unchanged; the request itself is
    returned if it has none of them. A pseudo-header is masked if it is listed (`:path`), with the values derived from
    it. Host and `:authority` are the same (RFC 9113, 8.3.1). A target in absolute-form is not a header: its authority
    is unchanged, and so is the query of any target.
    """
    if not names:
        return request
    if _HOST in names or _AUTHORITY in names:
        names |= {_HOST, _AUTHORITY}
    headers, trailers, pseudo_headers = (
        _mask_values(pairs, names) for pairs in (request.headers, request.trailers, request.pseudo)
    )
    if headers is request.headers and trailers is request.trailers and pseudo_headers is request.pseudo:
        return request
    masked_pseudo = {name for name, _ in pseudo_headers} & names
    # The target of a CONNECT is `:authority`.
    hides_target = _PATH in masked_pseudo or (_AUTHORITY in masked_pseudo and request.target == request.authority)
    return structs.replace(
        request,
        target=_MASK_BYTES if hides_target else request.target,
        headers=headers,
        trailers=trailers,
        head=_mask_head(request.head, names) if headers is not request.headers else request.head,
        pseudo=pseudo_headers,
        memo=None,
        authority=_MASK_BYTES if _AUTHORITY in masked_pseudo else request.authority,
    )


def _mask_values(headers: HeaderList, names: frozenset[bytes]) -> HeaderList:
    if not any(name.lower() in names for name, _ in headers):
        return headers
    return tuple((name, _MASK_BYTES if name.lower() in names else value) for name, value in headers)


def _mask_head(head: bytes, names: frozenset[bytes]) -> bytes:
    """Mask values in the header lines of a request head; the request line can't match a header name."""

    def mask_line(line: re.Match[bytes]) -> bytes:
        name, separator, value = line.groups()
        # White space around a value is not part of it and stays.
        return name + separator + _MASK_BYTES + value[len(value.rstrip(b" \t")) :] if name.lower() in names else line[0]

    request_line, line_end, header_lines = head.partition(b"\r\n")
    return request_line + line_end + _HEADER_LINE.sub(mask_line, header_lines)
