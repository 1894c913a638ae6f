"""Redaction of the headers in ECHO_REDACT.

Values are masked in the request itself, before anything is derived from it.
"""

import re
from typing import Final

from msgspec import structs

from app.http.headers.forwarded import TCHARS
from app.http.request import Fields, WireRequest
from app.http.text import quoted

MASK: Final = "***"

# Name of a header or pseudo-header (RFC 9113, 8.3).
_NAME = re.compile(f":?{TCHARS}")
_HIDDEN: Final = MASK.encode("ascii")
_FIELD_LINE = re.compile(rb"^([^:\r\n]++)(:[ \t]*+)([^\r\n]*+)", re.MULTILINE)

_HOST: Final = b"host"
_AUTHORITY: Final = b":authority"
_PATH: Final = b":path"


def names(text: str) -> frozenset[bytes]:
    """Parse a comma-separated list of header names; return them in lower case.

    Raise `ValueError` with a sentence that quotes the invalid name.
    """
    found = [part for each in text.split(",") if (part := each.strip())]
    for part in found:
        if not _NAME.fullmatch(part):
            raise ValueError(f"{quoted(part)} is not a header name, such as Authorization")
    return frozenset(part.lower().encode("ascii") for part in found)


def redacted(request: WireRequest, names: frozenset[bytes]) -> WireRequest:
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
    fields, trailers, pseudo = (_masked(each, names) for each in (request.fields, request.trailers, request.pseudo))
    if fields is request.fields and trailers is request.trailers and pseudo is request.pseudo:
        return request
    hidden = {name for name, _ in pseudo} & names
    # The target of a CONNECT is `:authority`.
    no_target = _PATH in hidden or (_AUTHORITY in hidden and request.target == request.authority)
    return structs.replace(
        request,
        target=_HIDDEN if no_target else request.target,
        fields=fields,
        trailers=trailers,
        head=_masked_head(request.head, names) if fields is not request.fields else request.head,
        pseudo=pseudo,
        made=None,
        authority=_HIDDEN if _AUTHORITY in hidden else request.authority,
    )


def _masked(fields: Fields, names: frozenset[bytes]) -> Fields:
    if not any(name.lower() in names for name, _ in fields):
        return fields
    return tuple((name, _HIDDEN if name.lower() in names else value) for name, value in fields)


def _masked_head(head: bytes, names: frozenset[bytes]) -> bytes:
    """Mask values in the header lines of a request head; the request line can't match a header name."""

    def masked(line: re.Match[bytes]) -> bytes:
        name, before, value = line.groups()
        # White space around a value is not part of it and stays.
        return name + before + _HIDDEN + value[len(value.rstrip(b" \t")) :] if name.lower() in names else line[0]

    request_line, end, fields = head.partition(b"\r\n")
    return request_line + end + _FIELD_LINE.sub(masked, fields)
