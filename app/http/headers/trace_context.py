"""Which trace a request belongs to: `traceparent`, `tracestate` and `baggage` (W3C), parsed, and B3."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import UNSET, UnsetType

from app.http.headers.b3 import B3, B3_NAMES, b3_of, only
from app.http.headers.forwarded import TCHARS
from app.http.request import shown
from app.http.text import quoted

_TRACEPARENT: Final = "Traceparent"
_TRACESTATE: Final = "Tracestate"
_BAGGAGE: Final = "Baggage"
_NAMES: Final = B3_NAMES | {_TRACEPARENT, _TRACESTATE, _BAGGAGE}

_MOST_MEMBERS: Final = 32  # of tracestate (Trace Context, 3.3.1.1)

# Trace Context, 3.2: a later version may say more behind the flags.
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SAMPLED: Final = 0x01
_RANDOM: Final = 0x02  # Trace Context level 2, 3.2.2.5
# Trace Context level 2, 3.3.1.3
_STATE = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_BAGGAGE_PAIR = re.compile(rf"({TCHARS})[ \t]*+=[ \t]*+([^;]*+)")


class TraceParent(msgspec.Struct, frozen=True, rename="camel"):
    """The parent span. https://www.w3.org/TR/trace-context-2/#traceparent-header.

    `random` tells whether the trace id was made at random, which level 2 says by a flag of its own.
    """

    version: str
    trace_id: str
    parent_id: str
    sampled: bool
    random: bool = False


class Trace(msgspec.Struct, frozen=True):
    """What the fields of a trace say; `invalid` has, by name, why one says nothing.

    `tracestate` and `baggage` are pairs, in order; a value of baggage is percent-decoded and without its properties.
    """

    traceparent: TraceParent | UnsetType = UNSET
    tracestate: list[tuple[str, str]] | UnsetType = UNSET
    baggage: list[tuple[str, str]] | UnsetType = UNSET
    b3: B3 | UnsetType = UNSET
    invalid: dict[str, str] | UnsetType = UNSET


def trace_of(headers: dict[str, list[str]]) -> Trace | UnsetType:
    """Give what a request's fields (shown values by canonical name) say of its trace, unset where they say nothing."""
    if _NAMES.isdisjoint(headers):
        return UNSET
    invalid: dict[str, str] = {}
    parent = _parent(headers, invalid)
    return Trace(
        parent,
        _state(headers, invalid, parent),
        _baggage(headers.get(_BAGGAGE, []), invalid),
        b3_of(headers, invalid),
        invalid or UNSET,
    )


def _parent(headers: dict[str, list[str]], invalid: dict[str, str]) -> TraceParent | UnsetType:
    value = only(headers, _TRACEPARENT, invalid)
    if value is None:
        return UNSET
    match = _PARENT.fullmatch(value)
    if match is None:
        lower = _PARENT.fullmatch(value.lower())
        form = "not of the form version-traceid-parentid-flags: 2, 32, 16 and 2 hexadecimal digits"
        invalid[_TRACEPARENT] = "its digits must be lower-case" if lower else form
        return UNSET
    version, trace_id, parent_id, flags, more = match.groups()
    wrong = {
        "ff is no version": version == "ff",
        "version 00 has nothing behind its flags": version == "00" and more is not None,
        "its trace id is all zeros": not trace_id.strip("0"),
        "its parent id is all zeros": not parent_id.strip("0"),
    }
    reason = next((reason for reason, is_so in wrong.items() if is_so), None)
    if reason:
        invalid[_TRACEPARENT] = reason
        return UNSET
    bits = int(flags, 16)
    return TraceParent(version, trace_id, parent_id, bool(bits & _SAMPLED), bool(bits & _RANDOM))


def _members(values: list[str]) -> list[str]:
    return [member for value in values for each in value.split(",") if (member := each.strip(" \t"))]


def _state(
    headers: dict[str, list[str]], invalid: dict[str, str], parent: TraceParent | UnsetType
) -> list[tuple[str, str]] | UnsetType:
    """Give the members of tracestate: all of it or nothing (Trace Context, 3.3.1)."""
    if _TRACESTATE not in headers:
        return UNSET
    members = _members(headers[_TRACESTATE])
    matches = [_STATE.fullmatch(member) for member in members[: _MOST_MEMBERS + 1]]
    pairs = [(match[1], match[2]) for match in matches if match]
    if parent is UNSET:
        invalid[_TRACESTATE] = "it must not be read without a valid traceparent"
    elif len(members) > _MOST_MEMBERS:
        invalid[_TRACESTATE] = f"it has {len(members)} members: {_MOST_MEMBERS} are the most"
    elif len(pairs) < len(members):
        invalid[_TRACESTATE] = f"{quoted(members[matches.index(None)])} is not a member, such as vendor=value"
    elif len(dict(pairs)) < len(pairs):
        invalid[_TRACESTATE] = "it has a key twice"
    else:
        return pairs
    return UNSET


def _baggage(values: list[str], invalid: dict[str, str]) -> list[tuple[str, str]] | UnsetType:
    """Give the members of baggage that can be read. https://www.w3.org/TR/baggage/#header-content."""
    pairs = []
    for member in _members(values):
        match = _BAGGAGE_PAIR.match(member)
        if match:
            pairs.append((match[1], shown(unquote_to_bytes(match[2].rstrip(" \t")))))
        else:
            invalid.setdefault(_BAGGAGE, f"{quoted(member)} is not a member, such as key=value")
    return pairs or UNSET
