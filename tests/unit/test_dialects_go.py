"""What Go makes of a request and of its values, as the echoes that are written in Go show it."""

import pytest

from app.echo.formats.dialects import go_http, go_values
from app.echo.formats.dialects.go_values import GoError
from app.http.request import WireRequest

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
    """Signs, fractions, units in any order."""
    assert go_values.nanoseconds(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("1s.", 'time: invalid duration "1s."'),
        ("5", 'time: missing unit in duration "5"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("1 s", 'time: unknown unit " s" in duration "1 s"'),
        ("2562047h47m16.854775808s", 'time: invalid duration "2562047h47m16.854775808s"'),
        ("9" * 50 + "s", f'time: invalid duration "{"9" * 50}s"'),
        ("x" * 100, f'time: invalid duration "{"x" * 77}..."'),
    ],
)
def test_what_is_no_duration_is_told_in_gos_words(text: str, said: str) -> None:
    """Quoted, and shortened where it is long."""
    with pytest.raises(GoError) as refused:
        go_values.nanoseconds(text)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"), (1, "1ns"), (1500, "1.5µs"), (250_000_000, "250ms"), (1_500_000_000, "1.5s"), (99 * SECOND, "1m39s"),
        (-SECOND, "-1s"), (3600 * SECOND, "1h0m0s"), (3661 * SECOND + 1, "1h1m1.000000001s"), (60 * SECOND, "1m0s"),
    ],
)  # fmt: skip
def test_a_duration_is_written_as_go_writes_it(nanoseconds: int, text: str) -> None:
    """No zeros at an end."""
    assert go_values.duration_text(nanoseconds) == text


@pytest.mark.parametrize(
    ("text", "nanoseconds"), [("1s", SECOND), ("2", 2 * SECOND), ("0.0019", 1_000_000), ("-1e-1", -100_000_000)]
)
def test_a_number_alone_is_seconds(text: str, nanoseconds: int) -> None:
    """To the millisecond."""
    assert go_values.duration_or_seconds(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "0x1", "1_0", "1e", "1e999", "9" * 41, "\u0663"])
def test_what_is_no_number_is_refused(text: str) -> None:
    """Neither too large ones nor other scripts' digits."""
    with pytest.raises(GoError, match=r"strconv\.ParseFloat: parsing "):
        go_values.number(text)


@pytest.mark.parametrize("text", ["", "1.0", " 1", "1" * 20, "1" * 5000, "\u0663"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    """Its length costs nothing."""
    with pytest.raises(GoError, match=r"strconv\.Atoi: parsing "):
        go_values.integer(text)


@pytest.mark.parametrize(
    ("query", "values", "said"),
    [
        (b"", {}, ""),
        (b"b=1&a&&b=2&=c", {"": ["c"], "a": [""], "b": ["1", "2"]}, ""),
        (b"a=%C3%BC+%26&%61=", {"a": ["\xfc &", ""]}, ""),
        (b"a=1;b=2&c=3", {"c": ["3"]}, "invalid semicolon separator in query"),
        (b"a=%zz9&b=%&c=%4", {}, 'invalid URL escape "%zz"'),
        (b"a=%4", {}, 'invalid URL escape "%4"'),
        (b"a=%ff", {"a": ["\ufffd"]}, ""),
    ],
)
def test_a_query_is_read_as_go_reads_it(query: bytes, values: go_http.Values, said: str) -> None:
    """What it can't read is left out, and the first of that is told."""
    assert go_http.values_of(query) == (values, said)


def test_each_byte_that_is_not_utf_8_shows_as_one_replacement_character() -> None:
    """Also those of a character that is cut, and of a surrogate."""
    assert go_http.text(b"a\xe2\x82b\xed\xa0\x80\xc3\xbc") == "a\ufffd\ufffdb\ufffd\ufffd\ufffd\xfc"


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
    """In HTTP/2 it is the authority."""
    request = WireRequest(b"GET", target, "HTTP/1.1", ((b"hOST", b"a:1"),), authority=authority)
    assert go_http.host(request) == host


def test_json_is_written_as_go_writes_it() -> None:
    """What a page could take for markup is escaped, where that is asked for, and lines that JavaScript would break."""
    value = {"a": "<>&\u2028\u2029\xfc"}
    assert go_http.json(value) == b'{"a":"\\u003c\\u003e\\u0026\\u2028\\u2029\xc3\xbc"}'
    assert go_http.json(value, indent=2, html=False) == b'{\n  "a": "<>&\\u2028\\u2029\xc3\xbc"\n}'
