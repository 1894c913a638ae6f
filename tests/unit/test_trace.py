"""Parsing of traceparent, and why one is invalid."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from app.http.headers.trace_context import Trace, TraceParent, parse_trace
from app.http.request import decode_lossless

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def trace(**fields: str | list[str]) -> Trace:
    """Return the trace of these headers, which must have one."""
    found = parse_trace({name: [value] if isinstance(value, str) else value for name, value in fields.items()})
    assert isinstance(found, Trace)
    return found


def test_without_a_field_there_is_no_trace() -> None:
    """Without traceparent, the trace is unset and absent from the reflection."""
    assert parse_trace({"Host": ["echo.test"], "X-Trace": ["1"]}) is UNSET


@pytest.mark.parametrize(
    ("value", "parent"),
    [
        pytest.param(PARENT, TraceParent("00", TRACE, SPAN, sampled=True), id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", TraceParent("00", TRACE, SPAN, sampled=False), id="not sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", TraceParent("00", TRACE, SPAN, sampled=True, random=True), id="random"),
        pytest.param(f"00-{TRACE}-{SPAN}-fc", TraceParent("00", TRACE, SPAN, sampled=False), id="unknown flags"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-more", TraceParent("cc", TRACE, SPAN, sampled=True), id="a later version"),
    ],
)
def test_traceparent_is_parsed(value: str, parent: TraceParent) -> None:
    """Version, IDs and flags are parsed (W3C Trace Context level 2); a later version may append more."""
    assert trace(Traceparent=value) == Trace(parent)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "not of the form"),
        (f"00-{TRACE}-{SPAN}", "not of the form"),
        (f"00-{TRACE}-{SPAN}-01 ", "not of the form"),
        (f"cc-{TRACE}-{SPAN}-01more", "not of the form"),
        (f"00-{TRACE[:-1]}g-{SPAN}-01", "not of the form"),
        (PARENT.upper(), "its digits must be lower-case"),
        (f"ff-{TRACE}-{SPAN}-01", "ff is no version"),
        (PARENT + "-more", "version 00 has nothing behind its flags"),
        (f"00-{'0' * 32}-{SPAN}-01", "its trace id is all zeros"),
        (f"00-{TRACE}-{'0' * 16}-01", "its parent id is all zeros"),
    ],
)
def test_a_traceparent_that_says_nothing_is_explained(value: str, reason: str) -> None:
    """An invalid traceparent has a reason instead of a parent."""
    found = trace(Traceparent=value)
    assert found.traceparent is UNSET
    assert found.invalid
    assert found.invalid["Traceparent"].startswith(reason)


def test_repeated_traceparent_is_invalid() -> None:
    """None of the repeated values is chosen."""
    assert trace(Traceparent=[PARENT, PARENT]) == Trace(invalid={"Traceparent": "sent 2 times; must be one header"})


def test_other_trace_headers_are_not_parsed() -> None:
    """Other trace headers are only shown among the headers."""
    other = {"Tracestate": ["a=1"], "Baggage": ["a=1"], "B3": ["0"], "X-B3-Traceid": [TRACE]}
    assert parse_trace(other) is UNSET
    assert parse_trace(other | {"Traceparent": [PARENT]}) == Trace(TraceParent("00", TRACE, SPAN, sampled=True))


VALUES = st.one_of(
    st.binary(max_size=60),
    st.text(f"{TRACE}-", max_size=80).map(str.encode),
    st.just(PARENT.encode()),
).map(decode_lossless)


@given(values=st.lists(VALUES, min_size=1, max_size=3))
def test_any_value_gives_a_trace_or_an_error(values: list[str]) -> None:
    """Either is set, never both, and the result can be encoded."""
    found = parse_trace({"Traceparent": values})
    assert isinstance(found, Trace)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Trace) == found
    assert (found.traceparent is UNSET) == (found.invalid is not UNSET)
