"""Requests and values, parsed and shown as Go does."""

import pytest

from app.echo.formats.dialects import go_http, go_values
from app.echo.formats.dialects.go_values import ParseError
from app.http.request import HttpRequest

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0), ("-0", 0), ("1ns", 1), ("2us", 2000), ("2µs", 2000), ("2μs", 2000), ("1.5ms", 1_500_000),
        ("+5s", 5 * SECOND), ("-5.s", -5 * SECOND), (".5s", SECOND // 2), ("1h2m3s", 3723 * SECOND),
        ("0.1ns", 0), ("1m1m", 120 * SECOND), ("2562047h47m16.854775807s", (1 << 63) - 1),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_go_reads_it(text: str, nanoseconds: int) -> None:
    """Signs, fractions and units in any order are accepted."""
    assert go_values.nanoseconds(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    ["", "x", "-", ".s", "1s.", "5", "01", "1d", "1 s", "1e1s", "\u0663s", "2562047h47m16.854775808s", "9" * 199 + "h"],
)
def test_invalid_duration_is_rejected(text: str) -> None:
    """A duration that is malformed, without a known unit, or out of range is rejected."""
    with pytest.raises(ParseError, match=r"invalid duration '.*': must be numbers with units, such as 250ms or 1m30s"):
        go_values.nanoseconds(text)


def test_long_duration_is_rejected_unread() -> None:
    """An overlong duration is rejected without parsing, and the message shows its beginning."""
    with pytest.raises(ParseError, match=r"invalid duration '0{37}\.\.\.':"):
        go_values.nanoseconds("0" * 200 + "s")


@pytest.mark.parametrize("text", ["", "1.0", " 1", "1" * 20, "1" * 5000, "\u0663"])
def test_invalid_integer_is_rejected(text: str) -> None:
    """A malformed or out-of-range integer is rejected, and its length costs nothing."""
    with pytest.raises(ParseError, match="invalid integer "):
        go_values.integer(text)


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (b"", {}),
        (b"b=1&a&&b=2&=c", {"": "c", "a": "", "b": "1"}),
        (b"a=%C3%BC+%26&%61=", {"a": "\xfc &"}),
        (b"a=1;b=2&c=3", {"c": "3"}),
        (b"a=%zz9&b=%&c=%4&%4=d&e=%4g", {}),
        (b"a=%ff", {"a": "\ufffd"}),
    ],
)
def test_query_is_parsed_as_go_parses_it(query: bytes, values: dict[str, str]) -> None:
    """The first value of each name is used; pairs that Go can't parse are ignored."""
    assert go_http.first_values(query) == values


def test_each_byte_that_is_not_utf_8_shows_as_one_replacement_character() -> None:
    """Each byte of a truncated character or a surrogate is one replacement character too."""
    assert go_http.decode_text(b"a\xe2\x82b\xed\xa0\x80\xc3\xbc") == "a\ufffd\ufffdb\ufffd\ufffd\ufffd\xfc"


@pytest.mark.parametrize(
    ("target", "authority", "host"),
    [
        (b"/", b"", b"a:1"),
        (b"http://u@b:2/", b"", b"b:2"),
        (b"http:///x", b"", b"a:1"),
        (b"/", b"c", b"c"),
    ],
)
def test_the_host_is_the_targets_before_the_fields(target: bytes, authority: bytes, host: bytes) -> None:
    """The host comes from the target rather than from the Host header; in HTTP/2 it is the authority."""
    request = HttpRequest(b"GET", target, "HTTP/1.1", ((b"hOST", b"a:1"),), authority=authority)
    assert go_http.host(request) == host


def test_json_is_encoded_as_go_encodes_it() -> None:
    """HTML's special characters and the line separators that break JavaScript are escaped."""
    value = {"a": "<>&\u2028\u2029\xfc"}
    assert go_http.json(value) == b'{"a":"\\u003c\\u003e\\u0026\\u2028\\u2029\xc3\xbc"}'
    assert go_http.json({"a": 1}, indent=1) == b'{\n "a": 1\n}'
