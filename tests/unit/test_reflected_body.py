"""The body in the reflection."""

import gzip
import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from app.config import downward_api
from app.echo.reflection.body import MAX_DEPTH, reflect_body
from app.http.body import BODY_PREFIX_SIZE, EMPTY_BODY, BodyReader, parse_content_headers
from app.http.connection_info import Endpoint
from app.http.request import ConnectionInfo, HeaderList, HttpRequest
from tests.unit.test_reflection import pretty_json

NOWHERE = downward_api.read_pod_info({})
TCP = ConnectionInfo(client=Endpoint("192.0.2.1", 1234), server=Endpoint("192.0.2.2", 8080))
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=b"


def fields(content_type: bytes = b"", coding: bytes = b"") -> HeaderList:
    """Return headers with this type and coding of a body, if any."""
    said = ((b"Content-Type", content_type), (b"Content-Encoding", coding))
    return tuple(field for field in said if field[1])


def shown_text(body: bytes, said: HeaderList = (), max_decoded: int = 1 << 20) -> bytes:
    """Return the JSON of a body, indented."""
    meter = BodyReader(parse_content_headers(said), max_decoded)
    if body:
        meter.add_piece(body)
    while meter.has_work:
        meter.step()
    reflected = reflect_body(meter.finish(chunked=False), said)
    return msgspec.json.format(msgspec.json.encode({"body": reflected}), indent=2)


def shown(body: bytes, said: HeaderList = (), max_decoded: int = 1 << 20) -> dict[str, Any]:
    """Return the reflection of a body."""
    found: dict[str, Any] = json.loads(shown_text(body, said, max_decoded))["body"]
    return found


