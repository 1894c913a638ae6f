"""Parts of multipart content: measured as they arrive, with errors."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.multipart import MAX_BOUNDARY, MAX_PARTS, Multipart, MultipartReader, Part
from tests.requests import deliveries

BOUNDARY = b"a boundary"


def measured(pieces: list[bytes], boundary: bytes = BOUNDARY) -> Multipart:
    """Return the parts of content that arrives in these pieces."""
    meter = MultipartReader(boundary)
    for piece in pieces:
        meter.parse_piece(piece)
    return meter.finish_parts()


def content(*parts: bytes, end: bytes = b"--a boundary--\r\n") -> bytes:
    """Return multipart content of parts, each with its headers and the empty line."""
    return b"".join(b"--a boundary\r\n" + part + b"\r\n" for part in parts) + end


def part(data: bytes, name: bytes | None = None, filename: bytes | None = None, kind: bytes | None = None) -> Part:
    """Return the expected facts of a part."""
    return Part(name, filename, kind, len(data), hashlib.sha256(data).hexdigest())


FORM = b"Content-Disposition: form-data; name="
TAKEN = {
    "a field": (content(FORM + b'"a"\r\n\r\nb'), [part(b"b", b"a")]),
    "an empty field": (content(FORM + b'"a"\r\n\r\n'), [part(b"", b"a")]),
    "an empty name": (content(FORM + b'""\r\n\r\nb'), [part(b"b", b"")]),
    "a file": (
        content(FORM + b'"a"; filename="b.txt"\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\nc\r\n'),
        [part(b"c\r\n", b"a", b"b.txt", b"text/plain; charset=UTF-8")],
    ),
    "fields in any case": (
        content(b"content-disposition: FORM-DATA; NAME=a\r\nCONTENT-TYPE: A/B\r\n\r\nc"),
        [part(b"c", b"a", None, b"A/B")],
    ),
    "two of one name": (
        content(FORM + b'"a"\r\n\r\n1', FORM + b'"a"\r\n\r\n2'),
        [part(b"1", b"a"), part(b"2", b"a")],
    ),
    "names in UTF-8": (
        content(FORM + '"ü"; filename="€"\r\n\r\n'.encode()),
        [part(b"", "ü".encode(), "€".encode())],
    ),
    "names of any bytes": (content(FORM + b'"\xff\x80"; filename="\xfe"\r\n\r\n'), [part(b"", b"\xff\x80", b"\xfe")]),
    "names as browsers escape them": (
        content(FORM + b'"a%22%0D%0Ab"; filename="%22"\r\n\r\n'),
        [part(b"", b'a"\r\nb', b'"')],
    ),
    "a name with semicolons": (content(FORM + b'"a; filename=b"\r\n\r\n'), [part(b"", b"a; filename=b")]),
    "a filename with its path": (
        content(FORM + b'"a"; filename="C:\\b\\c.txt"\r\n\r\n'),
        [part(b"", b"a", b"C:\\b\\c.txt")],
    ),
    "parts without a disposition (RFC 2046, 5.1.1)": (
        content(b"Content-Type: text/plain\r\n\r\na", b"\r\nb"),
        [part(b"a", None, None, b"text/plain"), part(b"b")],
    ),
    "an attachment (RFC 2183)": (
        content(b"Content-Disposition: attachment; filename=a\r\n\r\nb"),
        [part(b"b", None, b"a")],
    ),
    "data that looks like a boundary": (
        content(FORM + b'"a"\r\n\r\n\r\n--a boundarx\r\n-a boundary--\r'),
        [part(b"\r\n--a boundarx\r\n-a boundary--\r", b"a")],
    ),
    "a preamble and an epilogue (RFC 2046, 5.1.1)": (
        b"to be ignored\r\n" + content(FORM + b'"a"\r\n\r\nb') + b"to be ignored, too",
        [part(b"b", b"a")],
    ),
    "a preamble that names the boundary within its lines (RFC 2046, 5.1.1)": (
        b"a --a boundary\n--a boundary\r\nb\r\n" + content(FORM + b'"a"\r\n\r\nb'),
        [part(b"b", b"a")],
    ),
    "no line break at its end": (content(FORM + b'"a"\r\n\r\nb', end=b"--a boundary--"), [part(b"b", b"a")]),
    "no part": (content(), []),
    "as many parts as may be": (content(*[b"\r\n"] * MAX_PARTS), [part(b"")] * MAX_PARTS),
}


@pytest.mark.parametrize("by", [10**6, 7, 1], ids=["whole", "in sevens", "byte by byte"])
@pytest.mark.parametrize("case", TAKEN)
def test_parts_are_told_as_they_came(case: str, by: int) -> None:
    """Parts are in order, with duplicates, for any kind of multipart, and wherever the cuts are."""
    wire, parts = TAKEN[case]
    pieces = [wire[start : start + by] for start in range(0, len(wire), by)]
    assert measured(pieces) == Multipart(tuple(parts))


REFUSED = {
    "nothing": (b"", "the last boundary is missing"),
    "something else": (b"a=b", "the last boundary is missing"),
    "no end": (content(FORM + b'"a"\r\n\r\nb', end=b""), "the last boundary is missing"),
    "an end within the fields": (content(FORM + b'"a"', end=b""), "the last boundary is missing"),
    "half an end": (content(FORM + b'"a"\r\n\r\nb', end=b"--a boundary-"), "the last boundary is missing"),
    "a line feed alone": (content(FORM + b'"a"\nB: c\r\n\r\nd'), "Invalid line break in segment header"),
    "more behind a boundary": (content(b"\r\na", end=b"--a boundary?\r\n"), "Unexpected bytes after boundary"),
    "a field without a colon": (content(b"nonsense\r\n\r\n"), "Malformed segment header"),
    "a field with no name": (content(b": a\r\n\r\n"), "Invalid segment header name"),
    "a field of 4 KiB": (content(b"A: " + b"a" * 4096 + b"\r\n\r\n"), "Maximum segment header length exceeded"),
    "nine fields": (content(b"A: b\r\n" * 9 + b"\r\n"), "Maximum segment header count exceeded"),
    "one part too many": (content(*[b"\r\n"] * (MAX_PARTS + 1)), "Maximum segment count exceeded"),
    "names of more than 64 KiB": (
        content(*[FORM + b"a" * 4000 + b"\r\n\r\n"] * 17),
        "names and types exceed 65536 bytes",
    ),
    "a part that is shorter than it says": (
        content(b"Content-Length: 2\r\n\r\na"),
        "Segment size does not match Content-Length header",
    ),
}


@pytest.mark.parametrize("by", [10**6, 7, 1], ids=["whole", "in sevens", "byte by byte"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_broken_content_says_why(case: str, by: int) -> None:
    """Invalid content has one line with the reason, and no parts."""
    wire, why = REFUSED[case]
    pieces = [wire[start : start + by] for start in range(0, len(wire), by)]
    assert measured(pieces) == Multipart(error=why)


@pytest.mark.parametrize(
    ("boundary", "why"),
    [
        (b"", "no boundary in Content-Type"),
        (b"a" * (MAX_BOUNDARY + 1), "boundary exceeds 70 bytes"),
        (b"a\nb", "line break in the boundary"),
    ],
)
def test_a_boundary_that_can_not_be_says_why(boundary: bytes, why: str) -> None:
    """An invalid boundary is reported (RFC 2046, 5.1.1)."""
    assert measured([content(b"\r\na")], boundary) == Multipart(error=why)


@given(st.data(), st.lists(st.tuples(st.binary(max_size=30), st.text("ab", max_size=3)), max_size=4))
def test_every_part_is_measured_to_the_byte(data: st.DataObject, parts: list[tuple[bytes, str]]) -> None:
    """Every part is measured exactly, whatever is in it, and wherever the cuts are."""
    wire = content(*[FORM + b'"%s"\r\n\r\n%s' % (name.encode(), value) for value, name in parts])
    for pieces in data.draw(deliveries(wire)):
        assert measured(pieces) == Multipart(tuple(part(value, name.encode()) for value, name in parts))


@given(st.data(), st.lists(st.sampled_from([BOUNDARY, b"--", b"\r", b"\n", b"\r\n", b": ", FORM, b'"', b"\xff", b" "])))
def test_no_bytes_are_too_wild(data: st.DataObject, scraps: list[bytes]) -> None:
    """Any bytes have parts, or a line with the reason why not."""
    for pieces in data.draw(deliveries(b"".join(scraps))):
        found = measured(pieces)
        assert not (found.parts and found.error)
