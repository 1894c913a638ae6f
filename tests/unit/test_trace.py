"""Which trace a request belongs to: what each field says, and why one says nothing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from app.http.headers.b3 import B3, B3_NAMES
from app.http.headers.trace_context import Trace, TraceParent, trace_of
from app.http.request import shown

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
SHORT = "463ac35c9f6413ad"


def trace(**fields: str | list[str]) -> Trace:
    """Give what fields say of a trace, in which something is said: `_` in a name stands for `-`."""
    found = trace_of({name.replace("_", "-"): [v] if isinstance(v, str) else v for name, v in fields.items()})
    assert isinstance(found, Trace)
    return found


def test_without_a_field_there_is_no_trace() -> None:
    """It is unset, and so absent from the reflection."""
    assert trace_of({"Host": ["echo.test"], "X-Trace": ["1"]}) is UNSET


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
    """Version, ids and flags (W3C Trace Context level 2); a later version may say more behind them."""
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
    """There is no parent then, but why."""
    found = trace(Traceparent=value)
    assert found.traceparent is UNSET
    assert found.invalid
    assert found.invalid["Traceparent"].startswith(reason)


@pytest.mark.parametrize("name", ["Traceparent", "B3", "X-B3-Traceid", "X-B3-Flags"])
def test_a_field_that_may_come_once_is_not_chosen_among(name: str) -> None:
    """Where it comes twice, none of its values is taken."""
    assert trace_of({name: ["1", "1"]}) == Trace(invalid={name: "sent 2 times; must be one header"})


def test_tracestate_is_one_list_over_several_fields() -> None:
    """Its members in their order, the empty ones left out."""
    found = trace(Traceparent=PARENT, Tracestate=["congo=t61rc Wk, ,rojo=00f067", "tenant@vendor=a:b"])
    assert found.tracestate == [("congo", "t61rc Wk"), ("rojo", "00f067"), ("tenant@vendor", "a:b")]
    assert found.invalid is UNSET


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["a=1,b"], "'b' is not a member, such as vendor=value"),
        (["A=1"], "'A=1' is not a member"),
        (["a=1=2"], "'a=1=2' is not a member"),
        ([f"a={'x' * 257}"], f"'a={'x' * 35}...' is not a member"),
        (["a=1", "a=2"], "it has a key twice"),
        ([",".join(f"k{number}=1" for number in range(33))], "it has 33 members: 32 are the most"),
    ],
)
def test_a_tracestate_is_taken_whole_or_not(values: list[str], reason: str) -> None:
    """One member that is none, and all of it says nothing."""
    found = trace(Traceparent=PARENT, Tracestate=values)
    assert found.tracestate is UNSET
    assert found.invalid
    assert found.invalid["Tracestate"].startswith(reason)


@pytest.mark.parametrize("fields", [{}, {"Traceparent": ["junk"]}])
def test_a_tracestate_alone_is_not_read(fields: dict[str, list[str]]) -> None:
    """Trace Context, 3.3: not without a valid traceparent."""
    found = trace_of(fields | {"Tracestate": ["a=1"]})
    assert found
    assert found.tracestate is UNSET
    assert found.invalid
    assert found.invalid["Tracestate"] == "it must not be read without a valid traceparent"


def test_baggage_is_decoded() -> None:
    """Values percent-decoded, properties left out, white space around `=`, `;` and `,` of no meaning."""
    found = trace(Baggage=["userId = alice%20%C3%A9 ;ttl=5;secret, empty=", "serverNode=DF%2028%3B,bad=%FF%zz"])
    assert found.baggage == [("userId", "alice é"), ("empty", ""), ("serverNode", "DF 28;"), ("bad", r"\xff%zz")]
    assert found.invalid is UNSET


def test_a_member_of_baggage_that_is_none_is_told_and_the_others_are_shown() -> None:
    """Unlike tracestate, it is not all or nothing."""
    assert trace(Baggage="a=1,junk,=2,b=3") == Trace(
        baggage=[("a", "1"), ("b", "3")], invalid={"Baggage": "'junk' is not a member, such as key=value"}
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("0", B3(sampled=False)),
        ("1", B3(sampled=True)),
        ("d", B3(sampled=True, debug=True)),
        (f"{TRACE}-{SPAN}", B3(TRACE, SPAN)),
        (f"{SHORT}-{SPAN}-0", B3(SHORT, SPAN, sampled=False)),
        (f"{TRACE}-{SPAN}-1-{SHORT}", B3(TRACE, SPAN, SHORT, sampled=True)),
        (f"{TRACE}-{SPAN}-d", B3(TRACE, SPAN, sampled=True, debug=True)),
    ],
)
def test_b3_of_one_field(value: str, found: B3) -> None:
    """Ids and the decision, or the decision alone."""
    assert trace(B3=value) == Trace(b3=found)


@pytest.mark.parametrize(
    "value", ["", "2", TRACE, f"{TRACE}-{SPAN}-true", f"{TRACE.upper()}-{SPAN}", f"{TRACE}-{SPAN}-"]
)
def test_a_b3_that_says_nothing_is_explained(value: str) -> None:
    """There is no span then, but why."""
    found = trace(B3=value)
    assert found.b3 is UNSET
    assert found.invalid
    assert found.invalid["B3"].startswith("neither 0, 1, d, nor of the form")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"Traceid": TRACE, "Spanid": SPAN}, B3(TRACE, SPAN)),
        (
            {"Traceid": SHORT, "Spanid": SPAN, "Parentspanid": SHORT, "Sampled": "1"},
            B3(SHORT, SPAN, SHORT, sampled=True),
        ),
        ({"Sampled": "false"}, B3(sampled=False)),
        ({"Flags": "1"}, B3(sampled=True, debug=True)),
        ({"Flags": "0", "Sampled": "0"}, B3(sampled=False)),
    ],
)
def test_b3_of_several_fields(fields: dict[str, str], found: B3) -> None:
    """Each says one thing; debug means sampled."""
    assert trace_of({f"X-B3-{name}": [value] for name, value in fields.items()}) == Trace(b3=found)


def test_the_one_field_of_b3_wins() -> None:
    """The several are read where the one says nothing."""
    several = {"X-B3-Traceid": [SHORT], "X-B3-Spanid": [SPAN]}
    assert trace_of(several | {"B3": ["0"]}) == Trace(b3=B3(sampled=False))
    found = trace_of(several | {"B3": ["junk"]})
    assert found
    assert found.b3 == B3(SHORT, SPAN)


def test_each_field_of_b3_that_says_nothing_is_explained() -> None:
    """By its name; what the others say is shown."""
    found = trace(X_B3_Traceid="x", X_B3_Spanid="y", X_B3_Sampled="yes", X_B3_Flags="7", X_B3_Parentspanid=SPAN)
    assert found == Trace(
        b3=B3(parent_span_id=SPAN),
        invalid={
            "X-B3-Traceid": "not 16 lower-case hexadecimal digits or 32",
            "X-B3-Spanid": "not 16 lower-case hexadecimal digits",
            "X-B3-Sampled": "'yes' is none of 1, 0, true, false",
            "X-B3-Flags": "'7' is none of 1, 0",
        },
    )


NAMES = st.sampled_from(sorted(B3_NAMES | {"Traceparent", "Tracestate", "Baggage"}))
VALUES = st.one_of(
    st.binary(max_size=60),
    st.text(f"{TRACE}-=,;% d", max_size=80).map(str.encode),
    st.sampled_from([PARENT, f"{TRACE}-{SPAN}-1", "a=b"]).map(str.encode),
).map(shown)


@given(headers=st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=3), min_size=1))
def test_no_value_is_too_much(headers: dict[str, list[str]]) -> None:
    """Whatever the fields say there is an answer, and it can be shown; what says nothing is among the fields sent."""
    found = trace_of(headers)
    assert isinstance(found, Trace)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Trace) == found
    assert set(found.invalid or ()) <= headers.keys()


def test_a_long_field_costs_no_more_than_its_length() -> None:
    """64 KiB are members of a few bytes each: as many as there are commas, and no more."""
    found = trace(Traceparent=PARENT, Tracestate="a=1," * 16384, Baggage="a=1," * 16384)
    assert found.baggage == [("a", "1")] * 16384
    assert found.invalid == {"Tracestate": "it has 16384 members: 32 are the most"}
