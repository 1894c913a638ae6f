"""The body in the reflection: size, digest, beginning, parsed content.

JSON and forms are parsed only if the beginning is the whole body.
"""

import codecs
from base64 import b64encode
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType, structs

from app.http.body import Body, DecodedBody, parse_content_headers
from app.http.multipart import Part
from app.http.request import HeaderList, decode_lossless, decode_lossless_pairs, parse_query

FORM_TYPE: Final = b"application/x-www-form-urlencoded"
JSON_TYPE: Final = b"application/json"
JSON_SUFFIX: Final = b"+json"  # RFC 6839, 3.1

# Maximum nesting depth of JSON in the reflection: indentation makes the depth a factor of the response's length, and at
# this depth 64 KiB become at most some 4 MB.
MAX_DEPTH: Final = 64


class ReflectedContent(msgspec.Struct, frozen=True):
    """A decoded body, or the reason why it was not decoded.

    `codings` are those in Content-Encoding; `refused` is the reason, in one line. The other attributes mean the same as
    those of `ReflectedBody`.
    """

    codings: list[str]
    length: int | UnsetType = UNSET
    sha256: str | UnsetType = UNSET
    truncated: bool | UnsetType = UNSET
    text: str | UnsetType = UNSET
    base64: str | UnsetType = UNSET
    refused: str | UnsetType = UNSET


class ReflectedPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One part of a multipart body.

    `length` is that of its content in bytes, `sha256` the digest of its content; the other attributes are from its
    headers.
    """

    name: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    content_type: str | UnsetType = UNSET
    length: int
    sha256: str


class ReflectedBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request.

    `length` in bytes and `sha256` are those of the whole body. Its beginning is in `text` if it is UTF-8, else in
    `base64`; `truncated` means that the beginning is not the whole. `decoded` is the same without content codings.

    These depend on Content-Type, and are also without content codings:

    - `json`: the body, unchanged, if it is valid and shown as a whole
    - `form`: its pairs, if it is shown as a whole
    - `multipart`: its parts; `multipart_refused`: the reason why they can't be parsed
    """

    length: int
    sha256: str
    chunked: bool
    truncated: bool
    text: str | UnsetType = UNSET
    base64: str | UnsetType = UNSET
    decoded: ReflectedContent | UnsetType = UNSET
    json: Raw | UnsetType = UNSET
    form: list[tuple[str, str]] | UnsetType = UNSET
    multipart: list[ReflectedPart] | UnsetType = UNSET
    multipart_refused: str | UnsetType = UNSET


def reflect_body(body: Body, headers: HeaderList) -> ReflectedBody:
    """Return the reflection of a body with these headers."""
    if not body.length:
        return ReflectedBody(0, body.sha256, body.chunked, truncated=False, text="")
    text, base64 = _prefix_as_text(body)
    reflected_body = ReflectedBody(body.length, body.sha256, body.chunked, _is_truncated(body), text, base64)
    content_headers = parse_content_headers(headers)
    # A body with content codings that was not decoded can't be parsed.
    decoded_body = body.decoded.content if body.decoded else None if content_headers.codings else body
    complete_body = decoded_body.prefix if decoded_body and not _is_truncated(decoded_body) else None
    multipart = decoded_body.multipart if decoded_body else None
    return structs.replace(
        reflected_body,
        decoded=_reflect_decoded(body.decoded) if body.decoded else UNSET,
        json=_raw_json(complete_body) if complete_body is not None and _is_json(content_headers.media_type) else UNSET,
        form=decode_lossless_pairs(parse_query(complete_body))
        if complete_body is not None and content_headers.media_type == FORM_TYPE
        else UNSET,
        multipart=[_reflect_part(part) for part in multipart.parts] if multipart and not multipart.error else UNSET,
        multipart_refused=multipart.error if multipart and multipart.error else UNSET,
    )


def _is_truncated(body: Body) -> bool:
    return body.length > len(body.prefix)


def _prefix_as_text(body: Body) -> tuple[str | UnsetType, str | UnsetType]:
    """Return the kept bytes as text, or in base64 if they are not UTF-8; the other is `UNSET`."""
    try:
        # Truncation may split a character, whose incomplete bytes are omitted.
        text, _ = codecs.utf_8_decode(body.prefix, "strict", not _is_truncated(body))
    except UnicodeDecodeError:
        return UNSET, b64encode(body.prefix).decode("ascii")
    return text, UNSET


def _reflect_decoded(decoded: DecodedBody) -> ReflectedContent:
    names = [decode_lossless(coding) for coding in decoded.codings]
    content = decoded.content
    if content is None:
        return ReflectedContent(names, refused=decoded.error)
    return ReflectedContent(names, content.length, content.sha256, _is_truncated(content), *_prefix_as_text(content))


def _is_json(media_type: bytes) -> bool:
    return media_type == JSON_TYPE or media_type.endswith(JSON_SUFFIX)


def _raw_json(text: bytes) -> Raw | UnsetType:
    """Return JSON unchanged, with its numbers, the order of its keys, and duplicate keys.

    Clients parse the response that contains it. Return `UNSET` for JSON that is invalid (RFC 8259) or beyond what
    parsers accept (a number out of range, nesting too deep).
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return UNSET
    return UNSET if _is_deeper(value, MAX_DEPTH) else Raw(text)


def _is_deeper(value: Any, limit: int) -> bool:
    """Return whether arrays and objects are nested more than so many levels deep."""
    nested = _nested_containers([value])
    for _ in range(limit):
        if not nested:
            return False
        nested = [inner for outer in nested for inner in _nested_containers(outer)]
    return bool(nested)


def _nested_containers(values: dict[str, Any] | list[Any]) -> list[dict[str, Any] | list[Any]]:
    items = values.values() if isinstance(values, dict) else values
    return [item for item in items if isinstance(item, dict | list)]


def _reflect_part(part: Part) -> ReflectedPart:
    return ReflectedPart(
        name=_optional_text(part.name),
        filename=_optional_text(part.filename),
        content_type=_optional_text(part.content_type),
        length=part.length,
        sha256=part.sha256,
    )


def _optional_text(raw: bytes | None) -> str | UnsetType:
    return UNSET if raw is None else decode_lossless(raw)
