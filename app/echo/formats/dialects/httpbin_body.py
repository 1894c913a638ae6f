"""What go-httpbin reads out of a body: its text, and what its Content-Type promises."""

from base64 import urlsafe_b64encode
from typing import Any, Final

import msgspec
from msgspec import UNSET
from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped] # no types

from app.echo.formats.dialects import go_http
from app.echo.reflection.body import reflect_body
from app.http.body import content_of
from app.http.multipart import MAX_BOUNDARY, MAX_PARTS
from app.http.request import WireRequest

_TEXTS: Final = frozenset(("text/html", "text/plain"))
_MULTIPART: Final = "multipart/form-data"
_JSON: Final = "application/json"
_UNKNOWN: Final = "application/octet-stream"
# Methods of whose requests go-httpbin has a form read, too.
_FORM_METHODS: Final = go_http.FORM_METHODS | {b"DELETE", b"GET"}
_MOST_HEADERS: Final = 8  # of a part
_MOST_HEADER: Final = 4096  # bytes of one of them


class BodyError(ValueError):
    """What is wrong with a body."""


class Parsed(msgspec.Struct, frozen=True):
    """A body: `data` as text or, of an unknown type, as a data URL; the values of a form; files; JSON as written.

    Where only the beginning is kept, `data` is that, and nothing else is read out of it.
    """

    data: str = ""
    form: go_http.Values = {}
    files: go_http.Values = {}
    json: Any = None


def parsed(request: WireRequest) -> Parsed:
    """Read a request's body. Raises `BodyError` where it is not what its type promises."""
    body = request.body
    if not body.length:
        return Parsed()
    value = go_http.text(go_http.first(go_http.header(request), "Content-Type"))
    media_type = value.partition(";")[0]
    data = go_http.text(body.kept)
    if media_type in _TEXTS:
        return Parsed(data)
    if media_type not in {go_http.FORM, _MULTIPART, _JSON}:
        coded = urlsafe_b64encode(body.kept).decode("ascii")
        return Parsed(f"data:{media_type or _UNKNOWN};base64,{coded}")
    if not go_http.is_whole(body):
        return Parsed(data)
    try:
        return _read(request, media_type, data)
    except BodyError as error:
        raise BodyError(f"error parsing request body: {error}") from None


def _read(request: WireRequest, media_type: str, data: str) -> Parsed:
    if media_type == go_http.FORM:
        if request.method not in _FORM_METHODS:
            return Parsed(data)
        form, wrong = go_http.values_of(request.body.kept)
        wrong = wrong or go_http.query_mistake(request)
        if wrong:
            raise BodyError(wrong)
        return Parsed(data, form)
    if media_type == _MULTIPART:
        return Parsed(data, *_parts(request))
    # Numbers, the order of names and doubled ones stay as they were written.
    value = reflect_body(request.body, ((b"Content-Type", media_type.encode()),)).json
    if value is UNSET:
        raise BodyError("not JSON that can be shown")
    return Parsed(data, json=value)


def _parts(request: WireRequest) -> tuple[go_http.Values, go_http.Values]:
    """Give the values and the files of a multipart body, by name, sorted. Raises `BodyError`."""
    boundary = content_of(request.fields).boundary
    if not boundary:
        raise BodyError("no multipart boundary param in Content-Type")
    if len(boundary) > MAX_BOUNDARY:
        raise BodyError(f"a boundary above {MAX_BOUNDARY} bytes")
    form: dict[str, list[str]] = {}
    files: dict[str, list[str]] = {}
    try:
        for segment, content in _segments(request.body.kept, boundary):
            values = form if segment.filename is None else files
            values.setdefault(_name(segment.name), []).append(go_http.text(content))
    except MultipartError as error:
        raise BodyError(f"multipart: {error.args[0]}") from None
    return dict(sorted(form.items())), dict(sorted(files.items()))


def _segments(body: bytes, boundary: bytes) -> list[tuple[MultipartSegment, bytes]]:
    found: list[tuple[MultipartSegment, bytes]] = []
    parser = PushMultipartParser(
        boundary,
        max_header_size=_MOST_HEADER,
        max_header_count=_MOST_HEADERS,
        max_segment_count=MAX_PARTS,
        header_charset="latin-1",
    )
    with parser:
        segment, content = None, bytearray()
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                segment, content = event, bytearray()
            elif event:
                content += event
            elif segment is not None:
                found.append((segment, bytes(content)))
    return found


def _name(name: str) -> str:
    return go_http.text(name.encode("latin-1"))
