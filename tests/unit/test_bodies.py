"""Bodies, measured as they arrive: facts, decoding and multipart."""

import gzip
import hashlib
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.body import (
    BODY_PREFIX_SIZE,
    EMPTY_BODY,
    NO_CONTENT_HEADERS,
    Body,
    BodyReader,
    ContentHeaders,
    DecodedBody,
    parse_content_headers,
)
from app.http.decompress import STEP_COST
from tests.requests import deliveries

MIB = 1 << 20
FORM_DATA = ContentHeaders(b"multipart/form-data", b"b")
PARTS = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nc\r\n--b--\r\n'


def measured(pieces: list[bytes], content: ContentHeaders = NO_CONTENT_HEADERS, max_decoded: int = MIB) -> Body:
    """Return the facts of a body that arrives in these pieces."""
    meter = BodyReader(content, max_decoded)
    for piece in pieces:
        meter.add_piece(piece)
        finish(meter)
    return meter.finish(chunked=False)


def finish(meter: BodyReader) -> int:
    """Finish the pending work, and return its number of steps."""
    steps = 0
    while meter.has_work:
        meter.step()
        steps += 1
    return steps


def plain(data: bytes) -> Body:
    """Return the expected facts of a body that is only measured."""
    return Body(len(data), hashlib.sha256(data).hexdigest(), chunked=False, prefix=data[:BODY_PREFIX_SIZE])


SAID: list[tuple[list[tuple[bytes, bytes]], ContentHeaders]] = [
    ([], NO_CONTENT_HEADERS),
    ([(b"Host", b"a")], NO_CONTENT_HEADERS),
    ([(b"content-TYPE", b"Text/HTML; charset=UTF-8")], ContentHeaders(b"text/html")),
    ([(b"Content-Type", b"multipart/form-data; boundary=b")], FORM_DATA),
    (
        [(b"Content-Type", b'multipart/form-data;charset=x; Boundary="b c"')],
        ContentHeaders(b"multipart/form-data", b"b c"),
    ),
    ([(b"Content-Type", b"multipart/form-data")], ContentHeaders(b"multipart/form-data")),
    ([(b"Content-Type", b"\xff\xc0;boundary=\xff")], ContentHeaders(b"\xff\xe0")),
    ([(b"Content-Type", b"a/b"), (b"Content-Type", b"a/b")], ContentHeaders(b"a/b")),
    ([(b"Content-Type", b"a/b"), (b"Content-Type", b"a/c")], NO_CONTENT_HEADERS),
    ([(b"CONTENT-encoding", b"GZip")], ContentHeaders(codings=(b"gzip",))),
    ([(b"Content-Encoding", b"a, ,b"), (b"Content-Encoding", b"c")], ContentHeaders(codings=(b"a", b"b", b"c"))),
    ([(b"Content-Encoding", b"gzip,identity")], ContentHeaders(codings=(b"gzip", b"identity"))),
    ([(b"Content-Encoding", b"identity, IDENTITY")], NO_CONTENT_HEADERS),
    ([(b"Content-Encoding", b"")], NO_CONTENT_HEADERS),
    ([(b"Transfer-Encoding", b"gzip")], NO_CONTENT_HEADERS),
]


@pytest.mark.parametrize(("fields", "content"), SAID)
def test_fields_say_how_a_body_is_read(fields: list[tuple[bytes, bytes]], content: ContentHeaders) -> None:
    """Content-Type and Content-Encoding (RFC 9110, 8.3 and 8.4) are read in any case.

    Contradictory values, which recipients may read differently, are ignored.
    """
    assert parse_content_headers(fields) == content


@given(st.data(), st.binary(max_size=100))
def test_a_body_is_measured_however_it_comes(data: st.DataObject, body: bytes) -> None:
    """A body is neither decoded nor parsed if no header asks for it, however it is delivered."""
    for pieces in data.draw(deliveries(body)):
        assert measured(pieces) == plain(body)


def test_the_beginning_is_kept() -> None:
    """Only the beginning of a body is kept, however the body is cut."""
    body = bytes(range(256)) * 300
    for by in (1, 1000, BODY_PREFIX_SIZE - 1, BODY_PREFIX_SIZE, BODY_PREFIX_SIZE + 1, MIB):
        assert measured([body[start : start + by] for start in range(0, len(body), by)]) == plain(body)


def test_no_body_is_none() -> None:
    """An empty body is no body, whatever its headers say."""
    assert measured([]) == measured([], ContentHeaders(codings=(b"gzip",))) == measured([], FORM_DATA) == EMPTY_BODY


@given(st.data(), st.binary(min_size=1, max_size=100))
def test_a_coded_body_is_measured_twice(data: st.DataObject, content: bytes) -> None:
    """An encoded body is measured as received and as decoded."""
    coded = zlib.compress(gzip.compress(content))
    codings = (b"gzip", b"identity", b"deflate")
    for pieces in data.draw(deliveries(coded)):
        body = measured(pieces, ContentHeaders(b"text/plain", codings=codings))
        assert body == Body(**fields_of(plain(coded)), decoded=DecodedBody(codings, plain(content)))


def fields_of(body: Body) -> dict[str, Any]:
    """Return the facts of a body as received."""
    return {name: getattr(body, name) for name in ("length", "sha256", "chunked", "prefix")}


def test_a_body_that_can_not_be_decoded_is_measured_all_the_same() -> None:
    """A body that can't be decoded still has the facts of the wire, and the reason why there are no others."""
    coded = gzip.compress(bytes(MIB + 1)) + b"more"
    body = measured([coded[:500], coded[500:]], ContentHeaders(codings=(b"gzip",)))
    why = f"gzip: decoded body exceeds {MIB} bytes (ECHO_MAX_DECODED)"
    assert body == Body(**fields_of(plain(coded)), decoded=DecodedBody((b"gzip",), error=why))


def test_a_body_is_decoded_in_steps() -> None:
    """Decoding takes several steps, and no decoded byte is lost."""
    content = bytes(16 * STEP_COST)
    meter = BodyReader(ContentHeaders(codings=(b"gzip",)), len(content))
    meter.add_piece(gzip.compress(content))
    assert meter.has_work
    assert finish(meter) >= 14
    decoded = meter.finish(chunked=False).decoded
    assert decoded == DecodedBody((b"gzip",), plain(content))


def test_what_is_not_coded_leaves_no_work() -> None:
    """A body without a coding leaves no pending work."""
    for content in (NO_CONTENT_HEADERS, FORM_DATA):
        meter = BodyReader(content)
        meter.add_piece(PARTS)
        meter.step()
        assert not meter.has_work


def test_a_multipart_body_has_parts() -> None:
    """An encoded multipart body has its parts in the decoded body."""
    body = measured([PARTS], FORM_DATA)
    assert body.multipart is not None
    assert [(part.name, part.length) for part in body.multipart.parts] == [(b"a", 1)]
    coded = measured([gzip.compress(PARTS)], ContentHeaders(b"multipart/form-data", b"b", (b"gzip",)))
    assert coded.multipart is None
    assert coded.decoded == DecodedBody((b"gzip",), body)


def test_a_body_is_no_more_than_measured_where_nothing_is_told_of_it() -> None:
    """A meter without arguments only measures."""
    meter = BodyReader()
    meter.add_piece(PARTS)
    assert meter.finish(chunked=False) == plain(PARTS)