def sha256(data: bytes) -> str:
    """Return the digest of data."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([b"a", "ü".encode()], {"length": 3, "truncated": False, "text": "aü"}),
        ([b"\xff", b"a"], {"length": 2, "truncated": False, "base64": "/2E="}),
        ([b"a" * BODY_PREFIX_SIZE], {"length": BODY_PREFIX_SIZE, "truncated": False, "text": "a" * BODY_PREFIX_SIZE}),
        (
            [b"a" * BODY_PREFIX_SIZE, b"b"],
            {"length": BODY_PREFIX_SIZE + 1, "truncated": True, "text": "a" * BODY_PREFIX_SIZE},
        ),
        (
            [b"a" * (BODY_PREFIX_SIZE - 1) + "ü".encode()],
            {"length": BODY_PREFIX_SIZE + 1, "truncated": True, "text": "a" * (BODY_PREFIX_SIZE - 1)},
        ),
        (["ü".encode()[:1]], {"length": 1, "truncated": False, "base64": "ww=="}),
    ],
    ids=["text", "bytes", "as much as is kept", "more", "cut within a character", "ends within a character"],
)
def test_a_body_is_measured_whole_and_shown_from_its_beginning(pieces: list[bytes], shown: dict[str, object]) -> None:
    """A body is shown as text if it is UTF-8, else in base64, and never more than is kept."""
    meter = BodyReader()
    for piece in pieces:
        meter.add_piece(piece)
    request = HttpRequest(b"GET", b"/", "HTTP/1.1", ())
    carried = structs.replace(request, body=meter.finish(chunked=True), trailers=((b"X-T", b"1"),))
    reflected = json.loads(pretty_json(carried, TCP))
    assert reflected["body"] == {"sha256": sha256(b"".join(pieces)), "chunked": True, **shown}
    assert reflected["trailers"] == [["X-T", "1"]]


@pytest.mark.parametrize("said", [(), fields(JSON, b"gzip"), fields(FORM), fields(MULTIPART)])
def test_no_body_shows_nothing_but_that(said: HeaderList) -> None:
    """An empty body is shown as empty, whatever its headers say."""
    none = {"length": 0, "sha256": sha256(b""), "chunked": False, "truncated": False, "text": ""}
    assert shown(b"", said) == none
    assert json.loads(msgspec.json.encode(reflect_body(EMPTY_BODY, said))) == none


@pytest.mark.parametrize("said", [fields(), fields(b"text/plain"), fields(b"text/plain", b"identity")])
def test_what_does_not_apply_is_not_there(said: HeaderList) -> None:
    """Without a type that says otherwise, a body is only text, whatever it looks like."""
    assert shown(b'{"a":1}', said).keys() == {"length", "sha256", "chunked", "truncated", "text"}


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        ("aü".encode(), {"truncated": False, "text": "aü"}),
        (b"\xff", {"truncated": False, "base64": "/w=="}),
        (b"", {"truncated": False, "text": ""}),
        (b"a" * BODY_PREFIX_SIZE + b"b", {"truncated": True, "text": "a" * BODY_PREFIX_SIZE}),
    ],
    ids=["text", "bytes", "nothing", "more than is kept"],
)
def test_a_coded_body_is_shown_decoded_beside_what_came(content: bytes, seen: dict[str, object]) -> None:
    """An encoded body is shown as received and as decoded, both by length and digest."""
    coded = gzip.compress(content)
    found = shown(coded, fields(b"text/plain", b"GZIP"))
    assert (found["length"], found["sha256"]) == (len(coded), sha256(coded))
    assert "base64" in found
    assert found["decoded"] == {"codings": ["gzip"], "length": len(content), "sha256": sha256(content), **seen}


@pytest.mark.parametrize(
    ("coding", "why"),
    [
        (b"gzip", "gzip: data in another format"),
        (b"deflate, aws-chunked", "unknown content coding 'aws-chunked'"),
        (b"\xff", "unknown content coding '\\xff'"),
    ],
)
@pytest.mark.parametrize("content_type", [JSON, FORM, MULTIPART])
def test_what_can_not_be_decoded_says_why_and_nothing_else(coding: bytes, why: str, content_type: bytes) -> None:
    """An undecodable body has the reason, and is shown as received.

    It is not parsed as the type that it would have after decoding.
    """
    found = shown(b"{}", fields(content_type, coding))
    assert (found["text"], found["decoded"].keys()) == ("{}", {"codings", "refused"})
    assert found["decoded"]["refused"] == why
    assert not found.keys() & {"json", "form", "multipart", "multipartRefused"}


def test_what_was_not_decoded_is_not_read() -> None:
    """A body that was not decoded is not parsed, also if nobody tried to decode it."""
    meter = BodyReader()
    meter.add_piece(b"{}")
    reflected = reflect_body(meter.finish(chunked=False), fields(JSON, b"gzip"))
    assert reflected.json is reflected.decoded is msgspec.UNSET


def test_decoding_is_bounded() -> None:
    """Decoding is limited by a number that the response names."""
    found = shown(gzip.compress(b"aa"), fields(b"", b"gzip"), max_decoded=1)
    assert found["decoded"] == {"codings": ["gzip"], "refused": "gzip: decoded body exceeds 1 bytes (ECHO_MAX_DECODED)"}


WRITTEN = {
    "numbers": b"[1.0,1e2,-0,0.10000000000000000000001,123456789012345678901234567890]",
    "doubled keys, in their order": b'{"b":1,"a":2,"b":3,"":4}',
    "escapes": rb'"\u00fc\ud83d\ude00\/\n"',
    "UTF-8": '"ü€😀\x7f"'.encode(),
    "a string": b'"a"',
    "a number": b"1",
    "null": b"null",
    "white space around it": b"\r\n\t {} ",
    "much of it": b"[" + b"1," * 32_000 + b"1]",
    "as deep as may be": b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
}


@pytest.mark.parametrize("case", WRITTEN)
def test_json_is_shown_as_it_was_written(case: str) -> None:
    """Numbers, the order of keys and duplicate keys are unchanged; only white space may change."""
    written = WRITTEN[case]
    found = shown_text(written, fields(JSON))
    assert b'"json": ' in found
    assert msgspec.json.format(found.partition(b'"json": ')[2].removesuffix(b"\n  }\n}"), indent=0) == (
        msgspec.json.format(written, indent=0)
    )
    assert json.loads(found)["body"]["text"].encode() == written


NOT_SHOWN = {
    "NaN": b"NaN",
    "NaN within": b"[NaN]",
    "Infinity": b"-Infinity",
    "a number out of range": b"1e400",
    "an integer of 5000 digits": b"1" * 5000,
    "a lone surrogate": rb'"\ud800"',
    "a lone low surrogate": rb'["\udc00"]',
    "a lone surrogate as a key": rb'{"\ud800":1}',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "what is not UTF-8": b'"\xff"',
    "what is not UTF-8 as a key": b'{"\xff":1}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16-le"),
    "a control character": b'"\x01"',
    "a nesting above the bound": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "objects nested above the bound": b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
    "30,000 levels": b"[" * 30_000 + b"]" * 30_000,
    "30,000 levels with no end": b"[" * 30_000,
    "100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "more than is kept": b'"' + b"a" * BODY_PREFIX_SIZE + b'"',
    "half of it": b'{"a":',
    "a comma too many": b"[1,]",
    "more behind it": b"{}{}",
    "single quotes": b"{'a':1}",
    "leading zeros": b"01",
    "white space": b" ",
}


@pytest.mark.parametrize("case", NOT_SHOWN)
def test_what_others_could_not_read_is_not_shown_as_json(case: str) -> None:
    """JSON that other parsers may reject is omitted, because the response must be readable as a whole."""
    assert "json" not in shown(NOT_SHOWN[case], fields(JSON))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    )
)
def test_any_json_value_is_shown(value: object) -> None:
    """Any JSON value is shown as the same value."""
    assert shown(json.dumps(value).encode(), fields(JSON))["json"] == value


@given(st.lists(st.sampled_from([*'{}[],:"\\u1-.e+0 ', "d800", "00e9", "true", "null", "NaN"]), max_size=12))
def test_no_json_breaks_the_answer(scraps: list[str]) -> None:
    """JSON is shown as a strict parser reads it, or omitted."""
    text = "".join(scraps)
    found = shown(text.encode(), fields(JSON))
    if "json" in found:
        assert found["json"] == json.loads(text, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("content_type", "read"),
    [
        (b"application/json", True),
        (b"Application/JSON ; charset=utf-8", True),
        (b"application/problem+json", True),
        (b"application/vnd.api+JSON;a=b", True),
        (b"application/jsonl", False),
        (b"text/plain; a=application/json", False),
        (b"text/plain", False),
        (b"", False),
    ],
)
def test_json_is_what_its_type_calls_so(content_type: bytes, read: bool) -> None:  # noqa: FBT001 - a column of the table
    """JSON is recognized by its type's name or suffix (RFC 6839, 3.1)."""
    assert ("json" in shown(b"{}", fields(content_type))) is read


