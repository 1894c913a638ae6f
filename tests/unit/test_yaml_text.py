"""The reflection as YAML: every value is parsed back unchanged."""

from typing import Any

import msgspec
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.echo.formats.yaml import encode_yaml

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)
# Strings that would be another type, or nothing, without quotes, and characters that YAML lacks.
ODD = [
    "", "no", "yes", "null", "~", "1", "0x1", "1e3", "1_000", "12:30:45", "2020-01-01", ".inf", "- a", "a: b", "#",
    "&a", "*a", "!a", "%a", "@a", "`a", "|", ">", "a\nb", "a\r\n", " a ", "\t", "\x00", "\x7f", "\x85", "\u2028",
    "\ufeff", "\ufffe", "\U0001f600", "'", '"', "\\", "---", "...", "=", "<<", "?", "a\u0300", "{", "}", "[", "]",
    ",", "\\x41",
]  # fmt: skip


def through(value: Any) -> Any:
    """Encode a value and parse it with a YAML parser."""
    return yaml.safe_load(encode_yaml(msgspec.json.encode(value), value))


def test_strings_that_look_like_something_else_stay_strings() -> None:
    """Ambiguous strings stay strings, also as keys."""
    value = {"list": ODD, "keys": {each: each for each in ODD}}
    assert through(value) == value


@given(VALUES)
def test_every_value_comes_back(value: Any) -> None:
    """Every value is unchanged, in its order."""
    again = through(value)
    assert again == value
    if isinstance(value, dict):
        assert list(again) == list(value)


@settings(max_examples=8)  # the YAML parser is slow, and odd texts are tested above
@given(st.text(), st.sampled_from(ODD))
def test_a_large_value_comes_back_too(text: str, odd: str) -> None:
    """A large value is written as JSON, which is valid YAML, to be fast.

    Characters that JSON allows and YAML does not are escaped.
    """
    for many in (list(range(2000)), "x" * 40_000, {"x" * number: 1 for number in range(300)}):
        value = {"many": many, "text": text, "odd": odd}
        written = encode_yaml(msgspec.json.encode(value), value)
        assert written.startswith(b'{"many":')
        assert yaml.safe_load(written) == value


def test_people_can_read_it() -> None:
    """Each field has a line, lists are below their name, and characters are not escaped."""
    value = {"path": "/ü", "headers": {"Host": ["a"]}, "pod": None, "length": 1}
    assert encode_yaml(b"", value).decode() == "path: /ü\nheaders:\n  Host:\n  - a\npod: null\nlength: 1\n"