FORMS = [
    (b"a=1&b=2&a=3", [["a", "1"], ["b", "2"], ["a", "3"]]),
    (b"a=&=b&c&&", [["a", ""], ["", "b"], ["c", ""]]),
    (b"a+b=%C3%BC%26", [["a b", "ü&"]]),
    (b"a=b=c", [["a", "b=c"]]),
    (b"%zz=%", [["%zz", "%"]]),
]


@pytest.mark.parametrize(("body", "pairs"), FORMS)
def test_a_form_is_shown_as_pairs(body: bytes, pairs: list[list[str]]) -> None:
    """Pairs of a form are decoded, in order, with empty and repeated ones."""
    assert shown(body, fields(FORM + b"; charset=utf-8"))["form"] == pairs


def test_a_form_of_any_bytes_is_shown() -> None:
    """A form with any bytes is shown in lossless text."""
    assert shown(b"a=%ff", fields(FORM))["form"] == [["a", "\\xff"]]


def test_a_form_is_shown_only_whole() -> None:
    """A form is shown only if complete, because half a value is another value."""
    assert "form" not in shown(b"a=" + b"b" * BODY_PREFIX_SIZE, fields(FORM))
    assert "form" not in shown(b"a=b", fields(b"text/plain"))


PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="\xff"; filename="f"\r\nContent-Type: a/b\r\n\r\nc\r\n'
    b"--b\r\n\r\nd\r\n--b--\r\n"
)
SHOWN_PARTS = [
    {"name": "\\xff", "filename": "f", "contentType": "a/b", "length": 1, "sha256": sha256(b"c")},
    {"length": 1, "sha256": sha256(b"d")},
]


@pytest.mark.parametrize("content_type", [MULTIPART, b"Multipart/Mixed;boundary=b"])
def test_the_parts_of_a_multipart_body_are_shown(content_type: bytes) -> None:
    """Parts have the facts of their headers, length and digest, but no content."""
    found = shown(PARTS, fields(content_type))
    assert found["multipart"] == SHOWN_PARTS
    assert "multipartRefused" not in found


def test_the_parts_of_a_large_body_are_shown() -> None:
    """Parts of a large body are measured as they arrive, beyond what is kept."""
    large = PARTS.replace(b"\r\n\r\nd\r\n", b"\r\n\r\n" + b"d" * 2 * BODY_PREFIX_SIZE + b"\r\n")
    assert shown(large, fields(MULTIPART))["multipart"][1] == {
        "length": 2 * BODY_PREFIX_SIZE,
        "sha256": sha256(b"d" * 2 * BODY_PREFIX_SIZE),
    }


@pytest.mark.parametrize(
    ("content_type", "why"),
    [(MULTIPART + b"c", "the last boundary is missing"), (b"multipart/mixed", "no boundary in Content-Type")],
)
def test_broken_parts_say_why(content_type: bytes, why: str) -> None:
    """Malformed parts have one line with the reason in their place."""
    found = shown(PARTS, fields(content_type))
    assert found["multipartRefused"] == why
    assert "multipart" not in found


def test_what_is_coded_is_read_decoded() -> None:
    """JSON, forms and parts of an encoded body are parsed after decoding."""
    assert shown(gzip.compress(b'{"a":1}'), fields(JSON, b"gzip"))["json"] == {"a": 1}
    assert shown(gzip.compress(b"a=b"), fields(FORM, b"gzip"))["form"] == [["a", "b"]]
    assert shown(gzip.compress(PARTS), fields(MULTIPART, b"gzip"))["multipart"] == SHOWN_PARTS
